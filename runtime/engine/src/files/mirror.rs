//! A copy of a folder of a read-only mount, made of hard links, so that single files can be shown among its own.
//!
//! The originals are shared by all containers of an image, so a guest may only write such a copy if it was made by
//! copying.

use super::host::HostPath;
use super::scratch::{MAX_COPY, Pace, transfer};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Files and folders that are mirrored at most: an image's `/etc` has some hundred.
const MAX_ENTRIES: usize = 16_384;
const MAX_DEPTH: usize = 32;
/// Bytes that are copied at most for one mirror; links take none.
const MAX_COPIED: u64 = 256 << 20;

/// How the files of a mirror come to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Hard links; copies where none can be made.
    Links,
    Copies,
}

/// The folder at `path` below a mount, if there is one. No link leads out of the mount.
pub(super) fn folder_below(mount: &HostPath, path: &str) -> Option<OwnedFd> {
    let path = if path.is_empty() { "." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(mount.descriptor(), path, flags, Mode::empty(), resolve).ok()
}

/// Shows in the empty folder `into` what `folder` holds, except for some names.
pub(super) fn mirror(
    mount: &HostPath,
    folder: &OwnedFd,
    into: &Path,
    except: &BTreeSet<String>,
    by: By,
    pace: &Pace,
) -> io::Result<()> {
    let mut mirror = Mirror {
        mount,
        by,
        pace,
        entries: 0,
        copied: 0,
    };
    mirror.folder(folder, into, except, 0)
}

struct Mirror<'a> {
    mount: &'a HostPath,
    by: By,
    pace: &'a Pace,
    entries: usize,
    copied: u64,
}

impl Mirror<'_> {
    fn folder(
        &mut self,
        folder: &OwnedFd,
        into: &Path,
        except: &BTreeSet<String>,
        depth: usize,
    ) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("folders of the image are nested too deep"));
        }
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let text = name.to_string_lossy().into_owned();
            if text == "." || text == ".." || except.contains(&text) {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let message = format!("the image's folder holds more than {MAX_ENTRIES} entries");
                return Err(io::Error::other(message));
            }
            let shown = into.join(&text);
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                    let flags = flags | OFlags::CLOEXEC;
                    let below = rustix::fs::openat(folder, name, flags, Mode::empty())?;
                    fs::create_dir(&shown)?;
                    self.folder(&below, &shown, &BTreeSet::new(), depth + 1)?;
                }
                FileType::RegularFile => self.file(folder, name, &shown)?,
                FileType::Symlink => self.link(folder, name, &shown)?,
                // A guest could not use it.
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, name: &CStr, shown: &Path) -> io::Result<()> {
        let linked = self.by == By::Links
            && rustix::fs::linkat(folder, name, CWD, shown, AtFlags::empty()).is_ok();
        if linked {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        self.copy(fs::File::from(file), shown)
    }

    fn copy(&mut self, file: fs::File, shown: &Path) -> io::Result<()> {
        self.pace.copies(&file)?;
        let left = MAX_COPIED.saturating_sub(self.copied).min(MAX_COPY);
        self.copied += transfer(&file, &fs::File::create_new(shown)?, left)?;
        Ok(())
    }

    /// A link that stays in its folder is made again. What another leads to within the mount is shown in its place if it
    /// is a file; one that leads to a folder or nowhere is left out.
    fn link(&mut self, folder: &OwnedFd, name: &CStr, shown: &Path) -> io::Result<()> {
        let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
        let target = PathBuf::from(target.to_string_lossy().into_owned());
        let stays = target
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if stays {
            return std::os::unix::fs::symlink(target, shown);
        }
        let path = self.path_of(folder)?.join(name.to_string_lossy().as_ref());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let root = self.mount.descriptor();
        let Ok(opened) = rustix::fs::openat2(root, &path, flags, Mode::empty(), resolve) else {
            return Ok(());
        };
        let file = fs::File::from(opened);
        if !file.metadata()?.is_file() {
            return Ok(());
        }
        let source = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let follow = AtFlags::SYMLINK_FOLLOW;
        if self.by == By::Links && rustix::fs::linkat(CWD, source, CWD, shown, follow).is_ok() {
            return Ok(());
        }
        self.copy(file, shown)
    }

    /// A folder's path as seen from the mount.
    fn path_of(&self, folder: &OwnedFd) -> io::Result<PathBuf> {
        let real = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
        let root = fs::read_link(self.mount.path())?;
        let below = real.strip_prefix(root);
        Ok(below.map_or_else(|_| PathBuf::new(), Path::to_owned))
    }
}
