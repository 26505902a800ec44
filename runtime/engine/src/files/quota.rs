//! How much the folders and files of mounts may hold.
//!
//! Nobody can keep count of a folder that many write, truncate and unlink in; what can be done exactly is to measure it
//! and to hand out no more than was left. A write takes its bytes from what is left; when that does not suffice the
//! folder is measured again, and only if it is really full the write fails with ENOSPC. Overwriting costs like
//! appending until the next measuring corrects it. Measuring takes at most a twentieth of the time: a guest at its
//! limit waits, nobody else does.
//!
//! A file that has lost its last name and is still open takes room as well. All guests that could hold one are in this
//! process, so its descriptors show them (see `unnamed`).

mod unnamed;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Files and folders a limited volume may hold however small it is, and bytes that allow one more.
const MIN_ENTRIES: u64 = 1_024;
const BYTES_PER_ENTRY: u64 = 1_024;

/// Folders in folders that are followed when measuring; what is nested deeper counts as full.
const MAX_DEPTH: usize = 128;

/// How much longer than a measuring took the next one has to wait.
const REST: u32 = 20;

/// What a write that no room is left for becomes for the guest.
pub(super) fn full() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

/// The quotas in use, by the path they are for: containers that mount the same folder share one.
#[derive(Default)]
pub(crate) struct Quotas {
    known: Mutex<HashMap<PathBuf, Weak<Quota>>>,
}

impl Quotas {
    /// The quota of a folder or file. A limit given later replaces an earlier one.
    pub(super) fn of(&self, path: &Path, bytes: u64) -> Arc<Quota> {
        let mut known = self.known.lock();
        if let Some(quota) = known.get(path).and_then(Weak::upgrade) {
            quota.limit.store(bytes, Ordering::Relaxed);
            return quota;
        }
        known.retain(|_, quota| quota.strong_count() > 0);
        let quota = Arc::new(Quota {
            root: path.to_owned(),
            limit: AtomicU64::new(bytes),
            left: AtomicI64::new(0),
            entries_left: AtomicI64::new(0),
            in_flight: AtomicI64::new(0),
            loses_names: AtomicBool::new(false),
            measured: tokio::sync::Mutex::new(None),
        });
        known.insert(path.to_owned(), Arc::downgrade(&quota));
        quota
    }
}

/// One folder's or file's limit.
pub(crate) struct Quota {
    root: PathBuf,
    limit: AtomicU64,
    /// Bytes, and files and folders, that may be added before the next measuring.
    left: AtomicI64,
    entries_left: AtomicI64,
    /// Bytes taken by writes that are under way or about to be.
    in_flight: AtomicI64,
    /// Whether a guest ever removed or replaced a name: until then no file without one can be open.
    loses_names: AtomicBool,
    /// When the last measuring ended and how long it took; held while one is under way.
    measured: tokio::sync::Mutex<Option<(Instant, Duration)>>,
}

