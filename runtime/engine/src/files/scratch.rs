//! Private folders that show single files to guests.
//!
//! A preopen is a folder, so a file mount becomes a folder of the engine's own that holds a hard link of the file:
//! same inode, so both sides see every write, and the guest sees no sibling. Where no hard link is possible (another
//! filesystem) the file is copied, and brought back when the container has ended if it may be written. Renaming or
//! removing the file affects only the guest's view. A file that is shown inside a mounted folder is noted before (see
//! `notes`), so that it is found if the process ends without removing it.

mod notes;

use super::host::{self, HostPath};
use super::quota::Quotas;
use crate::Mount;
use crate::module::private_dir;
use notes::Notes;
use rustix::fs::{AtFlags, CWD};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest file that is copied for a mount. Larger ones need a hard link, or a mounted folder.
pub(super) const MAX_COPY: u64 = 64 << 20;

/// Names tried for an engine's folder before giving up.
const MAX_ATTEMPTS: u32 = 1_000;

/// The folder of one engine's private folders. A lock tells other engines that it is in use.
pub(crate) struct Scratch {
    dir: PathBuf,
    _lock: fs::File,
    next: AtomicU64,
    quotas: Quotas,
}

impl Scratch {
    /// Makes this engine's folder below `root`, and removes what engines that are gone left behind.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = root.join("mounts");
        private_dir(&root)?;
        // Quotas are measured by paths without links.
        let root = root.canonicalize()?;
        remove_abandoned(&root)?;
        for attempt in 0..MAX_ATTEMPTS {
            let dir = root.join(format!("{}-{attempt}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => {
                    let lock = fs::File::create(dir.join("lock"))?;
                    lock.lock()?;
                    return Ok(Scratch {
                        dir,
                        _lock: lock,
                        next: AtomicU64::new(0),
                        quotas: Quotas::default(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    /// The quotas of mounts in use.
    pub(super) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// A new, empty folder, removed when dropped.
    pub(crate) fn folder(&self) -> io::Result<PrivateFolder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(number.to_string());
        fs::create_dir(&path)?;
        Ok(PrivateFolder {
            path,
            read_only: false,
            mounted: None,
            notes: None,
            shown: Vec::new(),
            copies: Vec::new(),
        })
    }

    /// A mounted folder that is to show files as well. They are removed from it at the end.
    pub(super) fn inside(&self, mounted: &HostPath, read_only: bool) -> io::Result<PrivateFolder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let notes = Notes::new(&self.dir, number, &fs::read_link(mounted.path())?);
        Ok(PrivateFolder {
            path: mounted.path(),
            read_only,
            mounted: Some(mounted.clone()),
            notes: Some(notes),
            shown: Vec::new(),
            copies: Vec::new(),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_tree(&self.dir);
    }
}

/// Removes folders whose lock nobody holds, and what their engines left in mounted folders.
fn remove_abandoned(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let dir = entry?.path();
        let Ok(lock) = fs::File::open(dir.join("lock")) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            notes::sweep(&dir);
            remove_tree(&dir);
        }
    }
    Ok(())
}

fn remove_tree(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::debug!(%error, dir = %dir.display(), "cannot remove a private folder");
    }
}

/// How a file is shown.
pub(super) enum Shown {
    /// As the original.
    Link,
    /// As a copy, which is here.
    Copy(PathBuf),
}

/// A folder that shows files which are elsewhere.
pub(crate) struct PrivateFolder {
    path: PathBuf,
    read_only: bool,
    /// The mounted folder that the files were put into, which `path` leads to. `None` if the folder itself is ours.
    mounted: Option<HostPath>,
    /// Where it is noted what was put into a mounted folder.
    notes: Option<Notes>,
    shown: Vec<PathBuf>,
    copies: Vec<(PathBuf, PathBuf)>,
}

impl PrivateFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Shows a mount's file under a name. With `copy` the original is out of reach of writes.
    pub(super) fn show(
        &mut self,
        name: &str,
        file: &HostPath,
        mount: &Mount,
        copy: bool,
    ) -> io::Result<Shown> {
        if self.read_only {
            return Err(io::Error::other("the folder it is in is mounted read-only"));
        }
        if !file.kind()?.is_file() {
            return Err(io::Error::other("only files and folders can be mounted"));
        }
        let shown = self.free(name)?;
        // The path of a descriptor is a link, and what it leads to is wanted.
        let follow = AtFlags::SYMLINK_FOLLOW;
        if !copy && rustix::fs::linkat(CWD, file.path(), CWD, &shown, follow).is_ok() {
            self.shown.push(shown);
            return Ok(Shown::Link);
        }
        let target = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&shown)?;
        if mount.read_only {
            target.set_permissions(fs::Permissions::from_mode(0o444))?;
        } else {
            self.copies.push((shown.clone(), mount.host.clone()));
        }
        self.shown.push(shown.clone());
        transfer(fs::File::open(file.path())?, target)?;
        Ok(Shown::Copy(shown))
    }

    /// Where a file of this name is about to be put.
    fn free(&mut self, name: &str) -> io::Result<PathBuf> {
        let shown = self.path.join(name);
        if shown.symlink_metadata().is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        if let Some(notes) = &mut self.notes {
            notes.add(name)?;
        }
        Ok(shown)
    }

    /// Shows content that no file of the host holds.
    pub(super) fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        if self.read_only {
            return Err(io::Error::other("the folder it is in is mounted read-only"));
        }
        let shown = self.free(name)?;
        let mut file = fs::File::create_new(&shown)?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        self.shown.push(shown);
        file.write_all(content)
    }

    /// The copies that the guest may have written.
    pub(crate) fn copies_to_bring_back(&self) -> Option<Copies> {
        (!self.copies.is_empty()).then(|| Copies {
            files: self.copies.clone(),
            _mounted: self.mounted.clone(),
        })
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if self.mounted.is_none() {
            remove_tree(&self.path);
        } else {
            for shown in &self.shown {
                if let Err(error) = fs::remove_file(shown) {
                    tracing::debug!(%error, "a file mounted into a folder is already gone from it");
                }
            }
        }
    }
}

/// Copies and the files they were made of.
pub(crate) struct Copies {
    files: Vec<(PathBuf, PathBuf)>,
    /// Keeps the paths of the copies valid.
    _mounted: Option<HostPath>,
}

impl Copies {
    /// Writes the copies' content to the originals. Blocks.
    pub(crate) fn bring_back(self) {
        for (copy, original) in self.files {
            if let Err(error) = bring_back(&copy, &original) {
                tracing::warn!(%error, file = %original.display(), "cannot bring back a mounted file");
            }
        }
    }
}

fn bring_back(copy: &Path, original: &Path) -> io::Result<()> {
    // What the guest left there may be no file any more, or a link to somewhere else.
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let copy = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nofollow)
        .open(copy)?;
    transfer(copy, host::overwrite(original)?)
}

pub(super) fn transfer(mut from: fs::File, mut to: fs::File) -> io::Result<()> {
    let metadata = from.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > MAX_COPY {
        let message = format!("it has {} bytes, too many to be copied", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    io::copy(&mut from, &mut to)?;
    Ok(())
}
