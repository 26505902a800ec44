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
/// What there is room for is found in steps.
const STEP: u64 = BYTES / 16;
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
        reserve.take();
        reserve
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Sets aside again what was given up. Answers whether it is.
    pub(super) fn restore(&mut self) -> bool {
        if self.held < self.owed && allocate(&self.path, self.owed).is_ok() {
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
            match allocate(&self.path, bytes) {
                Ok(()) => {
                    self.held = bytes;
                    return;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                    ) => {}
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
        self.owed = self.owed.max(self.held);
        self.held = 0;
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "room that was set aside cannot be given back");
        }
    }
}

/// A file of that size that has its blocks.
fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut options = File::options();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        // It may have come half-way.
        let length = file.metadata()?.len();
        file.set_len(length.min(bytes - STEP))?;
        return Err(error.into());
    }
    Ok(())
}
