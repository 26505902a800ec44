//! A new data folder out of an archive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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

/// How the names of folders begin that restored files come from. One is left where that did not come to its end.
const WORK: &str = ".sampan-restore-";

/// Whether a restore into the folder was cut off, so that what is there may be a part.
pub fn is_unfinished(data_dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(data_dir)? {
        if entry?.file_name().to_string_lossy().starts_with(WORK) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the data folder `data_dir`, which must not hold anything yet, out of `archive`.
pub async fn restore(
    archive: &Path,
    layout: &Layout,
    data_dir: &Path,
) -> Result<Restored, RestoreError> {
    refuse_occupied(data_dir)?;
    // A file system of its own cannot be replaced as a whole: it is filled instead.
    let mounted = is_mount_point(data_dir).map_err(failed("reading", data_dir))?;
    let folder = match mounted {
        true => data_dir,
        false => parent(data_dir),
    };
    fs::create_dir_all(folder).map_err(failed("creating", folder))?;
    let work = work_folder(folder, WORK).map_err(failed("creating a folder in", folder))?;
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
    if mounted {
        if let Err(error) = fill(work.path(), data_dir, &layout.database) {
            // Says that what is there is a part.
            let _ = work.keep();
            return Err(error);
        }
        return Ok(Restored { manifest, revision });
    }
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

fn is_mount_point(path: &Path) -> io::Result<bool> {
    let device = |path: &Path| match fs::metadata(path) {
        Ok(found) => Ok(Some(found.dev())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let own = device(path)?;
    Ok(own.is_some() && own != device(&path.join(".."))?)
}

/// Moves everything into the folder. The database comes last: a folder that has it has the rest.
fn fill(work: &Path, data_dir: &Path, database: &Path) -> Result<(), RestoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(work).map_err(failed("reading", work))? {
        names.push(entry.map_err(failed("reading", work))?.file_name());
    }
    names.sort_by_key(|name| database.starts_with(name));
    for name in names {
        let target = data_dir.join(&name);
        fs::rename(work.join(&name), &target).map_err(failed("naming", &target))?;
        sync_folder(data_dir).map_err(failed("syncing", data_dir))?;
    }
    Ok(())
}

fn refuse_occupied(data_dir: &Path) -> Result<(), RestoreError> {
    // mke2fs makes it on every new file system.
    let counts = |entry: &io::Result<fs::DirEntry>| match entry {
        Ok(entry) => entry.file_name() != "lost+found",
        Err(_) => true,
    };
    let first = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.find(counts),
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
        let path = target.join(name);
        create_folders(parent(&path))?;
        let created = match name == layout.database {
            true => Snapshot::file(&path),
            false => create(&path),
        };
        created.map(Some).map_err(failed("creating", &path))
    })
}

/// Private folders.
fn create_folders(path: &Path) -> Result<(), RestoreError> {
    let mut folders = DirBuilder::new();
    let created = folders.recursive(true).mode(0o700).create(path);
    created.map_err(failed("creating", path))
}

/// A private file.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl Fn(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io {
        step,
        path: PathBuf::from(path),
        source,
    }
}
