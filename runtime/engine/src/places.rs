//! Places for instances: so many may be alive at once, of an engine or of one container.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places, and whether anybody waits for one.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Somebody waits for places.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Places {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        Arc::new(Places {
            free: Arc::new(Semaphore::new(all)),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Whether instances that do nothing should give way, also those that begin to do nothing now.
    pub(crate) fn are_waited_for(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Places that are free, or that `give_up` makes free: it ends an instance that does nothing, if there is one.
    pub(crate) fn try_take(
        &self,
        places: u32,
        give_up: impl Fn() -> bool,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(taken) = self.free.clone().try_acquire_many_owned(places) {
                return Some(taken);
            }
            if !give_up() {
                return None;
            }
        }
    }

    /// The same, after all who wait already.
    pub(crate) async fn take(
        &self,
        places: u32,
        give_up: impl Fn() -> bool,
    ) -> Option<OwnedSemaphorePermit> {
        if let Some(taken) = self.try_take(places, &give_up) {
            return Some(taken);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        // An instance that began to do nothing before this was known gives way here, any later one by itself.
        if let Some(taken) = self.try_take(places, give_up) {
            return Some(taken);
        }
        self.free.clone().acquire_many_owned(places).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn who_waits_is_seen_by_those_who_could_give_way() {
        let places = Places::new(1);
        let taken = places.try_take(1, || false).expect("free");
        assert!(!places.are_waited_for());
        let mut waiting = Box::pin(places.take(1, || false));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(places.are_waited_for());
        drop(taken);
        let taken = waiting.await.expect("given");
        assert!(!places.are_waited_for());
        drop(Box::pin(places.take(1, || false)).now_or_never());
        assert!(!places.are_waited_for(), "it gave up");
        assert_eq!(places.free(), 0);
        drop(taken);
        assert_eq!(places.free(), 1);
    }
}
