//! Private folders that show single files to guests.
//!
//! A preopen is a folder, so a file mount becomes a folder of the engine's own that holds a hard link of the file:
//! same inode, so both sides see every write, and the guest sees no sibling. Where no hard link is possible (another
//! filesystem) the file is copied, and brought back when the container has ended if it was written (see `copied`). Renaming or
//! removing the file affects only the guest's view. A file that is shown inside a mounted folder is noted before (see
//! `notes`), so that it is found if the process ends without removing it; containers that share the folder share the file
//! (see `placed`).

mod copied;
mod notes;
mod pace;
mod placed;

use super::host::HostPath;
use super::quota::Quotas;
use crate::Mount;
use crate::module::private_dir;
use copied::Copied;
use notes::Notes;
pub(crate) use pace::Pace;
use placed::{Placed, What};
use rustix::fs::{AtFlags, CWD};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Largest file that is copied for a mount that may be written. Larger ones need a hard link, or a mounted folder.
pub(super) const MAX_COPY: u64 = 64 << 20;

/// Largest file that is copied to be read. File systems that share content between files copy it in no time.
const MAX_COPY_TO_READ: u64 = 4 << 30;

/// Names tried for an engine's folder before giving up.
const MAX_ATTEMPTS: u32 = 1_000;

/// The folder of one engine's private folders. A lock tells other engines that it is in use.
pub(crate) struct Scratch {
    /// The folder of all engines' folders.
    root: PathBuf,
    dir: PathBuf,
    _lock: fs::File,
    next: AtomicU64,
    quotas: Quotas,
    placed: Placed,
    turns: Turns,
}

/// The places of those whose files are made or removed: each keeps a thread.
#[derive(Clone)]
pub(crate) struct Turns {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Turns {
    /// So many in all, a quarter of them for what takes its time.
    pub(super) fn new(all: usize) -> Self {
        let slow = all / 4;
        let places = |places: usize| Arc::new(Semaphore::new(places.max(1)));
        Turns {
            quick: places(all - slow),
            slow: places(slow),
        }
    }

    /// Does something on a thread that may block: in a moment if that is enough, or else once more in its own time. What
    /// takes long keeps nobody from what does not.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        threads: &Handle,
        mut work: impl FnMut(&Pace) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        // Never closed.
        let turn = self.quick.clone().acquire_owned().await;
        let quick = threads.spawn_blocking(move || {
            let done = work(&Pace::quick());
            drop(turn);
            (work, done)
        });
        let (mut work, done) = quick.await.ok()?;
        if done.is_some() {
            return done;
        }
        let turn = self.slow.clone().acquire_owned().await;
        let slow = threads.spawn_blocking(move || {
            let done = work(&Pace::Slow);
            drop(turn);
            done
        });
        slow.await.ok()?
    }
}

impl Scratch {
    /// Makes this engine's folder below `root`, and removes what engines that are gone left behind. So many containers'
    /// files are made or removed at once.
    pub(crate) fn open(root: &Path, turns: usize) -> io::Result<Self> {
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
                        root,
                        dir,
                        _lock: lock,
                        next: AtomicU64::new(0),
                        quotas: Quotas::default(),
                        placed: Placed::default(),
                        turns: Turns::new(turns),
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

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// A new, empty folder, removed when dropped.
    pub(crate) fn folder(&self) -> io::Result<PrivateFolder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(number.to_string());
        fs::create_dir(&path)?;
        Ok(PrivateFolder {
            root: self.root.clone(),
            path,
            read_only: false,
            mounted: None,
            copies: Vec::new(),
        })
    }

