//! How long the files of one container may take to be made or removed before others have to wait for it.

use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::fs::File;
use std::io;

/// Bytes that are copied in a moment.
const QUICK_BYTES: u64 = 16 << 20;

/// How much time there is.
pub(crate) enum Pace {
    /// A moment: so many bytes may still be copied, and nobody is waited for. What takes longer fails, and nothing is left
    /// of it.
    Quick(Cell<u64>),
    /// As long as it takes.
    Slow,
}

impl Pace {
    pub(crate) fn quick() -> Self {
        Pace::Quick(Cell::new(QUICK_BYTES))
    }

    /// Whether something was not done because there was not the time for it.
    pub(crate) fn is_kept(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock
    }

    /// Asked before a file is copied.
    pub(in super::super) fn copies(&self, file: &File) -> io::Result<()> {
        if let Pace::Quick(left) = self {
            let length = file.metadata()?.len();
            let less = left.get().checked_sub(length);
            left.set(less.ok_or(io::ErrorKind::WouldBlock)?);
        }
        Ok(())
    }

    /// Locks what others may hold for as long as they copy.
    pub(super) fn lock<'a, T>(&self, what: &'a Mutex<T>) -> io::Result<MutexGuard<'a, T>> {
        match self {
            Pace::Quick(_) => Ok(what.try_lock().ok_or(io::ErrorKind::WouldBlock)?),
            Pace::Slow => Ok(what.lock()),
        }
    }
}
