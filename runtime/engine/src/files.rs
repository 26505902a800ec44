//! The files a guest sees: its mounts, and nothing else of the host.
//!
//! wasmtime-wasi keeps paths inside a mount (no `..`, no symbolic link leads out). This module adds what it lacks for
//! containers: mounts of single files, EROFS for writes to read-only mounts, limits of open files and of what a mount may
//! hold.

mod creation;
mod host;
mod mark;
mod mirror;
mod mounts;
pub(crate) mod p1;
pub(crate) mod p2;
pub(crate) mod p3;
mod quota;
mod scratch;
mod table;

pub(crate) use mounts::Preopens;
pub(crate) use scratch::{Pace, Scratch};
pub use table::widen_descriptor_table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Part of the process's descriptors that guests may use together. What the other shares leave is for everything else.
const GUESTS_SHARE: u64 = 2;

/// Part of the process's descriptors for the first connections of each HTTP handler.
const FIRST_CONNECTIONS_SHARE: u64 = 4;

/// Part of the guests' share that one container may hold, all its instances together. More if one instance may hold more.
const CONTAINERS_SHARE: u64 = 4;

/// The descriptors that guests may hold: all of them together, or those of one container.
pub(crate) struct FileBudget {
    used: AtomicU64,
    limit: u64,
    /// What these are a part of.
    whole: Option<Arc<FileBudget>>,
}

impl FileBudget {
    /// A share of what the process may open now (`RLIMIT_NOFILE`).
    pub(crate) fn of_process() -> Arc<Self> {
        Self::of(process_limit() / GUESTS_SHARE)
    }

    /// Another one: for the first connections of all HTTP handlers, which need none of that.
    pub(crate) fn of_first_connections() -> Arc<Self> {
        Self::of(process_limit() / FIRST_CONNECTIONS_SHARE)
    }

    pub(crate) fn of(limit: u64) -> Arc<Self> {
        Arc::new(FileBudget {
            used: AtomicU64::new(0),
            limit,
            whole: None,
        })
    }

    /// The part of one container, each of whose instances may hold `instance` descriptors: one container does not take
    /// all there are.
    pub(crate) fn of_container(self: &Arc<Self>, instance: u32) -> Arc<Self> {
        let limit = (self.limit / CONTAINERS_SHARE).max(u64::from(instance));
        Arc::new(FileBudget {
            used: AtomicU64::new(0),
            limit: limit.min(self.limit),
            whole: Some(self.clone()),
        })
    }

    /// One descriptor, unless guests hold all of theirs.
    pub(crate) fn take(self: &Arc<Self>) -> Option<FileSlot> {
        let whole = match &self.whole {
            Some(whole) => Some(Box::new(whole.take()?)),
            None => None,
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.limit).then_some(used + 1)
            })
            .is_ok();
        taken.then(|| FileSlot {
            budget: self.clone(),
            _whole: whole,
        })
    }

    /// One descriptor, as soon as there is one; looks for it again and again after a pause.
    pub(crate) async fn wait(self: &Arc<Self>, pause: Duration) -> FileSlot {
        loop {
            if let Some(slot) = self.take() {
                return slot;
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn process_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // No limit is as good as one that is never reached.
    limit.unwrap_or(u64::from(u32::MAX))
}

/// One descriptor out of the budget, given back when dropped.
pub(crate) struct FileSlot {
    budget: Arc<FileBudget>,
    _whole: Option<Box<FileSlot>>,
}

impl Drop for FileSlot {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_return_to_the_budget() {
        let budget = FileBudget::of(1);
        let slot = budget.take();
        assert!(slot.is_some());
        assert!(budget.take().is_none());
        drop(slot);
        assert!(budget.take().is_some());
    }

    #[test]
    fn no_container_takes_all_there_are() {
        let all = FileBudget::of(8);
        let (greedy, other) = (all.of_container(1), all.of_container(1));
        let taken: Vec<_> = std::iter::from_fn(|| greedy.take()).collect();
        assert_eq!(taken.len(), 2);
        assert!(other.take().is_some());
        drop(taken);
        assert_eq!(all.used.load(Ordering::Relaxed), 0);
        // What one instance may hold its container may as well, as far as there is so much.
        assert_eq!(all.of_container(4).limit, 4);
        assert_eq!(all.of_container(100).limit, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_needs_a_slot_waits_for_one() {
        let budget = FileBudget::of(1);
        let slot = budget.take();
        let pause = Duration::from_millis(10);
        let waiting = budget.wait(pause);
        assert!(tokio::time::timeout(100 * pause, waiting).await.is_err());
        drop(slot);
        budget.wait(pause).await;
    }
}
