//! Room set aside in a file beside the database. On a full disk a delete needs some before it frees any: for the
//! write-ahead log, and for what the log of changes keeps of the deleted.
//!
//! Invariant: what the log makes the database grow by is set aside, too. A log that was long once is written over where it
//! lies, for which a full disk has room; were that to go on beyond what is set aside, the log could never be brought into
//! the database, and there would be no room for deletes. It is not brought in there and then: a reader may be in the way.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::checkpoint::PAGE_BYTES;
use super::in_place;
use super::open::beside;

/// Two values of the largest size: one in the write-ahead log, one that the database grows by.
const BYTES: u64 = 8 << 20;
/// A log that makes the database grow by more has so much more set aside than it takes, so that not each write sees to it.
const AHEAD: u64 = BYTES / 4;
/// What a start on a full disk has of it.
pub(super) const LENT: u64 = BYTES / 16;
/// SQLite writes page after page. A file system without room for so much has none for a page, or hardly.
const PROBE: u64 = 64 << 10;
/// Pause between attempts to set aside what was not to be had.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Reserve {
    path: PathBuf,
    /// What is set aside.
    held: u64,
    /// What was before it was given up, without that of a long log: others get no room until it is again.
    owed: u64,
    /// When as much as there is room for was last set aside, unless the file system cannot do it.
    tried: Option<Instant>,
    /// On btrfs a write to mapped memory, as SQLite's to the index of the log, ends the process once a quota is used up.
    /// Whether one is, is asked before each.
    btrfs: bool,
}

impl Reserve {
    /// Goes on with what an earlier run left set aside, and as much more as is usual and there is room for.
    pub(super) fn beside(database: &Path) -> Reserve {
        let left = Reserve::left(database);
        let mut reserve = Reserve { held: 0, ..left };
        reserve.covers(left.held);
        reserve.take_if_short();
        reserve
    }

    fn left(database: &Path) -> Reserve {
        let path = beside(database, "-reserve");
        Reserve {
            held: std::fs::metadata(&path).map_or(0, |metadata| metadata.len()),
            path,
            owed: 0,
            tried: Some(Instant::now()),
            btrfs: in_place::is_btrfs(database),
        }
    }

    /// A start takes room, too, for the log and its index. On a full disk it has a part of what an earlier run left set
    /// aside.
    pub(super) fn lend(database: &Path) {
        let mut reserve = Reserve::left(database);
        let held = reserve.held;
        if held > LENT && reserve.is_full(0) {
            // All of it at first: btrfs gives back no part of what was had as a whole.
            reserve.give_up();
            if let Err(error) = reserve.allocate(held - LENT) {
                tracing::debug!(%error, path = %reserve.path.display(), "less is set aside");
            }
        }
    }

    /// Whether a write may go on that lets the log make the database grow by `more` than the `growth` it does. All of that
    /// stays set aside with what was, and with room on the disk more is: a log that grows is no reason to wait for a
    /// checkpoint.
    pub(super) fn allows(&mut self, growth: u64, more: u64) -> bool {
        // With some to spare: what SQLite and the file system write for themselves counts, too.
        if self.btrfs && self.probe(more + LENT).is_err_and(|error| is_quota(&error)) {
            return false;
        }
        let growth = growth + more;
        if self.held > BYTES.max(growth + AHEAD) + AHEAD {
            self.shorten(growth);
        }
        if self.tried.is_some_and(|tried| tried.elapsed() >= RETRY) {
            self.take_if_short();
        }
        let least = (growth + LENT).max(self.owed);
        // Where there is no room for some ahead, what there is remains for deletes.
        let wanted = if least > BYTES { growth + AHEAD } else { least };
        self.held >= least || self.covers(wanted)
    }

    /// Whether so much is set aside, or can be for the moment. Where the file system cannot tell, it is to be tried.
    pub(super) fn covers(&mut self, bytes: u64) -> bool {
        if self.held >= bytes || self.tried.is_none() {
            return true;
        }
        match self.allocate(bytes) {
            Ok(()) => self.held = bytes,
            Err(error) if no_room(&error) => return false,
            // Without room for it, the write says so.
            Err(error) => {
                tracing::debug!(%error, path = %self.path.display(), "no more is set aside")
            }
        }
        true
    }

    /// The same of what the log makes the database grow by, and of what the next start may have besides.
    pub(super) fn keeps(&mut self, growth: u64) -> bool {
        self.covers(growth + LENT)
    }

    /// Gives back what a long log needed, but for `bytes`.
    pub(super) fn shorten(&mut self, bytes: u64) {
        let bytes = (bytes + AHEAD).max(BYTES);
        if self.held <= bytes {
            return;
        }
        let file = File::options().write(true).open(&self.path);
        match file.and_then(|file| file.set_len(bytes)) {
            Ok(()) => self.held = bytes,
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "too much is set aside");
            }
        }
    }

    /// Whether the file system, or a quota on it, has no room for so much and some.
    pub(super) fn is_full(&self, bytes: u64) -> bool {
        self.tried.is_some() && self.probe(bytes).is_err_and(|error| no_room(&error))
    }

    /// Whether there is room for so much besides, and some.
    fn probe(&self, bytes: u64) -> io::Result<()> {
        let tried = self.allocate(self.held + bytes + PROBE);
        let file = File::options().write(true).open(&self.path);
        if let Err(error) = file.and_then(|file| file.set_len(self.held)) {
            tracing::warn!(%error, path = %self.path.display(), "too much is set aside");
        }
        tried
    }

    /// Sets aside what is missing, but for what a start had of it: that may be all that writes have.
    fn take_if_short(&mut self) {
        if self.held < BYTES - LENT {
            self.take(0);
        }
    }

    /// Sets aside as much as there is room for, up to what is usual: what the log makes the database grow by before all
    /// else, and a part of it rather than nothing.
    pub(super) fn take(&mut self, growth: u64) {
        let _ = self.keeps(growth) || self.covers(growth);
        let Some(tried) = self.tried.as_mut() else {
            return;
        };
        *tried = Instant::now();
        let most = growth.max(BYTES);
        let mut step = most.saturating_sub(self.held);
        while self.held < most && step >= PAGE_BYTES {
            match self.allocate(self.held + step) {
                Ok(()) => self.held += step,
                Err(error) if no_room(&error) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    tracing::debug!(%error, path = %self.path.display(), "no room can be set aside");
                    self.give_up();
                    (self.owed, self.tried) = (0, None);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "no room is set aside; it is tried again");
                    return;
                }
            }
            step /= 2;
        }
        if self.held == 0 {
            self.give_up();
        }
    }

    /// Gives the room back.
    pub(super) fn give_up(&mut self) {
        self.owed = self.owed.max(self.held.min(BYTES));
        self.held = 0;
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "room that was set aside cannot be given back");
        }
    }

    /// A file of that size that has its blocks; if it cannot be had, none that is larger than it was.
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut options = File::options();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // It may have come half-way.
            let length = file.metadata()?.len();
            file.set_len(length.min(self.held))?;
            return Err(error.into());
        }
        Ok(())
    }
}

fn no_room(error: &io::Error) -> bool {
    error.kind() == ErrorKind::StorageFull || is_quota(error)
}

fn is_quota(error: &io::Error) -> bool {
    error.kind() == ErrorKind::QuotaExceeded
}
