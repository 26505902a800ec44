//! Room set aside in a file beside the database. On a full disk a delete needs some before it frees any: for the
//! write-ahead log, and for what the log of changes keeps of the deleted.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::open::beside;

/// Two values of the largest size: one in the write-ahead log, one that the database grows by.
const BYTES: u64 = 8 << 20;
/// A log that makes the database grow by more has so much more set aside than it takes, so that not each write sees to it.
pub(super) const AHEAD: u64 = BYTES / 4;
/// What there is room for is found in steps.
const STEP: u64 = BYTES / 16;
/// SQLite writes page after page. A file system without room for so much has none for a page, or hardly.
const PROBE: u64 = 64 << 10;
/// Pause between attempts to set aside what was not to be had.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Reserve {
    path: PathBuf,
    /// What is set aside.
    held: u64,
    /// What was before it was given up: others get no room until it is again.
    owed: u64,
    /// When it was last tried, unless the file system cannot do it.
    tried: Option<Instant>,
}

impl Reserve {
    /// Sets aside as much as there is room for.
    pub(super) fn beside(database: &Path) -> Reserve {
        let mut reserve = Reserve {
            path: beside(database, "-reserve"),
            held: 0,
            owed: 0,
            tried: Some(Instant::now()),
        };
        // A long log that an unclean stop left needs what was set aside for it.
        let left = std::fs::metadata(&reserve.path).map_or(0, |metadata| metadata.len());
        if left > BYTES && reserve.allocate(left, BYTES).is_ok() {
            reserve.held = left;
        }
        reserve.take();
        reserve
    }

    /// A start takes room, too, for the log and its index. On a full disk it has a part of what an earlier run left set
    /// aside.
    pub(super) fn lend(database: &Path) {
        let path = beside(database, "-reserve");
        let held = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let mut reserve = Reserve {
            path,
            held,
            owed: 0,
            tried: Some(Instant::now()),
        };
        if held > STEP && reserve.is_full() {
            // All of it at first: btrfs gives back no part of what was had as a whole.
            reserve.give_up();
            if let Err(error) = reserve.allocate(held - STEP, 0) {
                tracing::debug!(%error, path = %reserve.path.display(), "less is set aside");
            }
        }
    }

    /// Whether so much is set aside, or can be for the moment. Where the file system cannot tell, it is to be tried.
    pub(super) fn covers(&mut self, bytes: u64) -> bool {
        if self.held < bytes && self.tried.is_some() && self.allocate(bytes, self.held).is_ok() {
            self.held = bytes;
        }
        self.held >= bytes || self.tried.is_none()
    }

    /// Bytes set aside.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Whether the file system can set room aside.
    pub(super) fn is_possible(&self) -> bool {
        self.tried.is_some()
    }

    /// Whether more is set aside than without a long log.
    pub(super) fn is_long(&self) -> bool {
        self.held > BYTES
    }

    /// Sets more aside if it is less than `bytes`. Answers whether there is room for that.
    pub(super) fn lengthen(&mut self, bytes: u64) -> bool {
        if self.held >= bytes {
            return true;
        }
        let bytes = bytes.saturating_add(AHEAD);
        match self.allocate(bytes, self.held) {
            Ok(()) => self.held = bytes,
            Err(error) if no_room(&error) => return false,
            // Without room for it, the write says so.
            Err(error) => {
                tracing::debug!(%error, path = %self.path.display(), "no more is set aside");
            }
        }
        true
    }

    /// Gives back what a long log needed, but for `bytes`.
    pub(super) fn shorten(&mut self, bytes: u64) {
        let bytes = bytes.saturating_add(AHEAD).max(BYTES);
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

    /// Whether the file system, or a quota on it, has no room.
    pub(super) fn is_full(&self) -> bool {
        if self.tried.is_none() {
            return false;
        }
        let tried = self.allocate(self.held + PROBE, self.held);
        let file = File::options().write(true).open(&self.path);
        if let Err(error) = file.and_then(|file| file.set_len(self.held)) {
            tracing::warn!(%error, path = %self.path.display(), "too much is set aside");
        }
        tried.is_err_and(|error| no_room(&error))
    }

    /// Sets aside again what was given up. Answers whether it is.
    pub(super) fn restore(&mut self) -> bool {
        if self.held < self.owed && self.allocate(self.owed, self.held).is_ok() {
            self.held = self.owed;
        }
        self.held >= self.owed
    }

    /// Sets aside what is missing, now and then.
    pub(super) fn take_if_due(&mut self) {
        if self.held < BYTES && self.tried.is_some_and(|tried| tried.elapsed() >= RETRY) {
            self.take();
        }
    }

    /// Sets aside as much as there is room for.
    pub(super) fn take(&mut self) {
        let Some(tried) = self.tried.as_mut() else {
            return;
        };
        *tried = Instant::now();
        let sizes = (1..=BYTES / STEP).rev().map(|steps| steps * STEP);
        for bytes in sizes.take_while(|bytes| *bytes > self.held) {
            match self.allocate(bytes, bytes - STEP) {
                Ok(()) => {
                    self.held = bytes;
                    return;
                }
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

    /// A file of that size that has its blocks; if it cannot be had, one of at most `otherwise`.
    fn allocate(&self, bytes: u64, otherwise: u64) -> io::Result<()> {
        let mut options = File::options();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // It may have come half-way.
            let length = file.metadata()?.len();
            file.set_len(length.min(otherwise))?;
            return Err(error.into());
        }
        Ok(())
    }
}

fn no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
