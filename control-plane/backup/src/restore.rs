//! A new data folder out of an archive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sampan_store::{Revision, Snapshot};

use crate::Layout;
use crate::archive;
use crate::error::RestoreError;
use crate::files::{parent, sync_file_system, sync_folder, work_folder};
use crate::manifest::Manifest;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the archive says about itself.
    pub manifest: Manifest,
    /// Where the store goes on from.
    pub revision: Revision,
}

/// Makes the data folder `data_dir`, which must not hold anything yet, out of `archive`.
pub async fn restore(
    archive: &Path,
    layout: &Layout,
    data_dir: &Path,
) -> Result<Restored, RestoreError> {
    refuse_occupied(data_dir)?;
    let folder = parent(data_dir);
    fs::create_dir_all(folder).map_err(failed("creating", folder))?;
    let work =
        work_folder(folder, ".sampan-restore-").map_err(failed("creating a folder in", folder))?;
    let (source, target, wanted) = (
        archive.to_path_buf(),
        work.path().to_path_buf(),
        layout.clone(),
    );
    let unpacked = tokio::task::spawn_blocking(move || unpack(&source, &wanted, &target)).await;
    let manifest = unpacked.unwrap_or_else(|error| {
        Err(RestoreError::Io {
            step: "reading",
            path: archive.to_path_buf(),
            source: io::Error::other(error),
        })
    })?;
    let database = work.path().join(&layout.database);
    if !manifest.describes(&Snapshot::verify(&database).await?) {
        return Err(RestoreError::Damaged {
            path: archive.to_path_buf(),
            detail: "its manifest speaks of another database".into(),
        });
    }
    let revision = manifest.restored_revision(Timestamp::now());
    Snapshot::advance(&database, revision).await?;
    sync_file_system(work.path()).map_err(failed("syncing", work.path()))?;
    // Replaces an empty folder, and nothing else.
    fs::rename(work.path(), data_dir).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => RestoreError::Occupied {
            path: data_dir.to_path_buf(),
        },
        _ => failed("naming", data_dir)(error),
    })?;
    // Nothing is left to remove under its old name.
    let _ = work.keep();
    sync_folder(folder).map_err(failed("syncing", folder))?;
    Ok(Restored { manifest, revision })
}

fn refuse_occupied(data_dir: &Path) -> Result<(), RestoreError> {
    let first = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next(),
        Err(error) => Some(Err(error)),
    };
    let occupied = match first {
        None => false,
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => false,
        Some(Err(error)) if error.kind() != io::ErrorKind::NotADirectory => {
            return Err(failed("reading", data_dir)(error));
        }
        Some(_) => true,
    };
    if occupied {
        return Err(RestoreError::Occupied {
            path: data_dir.to_path_buf(),
        });
    }
    Ok(())
}

fn unpack(source: &Path, layout: &Layout, target: &Path) -> Result<Manifest, RestoreError> {
    let belongs = |name: &Path| {
        name == layout.database || layout.folders.iter().any(|folder| name.starts_with(folder))
    };
    archive::read(source, |name| {
        if !belongs(name) {
            return Ok(None);
        }
        create(&target.join(name)).map(Some)
    })
}

/// A private file in private folders.
fn create(path: &Path) -> Result<File, RestoreError> {
    let folder = parent(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("creating", folder))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("creating", path))
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl Fn(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io {
        step,
        path: PathBuf::from(path),
        source,
    }
}