/// Bytes taken for a write that is under way.
pub(super) struct Taken<'a> {
    quota: &'a Quota,
    bytes: i64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.quota.in_flight.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Quota {
    /// Room for a write of `bytes`; `None` if there is none.
    pub(super) async fn take(&self, bytes: u64) -> Option<Taken<'_>> {
        let bytes = i64::try_from(bytes).ok()?;
        // Counted before it is taken, so that a measuring meanwhile misses no write.
        self.in_flight.fetch_add(bytes, Ordering::AcqRel);
        let taken = Taken { quota: self, bytes };
        if take(&self.left, bytes) {
            return Some(taken);
        }
        drop(taken);
        self.measure(|| self.left.load(Ordering::Acquire) >= bytes)
            .await;
        self.in_flight.fetch_add(bytes, Ordering::AcqRel);
        let taken = Taken { quota: self, bytes };
        take(&self.left, bytes).then_some(taken)
    }

    /// At most `bytes`, at least one byte if there is any left: zero means the volume is full.
    pub(super) async fn take_some(&self, bytes: u64) -> u64 {
        let some = self.take_now(bytes);
        if some > 0 {
            return some;
        }
        self.measure(|| self.left.load(Ordering::Acquire) > 0).await;
        self.take_now(bytes)
    }

    /// The same without measuring.
    pub(super) fn take_now(&self, bytes: u64) -> u64 {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                (left > 0).then(|| left - left.min(bytes))
            });
        let some = before.map_or(0, |left| left.min(bytes));
        self.in_flight.fetch_add(some, Ordering::AcqRel);
        some.unsigned_abs()
    }

    /// What [`Quota::take_now`] took is written.
    pub(super) fn wrote(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(0);
        self.in_flight.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives back what was taken and not written.
    pub(super) fn give_back(&self, bytes: u64) {
        self.wrote(bytes);
        let bytes = i64::try_from(bytes).unwrap_or(0);
        self.left.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Room for one more file or folder.
    pub(super) async fn take_entry(&self) -> bool {
        if take(&self.entries_left, 1) {
            return true;
        }
        self.measure(|| self.entries_left.load(Ordering::Acquire) > 0)
            .await;
        take(&self.entries_left, 1)
    }

    /// Files may have grown without writes: the next write measures first.
    pub(super) fn forget(&self) {
        self.left.store(0, Ordering::Release);
    }

    /// A guest is about to remove a name, or to put a file where another may be.
    pub(super) fn loses_name(&self) {
        self.loses_names.store(true, Ordering::Release);
    }

    /// Measures anew, unless somebody else's measuring made what is wanted possible.
    async fn measure(&self, enough: impl Fn() -> bool) {
        let mut measured = self.measured.lock().await;
        if enough() {
            return;
        }
        if let Some((at, took)) = *measured {
            tokio::time::sleep_until((at + took * REST).into()).await;
        }
        // Nobody else takes anything meanwhile: what is measured is what is there.
        self.left.store(0, Ordering::Release);
        self.entries_left.store(0, Ordering::Release);
        let (begun, root) = (Instant::now(), self.root.clone());
        let loses_names = self.loses_names.load(Ordering::Acquire);
        let usage = tokio::task::spawn_blocking(move || {
            let mut usage = usage(&root)?;
            if loses_names {
                usage.bytes = usage.bytes.saturating_add(unnamed::bytes_below(&root)?);
            }
            io::Result::Ok(usage)
        });
        let usage = usage.await;
        *measured = Some((Instant::now(), begun.elapsed()));
        let usage = match usage {
            Ok(Ok(usage)) => usage,
            Ok(Err(error)) => {
                tracing::debug!(%error, root = %self.root.display(), "a volume cannot be measured");
                return;
            }
            Err(_cancelled) => return,
        };
        let limit = self.limit.load(Ordering::Relaxed);
        let room = |limit: u64, used: u64| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            limit.saturating_sub(i64::try_from(used).unwrap_or(i64::MAX))
        };
        let left = room(limit, usage.bytes) - self.in_flight.load(Ordering::Acquire);
        self.left.store(left.max(0), Ordering::Release);
        let entries = (limit / BYTES_PER_ENTRY).saturating_add(MIN_ENTRIES);
        let entries_left = room(entries, usage.entries);
        self.entries_left
            .store(entries_left.max(0), Ordering::Release);
    }
}

fn take(left: &AtomicI64, amount: i64) -> bool {
    left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
        (left >= amount).then(|| left - amount)
    })
    .is_ok()
}

/// The lengths of the files in a folder together.
pub(super) fn bytes_in(folder: &Path) -> io::Result<u64> {
    Ok(usage(folder)?.bytes)
}

#[derive(Debug, Default, PartialEq)]
struct Usage {
    /// The files' lengths together.
    bytes: u64,
    /// Files, folders and links.
    entries: u64,
}

