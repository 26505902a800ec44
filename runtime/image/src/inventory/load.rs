//! Reading the image records back at the start.

use std::fs;
use std::path::{Path, PathBuf};

use crate::content::ContentDir;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::records::{Record, Stored, rootfs_dir};

/// Where the records are.
pub(super) fn records_dir(root: &Path) -> PathBuf {
    root.join("images")
}

/// The record of one image.
pub(super) fn record_path(root: &Path, id: &Digest) -> PathBuf {
    records_dir(root).join(format!("{}.json", id.hex()))
}

/// Reads all records whose content is complete. One that cannot be read is set aside for a human and
/// costs its image only: it is pulled again when it is needed.
pub(super) fn read_records(root: &Path, content: &ContentDir) -> Result<Vec<Record>, ImageError> {
    let failed = |path: &Path, step| {
        let path = path.to_owned();
        move |source| ImageError::Io { path, step, source }
    };
    let folder = records_dir(root);
    let mut records = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed(&folder, "list images"))? {
        let path = entry.map_err(failed(&folder, "list images"))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed(&path, "read image record"))?;
        let parsed = Record::parse(&bytes)
            .and_then(|record| is_complete(root, content, &record).map(|()| record));
        match parsed {
            Ok(record) if record_path(root, &record.id) == path => records.push(record),
            other => {
                let reason = other
                    .err()
                    .unwrap_or_else(|| "it is filed under another id".into());
                let aside = path.with_extension("unreadable");
                tracing::warn!(record = %path.display(), reason, "dropping an image");
                fs::rename(&path, &aside).map_err(failed(&path, "set image record aside"))?;
            }
        }
    }
    Ok(records)
}

fn is_complete(root: &Path, content: &ContentDir, record: &Record) -> Result<(), String> {
    for (digest, size) in &record.blobs {
        if content.size(digest) != Some(*size) {
            return Err(format!("blob {digest} is missing or damaged"));
        }
    }
    let rootfs = matches!(record.content, Stored::Rootfs { .. });
    if rootfs && !rootfs_dir(root, &record.id).is_dir() {
        return Err("its root filesystem is missing".into());
    }
    Ok(())
}
