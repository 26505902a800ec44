//! Paths below a folder that others may write: each step is the kernel's, below the folder's descriptor, so that no
//! symbolic link and no rename meanwhile leads out of it.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a path is tried again that the kernel could not follow because of renames elsewhere.
const MAX_OPEN_ATTEMPTS: u32 = 100;

pub(super) enum BelowError {
    /// The path leaves the folder.
    Escapes,
    Io(std::io::Error),
}

impl From<std::io::Error> for BelowError {
    fn from(error: std::io::Error) -> BelowError {
        BelowError::Io(error)
    }
}

impl From<Errno> for BelowError {
    fn from(error: Errno) -> BelowError {
        match error {
            // The kernel's word for a path that leaves the folder it has to stay below.
            Errno::XDEV => BelowError::Escapes,
            error => BelowError::Io(error.into()),
        }
    }
}

/// What to do about a part of a path that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is an error.
    Refuse,
    /// Folders are made.
    MakeFolders,
    /// Its last part is made an empty file.
    MakeFile,
}

/// The real path of `path` below `folder`, symbolic links followed but never out of it. The path returned holds no
/// link; whoever opens it must not follow any that appears since.
pub(super) fn resolve(folder: &Path, path: &Path, missing: Missing) -> Result<PathBuf, BelowError> {
    let root = rustix::fs::open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let root_path = real_path(&root)?;
    let mut at = root.try_clone()?;
    let mut below = PathBuf::new();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else {
            if part == Component::CurDir {
                continue;
            }
            return Err(BelowError::Escapes);
        };
        below.push(part);
        at = match open_below(&root, &below) {
            Err(Errno::NOENT) if missing != Missing::Refuse => {
                let made = match missing {
                    Missing::MakeFile if parts.peek().is_some() => return Err(Errno::NOENT.into()),
                    Missing::MakeFile => make_file(&at, Path::new(part)),
                    _ => rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o777)),
                };
                match made {
                    // A dangling symlink, or somebody was faster: opening it again tells.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open_below(&root, &below)?
            }
            opened => opened?,
        };
    }
    let path = real_path(&at)?;
    match path.starts_with(&root_path) {
        true => Ok(path),
        false => Err(BelowError::Escapes),
    }
}

fn make_file(folder: &OwnedFd, name: &Path) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn open_below(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something on the host was renamed while the kernel went up by a `..`.
            Err(Errno::AGAIN) if attempts < MAX_OPEN_ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

/// Where a descriptor's folder or file is now.
fn real_path(descriptor: &OwnedFd) -> std::io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that swaps a folder for a symlink all the time: whatever it hits, nothing outside of
    /// the volume is named, and nothing is made there.
    #[test]
    fn a_swapped_folder_leads_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        let (volume, outside) = (root.join("volume"), root.join("outside"));
        fs::create_dir_all(volume.join("a/in")).unwrap();
        fs::create_dir_all(outside.join("in")).unwrap();
        std::os::unix::fs::symlink("../outside", volume.join("link")).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let done = &done;
        let mut resolved = Vec::new();
        std::thread::scope(|scope| {
            let guest = volume.clone();
            scope.spawn(move || {
                let swap = |from: &str, to: &str| fs::rename(guest.join(from), guest.join(to));
                // The other side may make a folder where one is missing: not every rename works.
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    swap("a", "real").ok();
                    swap("link", "a").ok();
                    swap("a", "link").ok();
                    swap("real", "a").ok();
                }
            });
            for attempt in 0..2000 {
                let path = Path::new(["a", "a/in", "a/new", "a/file"][attempt % 4]);
                let missing = match attempt % 4 {
                    3 => Missing::MakeFile,
                    _ => Missing::MakeFolders,
                };
                if let Ok(path) = resolve(&volume, path, missing) {
                    resolved.push(path);
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let elsewhere = resolved.iter().find(|path| !path.starts_with(&volume));
        assert_eq!(elsewhere, None);
        assert!(!outside.join("new").exists() && !outside.join("file").exists());
    }
}