/// What a folder or file holds. Guests may change it meanwhile, so no link is followed.
fn usage(root: &Path) -> io::Result<Usage> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(rustix::fs::CWD, root, flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&opened)?;
    let mut usage = Usage::default();
    if !FileType::from_raw_mode(stat.st_mode).is_dir() {
        usage.bytes = stat.st_size.unsigned_abs();
        return Ok(usage);
    }
    let mut pending: Vec<(Arc<OwnedFd>, CString, usize)> =
        vec![(Arc::new(opened), c".".to_owned(), 0)];
    while let Some((parent, name, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("its folders are nested too deep"));
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = match rustix::fs::openat(&*parent, &name, flags, Mode::empty()) {
            // Gone, or no folder any more.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                continue;
            }
            opened => Arc::new(opened?),
        };
        for entry in Dir::read_from(&*folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            usage.entries += 1;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => pending.push((folder.clone(), name.to_owned(), depth + 1)),
                FileType::RegularFile => {
                    usage.bytes = usage.bytes.saturating_add(stat.st_size.unsigned_abs());
                }
                _ => {}
            }
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn usage_counts_what_is_below_and_follows_no_link() {
        let temp = tempfile::tempdir().expect("the folder is there");
        let root = temp.path().canonicalize().expect("the folder is there");
        fs::create_dir_all(root.join("v/a/b")).expect("the folder is there");
        fs::write(root.join("outside"), vec![0; 1000]).expect("the folder is there");
        fs::write(root.join("v/a/b/x"), vec![0; 10]).expect("the folder is there");
        fs::write(root.join("v/y"), vec![0; 5]).expect("the folder is there");
        std::os::unix::fs::symlink("../outside", root.join("v/link")).expect("the folder is there");
        std::os::unix::fs::symlink("..", root.join("v/up")).expect("the folder is there");
        let found = usage(&root.join("v")).expect("the folder is there");
        let (bytes, entries) = (15, 6);
        assert_eq!(found, Usage { bytes, entries });
        let file = usage(&root.join("outside")).expect("the folder is there");
        assert_eq!((file.bytes, file.entries), (1000, 0));
        assert!(usage(&root.join("none")).is_err());
        let deep = vec!["d"; MAX_DEPTH + 2].join("/");
        fs::create_dir_all(root.join("v").join(deep)).expect("the folder is there");
        assert!(usage(&root.join("v")).is_err());
    }

    #[tokio::test]
    async fn an_open_file_without_a_name_counts() {
        let temp = tempfile::tempdir().expect("the folder is there");
        let root = temp.path().canonicalize().expect("the folder is there");
        let quotas = Quotas::default();
        let quota = quotas.of(&root, 100);
        let file = fs::File::create(root.join("f")).expect("the folder is there");
        file.set_len(60).expect("there is room");
        quota.loses_name();
        fs::remove_file(root.join("f")).expect("it is there");
        assert!(quota.take(60).await.is_none());
        drop(file);
        assert!(quota.take(60).await.is_some(), "gone with its descriptor");
    }

    #[tokio::test]
    async fn what_is_left_is_handed_out_once() {
        let temp = tempfile::tempdir().expect("the folder is there");
        let root = temp.path().canonicalize().expect("the folder is there");
        let quotas = Quotas::default();
        let quota = quotas.of(&root, 100);
        assert!(Arc::ptr_eq(&quota, &quotas.of(&root, 100)));
        let taken = quota.take(60).await.expect("there is room");
        assert!(quota.take(60).await.is_none(), "a write under way counts");
        fs::write(root.join("f"), vec![0; 60]).expect("the folder is there");
        drop(taken);
        assert!(quota.take(60).await.is_none());
        assert_eq!(quota.take_some(60).await, 40);
        assert_eq!(quota.take_now(1), 0);
        quota.give_back(40);
        fs::write(root.join("f"), "").expect("the folder is there");
        assert!(quota.take(90).await.is_some(), "what was removed is found");
        quota.forget();
        assert!(quota.take(90).await.is_some(), "nothing was written");
    }
}