    /// A mounted folder that is to show files as well. They are removed from it at the end.
    pub(super) fn inside(&self, mounted: &HostPath, read_only: bool) -> io::Result<PrivateFolder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let notes = Notes::new(&self.dir, number, &fs::read_link(mounted.path())?);
        Ok(PrivateFolder {
            root: self.root.clone(),
            path: mounted.path(),
            read_only,
            mounted: Some(Mounted {
                folder: mounted.clone(),
                notes,
                placed: self.placed.clone(),
                shown: Vec::new(),
            }),
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
    /// The folder of all engines' folders.
    root: PathBuf,
    path: PathBuf,
    read_only: bool,
    /// The mounted folder that the files were put into, which `path` leads to. `None` if the folder itself is ours.
    mounted: Option<Mounted>,
    /// Those that may be written.
    copies: Vec<Copied>,
}

/// A mounted folder that other containers may have mounted as well.
struct Mounted {
    folder: HostPath,
    /// Where it is noted what was put into it.
    notes: Notes,
    /// What all containers have put into such folders.
    placed: Placed,
    shown: Vec<String>,
}

impl Mounted {
    /// Shows something there under a name. Whether it is a copy.
    fn put(
        &mut self,
        name: &str,
        what: What,
        pace: &Pace,
        put: impl FnOnce(&Path) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let note = |name: &str| self.notes.add(name);
        let is_copy = self.placed.put(&self.folder, name, what, pace, note, put)?;
        self.shown.push(name.to_owned());
        Ok(is_copy)
    }
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
        pace: &Pace,
    ) -> io::Result<Shown> {
        self.check_writable()?;
        if !file.kind()?.is_file() {
            return Err(io::Error::other("only files and folders can be mounted"));
        }
        let shown = self.path.join(name);
        let is_copy = match &mut self.mounted {
            None => place(&shown, file, mount, copy, pace)?,
            Some(mounted) => {
                let what = What::of(file, mount.read_only)?;
                let put = |shown: &Path| place(shown, file, mount, copy, pace);
                mounted.put(name, what, pace, put)?
            }
        };
        if !is_copy {
            return Ok(Shown::Link);
        }
        if !mount.read_only {
            self.copies.push(Copied::new(&shown, &mount.host)?);
        }
        Ok(Shown::Copy(shown))
    }

    /// Shows content that no file of the host holds.
    pub(super) fn write(&mut self, name: &str, content: &[u8], pace: &Pace) -> io::Result<()> {
        self.check_writable()?;
        let put = |shown: &Path| {
            let mut file = fs::File::create_new(shown)?;
            let written = file
                .set_permissions(fs::Permissions::from_mode(0o444))
                .and_then(|()| file.write_all(content));
            // Or nothing else could ever be put there.
            written.inspect_err(|_| remove_file(shown))?;
            Ok(true)
        };
        match &mut self.mounted {
            None => put(&self.path.join(name))?,
            Some(mounted) => mounted.put(name, What::Content(content.to_owned()), pace, put)?,
        };
        Ok(())
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.read_only {
            true => Err(io::Error::other("the folder it is in is mounted read-only")),
            false => Ok(()),
        }
    }

    /// Writes what the guest has written to copies to the originals. Blocks. False if that takes its time, and is not done
    /// yet.
    pub(crate) fn bring_back(&mut self, pace: &Pace) -> bool {
        while let Some(copy) = self.copies.last() {
            match copy.bring_back(&self.root, pace) {
                Err(error) if matches!(pace, Pace::Quick(_)) && Pace::is_kept(&error) => {
                    return false;
                }
                Err(error) => {
                    tracing::warn!(%error, file = %copy.original().display(), "cannot bring back a mounted file");
                }
                Ok(()) => {}
            }
            self.copies.pop();
        }
        true
    }
}

/// Puts a mount's file there, as a link if that is allowed and possible. True if it is a copy.
fn place(
    shown: &Path,
    file: &HostPath,
    mount: &Mount,
    copy: bool,
    pace: &Pace,
) -> io::Result<bool> {
    // The path of a descriptor is a link, and what it leads to is wanted.
    let follow = AtFlags::SYMLINK_FOLLOW;
    if !copy && rustix::fs::linkat(CWD, file.path(), CWD, shown, follow).is_ok() {
        return Ok(false);
    }
    let from = fs::File::open(file.path())?;
    pace.copies(&from)?;
    let mut target = fs::OpenOptions::new();
    let target = target.write(true).create_new(true).open(shown)?;
    let most = match mount.read_only {
        true => MAX_COPY_TO_READ,
        false => MAX_COPY,
    };
    let fill = || {
        if mount.read_only {
            target.set_permissions(fs::Permissions::from_mode(0o444))?;
        }
        transfer(&from, &target, most)?;
        copied::filled(&target, &from)
    };
    // Or nothing else could ever be put there.
    fill().inspect_err(|_| remove_file(shown))?;
    Ok(true)
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        match &self.mounted {
            None => remove_tree(&self.path),
            Some(mounted) => {
                for name in &mounted.shown {
                    mounted.placed.give_up(&mounted.folder, name);
                }
            }
        }
    }
}

fn remove_file(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "a file mounted into a folder is already gone from it");
    }
}

/// Copies a file of at most so many bytes. Returns how many it has.
pub(super) fn transfer(mut from: &fs::File, mut to: &fs::File, most: u64) -> io::Result<u64> {
    check(&from.metadata()?, most)?;
    io::copy(&mut from, &mut to)
}

fn check(metadata: &fs::Metadata, most: u64) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > most {
        let message = format!("it has {} bytes, too many to be copied", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(())
}
