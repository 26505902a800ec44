//! Files that are written where they lie, on a file system that otherwise copies what is written over: btrfs.
//!
//! There each overwrite needs room of its own. Without any, deletes fail, and a write to the index of the log, which is
//! mapped to memory, ends the process by SIGBUS. Only empty files take the attribute against that, so they are made before
//! SQLite would. Each file has it, not the folder: what else is in there keeps its checksums, which go with copying.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::{
    FallocateFlags, FlockOperation, IFlags, OFlags, fallocate, fcntl_lock, ioctl_getflags,
    ioctl_setflags, statfs,
};
use rustix::io::Errno;

use super::checkpoint::{HARD_LIMIT, PAGE_BYTES};
use super::open::beside;

/// What the index has for so many pages of the log.
const REGION_BYTES: u64 = 32 << 10;
const REGION_PAGES: u64 = 4096;
/// A log may be allowed to be longer than is worth an index that is never used up.
const MOST_INDEX_BYTES: u64 = 1 << 20;

/// Makes an empty file that is written in place if the file system knows how.
pub(super) fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(mode).open(path)?;
    set(&file, path);
    Ok(file)
}

/// Has an empty file written in place. Answers whether it is.
pub(super) fn set(file: &File, path: &Path) -> bool {
    match try_set(file) {
        Ok(set) => set,
        Err(error) => {
            tracing::debug!(%error, path = %path.display(), "it cannot be written in place");
            false
        }
    }
}

/// Whether a file is on btrfs.
pub(super) fn is_btrfs(path: &Path) -> bool {
    const MAGIC: u32 = 0x9123_683e;
    statfs(path).is_ok_and(|system| system.f_type as u32 == MAGIC)
}

fn try_set(file: &File) -> io::Result<bool> {
    let flags = ioctl_getflags(file)?;
    if flags.contains(IFlags::NOCOW) {
        return Ok(true);
    }
    if file.metadata()?.len() > 0 {
        return Ok(false);
    }
    match ioctl_setflags(file, flags | IFlags::NOCOW) {
        Err(Errno::INVAL) if flags.contains(IFlags::COMPRESSED) => {
            // Inherited of the folder, and the two exclude each other.
            let plain = flags - IFlags::COMPRESSED;
            ioctl_setflags(file, plain)?;
            ioctl_setflags(file, plain | IFlags::NOCOW)?;
        }
        result => result?,
    }
    // It may be ignored without an error.
    Ok(ioctl_getflags(file)?.contains(IFlags::NOCOW))
}

/// Makes the write-ahead log of a database and its index, before the first connection to it. What cannot be done is left
/// to SQLite, which says so if it cannot either.
pub(super) fn make_log(database: &Path, checkpoint_bytes: u64) {
    let log = beside(database, "-wal");
    tell(
        &log,
        open_beside(database, &log).and_then(|log| try_set(&log)),
    );
    let index = beside(database, "-shm");
    tell(&index, make_index(database, &index, checkpoint_bytes));
}

fn tell(path: &Path, made: io::Result<bool>) {
    let path = path.display();
    match made {
        Ok(true) => {}
        Ok(false) => tracing::debug!(%path, "it is written in place once it is made anew"),
        Err(error) => tracing::debug!(%error, %path, "it is not made ahead"),
    }
}

/// Whatever the index holds, the first connection throws it away, unless another process has the database open.
///
/// Nothing of this process has, or closing the file would take SQLite's locks on it away.
fn make_index(database: &Path, path: &Path, checkpoint_bytes: u64) -> io::Result<bool> {
    let file = open_beside(database, path)?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.set_len(0)?;
    let set = try_set(&file)?;
    // What is written for the first time needs room even so, and mapped to memory it must be there. SQLite lets the
    // file grow, which leaves its blocks; were it longer, they would be cut off.
    let bytes = index_bytes(checkpoint_bytes);
    fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes)?;
    Ok(set)
}

/// For the longest log, and a transaction that makes it longer.
fn index_bytes(checkpoint_bytes: u64) -> u64 {
    let pages = checkpoint_bytes.saturating_mul(HARD_LIMIT) / PAGE_BYTES;
    let bytes = (pages / REGION_PAGES + 2).saturating_mul(REGION_BYTES);
    bytes.min(MOST_INDEX_BYTES)
}

/// As SQLite makes a file beside the database: with its mode, and its owner where root may be another.
fn open_beside(database: &Path, path: &Path) -> io::Result<File> {
    let like = database.metadata()?;
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    let file = options.custom_flags(no_link).open(path)?;
    if file.metadata()?.len() == 0 {
        file.set_permissions(like.permissions())?;
        // For root only.
        let _ = fchown(&file, Some(like.uid()), Some(like.gid()));
    }
    Ok(file)
}
