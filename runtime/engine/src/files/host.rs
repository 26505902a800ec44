//! Opening what a mount names on the host, once. What is opened is held by descriptor, so what other guests rename or
//! replace afterwards has no effect.

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder or file of the host. Clones share the descriptor.
#[derive(Clone)]
pub(super) struct HostPath {
    descriptor: Arc<OwnedFd>,
}

impl HostPath {
    /// Opens a path that holds no symbolic link. Guests may write folders on the way to it, so a link that is there
    /// now was not there when the path was checked, and following it would lead anywhere.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(descriptor) => Ok(HostPath::of(descriptor)),
            Err(Errno::LOOP) => Err(io::Error::other("there is a symbolic link in its path")),
            Err(error) => Err(error.into()),
        }
    }

    /// What is open already, with the same meaning.
    pub(super) fn of(descriptor: OwnedFd) -> Self {
        HostPath {
            descriptor: Arc::new(descriptor),
        }
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    pub(super) fn kind(&self) -> io::Result<FileType> {
        let stat = rustix::fs::fstat(&self.descriptor)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    /// A path that leads to what was opened, wherever it is by now. Valid while this value lives.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }
}

/// Opens a file again to write over it, with the same care: what is there by now may be no file.
pub(super) fn overwrite(path: &Path) -> io::Result<std::fs::File> {
    let found = HostPath::open(path)?;
    if !found.kind()?.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    std::fs::OpenOptions::new().write(true).open(found.path())
}
