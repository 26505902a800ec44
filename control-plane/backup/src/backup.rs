//! A data folder into an archive, beside whoever works in it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sampan_store::{Snapshot, SnapshotError};

use crate::Layout;
use crate::archive;
use crate::error::{BackupError, RestoreError};
use crate::files::{below, parent, sync_folder, work_folder};
use crate::manifest::{FORMAT, Manifest};

/// What becomes of a file that has the archive's name already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays, and there is no backup.
    Keep,
    /// It is replaced once the new one is complete.
    Replace,
}

/// Saves the state in `data_dir` to `archive`. The server may run, and go on writing, or not.
pub async fn backup(
    data_dir: &Path,
    layout: &Layout,
    archive: &Path,
    existing: Existing,
) -> Result<Manifest, BackupError> {
    if existing == Existing::Keep && archive.exists() {
        return Err(BackupError::Exists {
            path: archive.to_path_buf(),
        });
    }
    // Beside the archive, so that the disk it goes to is the one that has to have space, and a rename is enough.
    let folder = parent(archive);
    let work =
        work_folder(folder, ".sampan-backup-").map_err(failed("creating a folder in", folder))?;
    let copy = work.path().join("state.db");
    let taken = Snapshot::take(&data_dir.join(&layout.database), &copy).await;
    let snapshot = taken.map_err(|error| match error {
        SnapshotError::Missing { .. } => BackupError::NoState {
            path: data_dir.to_path_buf(),
        },
        other => other.into(),
    })?;
    let manifest = Manifest {
        format: FORMAT,
        release: env!("CARGO_PKG_VERSION").into(),
        created: Timestamp::now(),
        revision: snapshot.revision.0,
        ceiling: snapshot.ceiling.0,
        entries: snapshot.entries,
        files: Vec::new(),
    };
    let (data_dir, layout) = (data_dir.to_path_buf(), layout.clone());
    let archive = archive.to_path_buf();
    let written = tokio::task::spawn_blocking(move || {
        let new = work.path().join("archive");
        let manifest = write(&data_dir, &layout, &copy, &new, manifest)?;
        verify(&new, &manifest)?;
        place(&new, &archive)?;
        Ok(manifest)
    });
    written.await.unwrap_or_else(|error| {
        Err(BackupError::Io {
            step: "writing",
            path: PathBuf::from("the archive"),
            source: io::Error::other(error),
        })
    })
}

fn write(
    data_dir: &Path,
    layout: &Layout,
    copy: &Path,
    new: &Path,
    manifest: Manifest,
) -> Result<Manifest, BackupError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)
        .map_err(failed("creating", new))?;
    let modified = u64::try_from(manifest.created.as_second()).unwrap_or(0);
    let mut writer = archive::Writer::new(file, modified).map_err(failed("writing", new))?;
    let database = File::open(copy).map_err(failed("reading", copy))?;
    writer
        .add(&layout.database, &database)
        .map_err(failed("adding", copy))?;
    for folder in &layout.folders {
        let found = below(data_dir, folder).map_err(failed("listing", folder))?;
        for path in found {
            let file = match File::open(data_dir.join(&path)) {
                Ok(file) => file,
                // Dropped since the folder was listed, by a server that runs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("reading", &path)(error)),
            };
            writer.add(&path, &file).map_err(failed("adding", &path))?;
        }
    }
    writer.finish(manifest).map_err(failed("writing", new))
}

/// Reads the archive from the disk, as a restore would.
fn verify(new: &Path, written: &Manifest) -> Result<(), BackupError> {
    let read = archive::read(new, |_| Ok(Some(io::sink())));
    let read = read.map_err(BackupError::Verify)?;
    if &read == written {
        return Ok(());
    }
    Err(BackupError::Verify(RestoreError::Damaged {
        path: new.to_path_buf(),
        detail: "its manifest is another one".into(),
    }))
}

fn place(new: &Path, archive: &Path) -> Result<(), BackupError> {
    fs::rename(new, archive).map_err(failed("naming", archive))?;
    sync_folder(parent(archive)).map_err(failed("syncing", parent(archive)))
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io {
        step,
        path: path.to_path_buf(),
        source,
    }
}
