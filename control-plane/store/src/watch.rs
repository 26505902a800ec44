//! A watch: a cursor over a bucket's history. It holds no queue, so a slow watcher costs the writer nothing; one that
//! is slower than the history is long is told so and starts again from a list.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use crate::contract::Event;
use crate::error::WatchError;
use crate::key::{Prefix, Revision};
use crate::memory::Memory;

/// So many watchers of one bucket are a crowd.
const CROWD: usize = 64;
/// In a crowd, a watcher looks for events at most once in this time: waking a thousand of them for every event costs far
/// more than the events do. One that had nothing for a while gets the next event at once.
const GATHER: Duration = Duration::from_millis(20);
/// From so many on, it is this time: every look of each is a system call here and one at its client.
const MULTITUDE: usize = 512;
const GATHER_MULTITUDE: Duration = Duration::from_millis(32);

/// A stream of events in revision order. Dropping it ends the watch.
pub struct Watch<O> {
    memory: Arc<Memory<O>>,
    prefix: Prefix,
    cursor: Revision,
    wake: watch::Receiver<Revision>,
    /// When it last found something to look at.
    looked: Option<Instant>,
}

impl<O> Watch<O> {
    pub(crate) fn new(
        memory: Arc<Memory<O>>,
        prefix: Prefix,
        from: Revision,
    ) -> Result<Watch<O>, WatchError> {
        let wake = memory.subscribe(prefix.bucket_name(), from)?;
        Ok(Watch {
            memory,
            prefix,
            cursor: from,
            wake,
            looked: None,
        })
    }

    /// The next events, at least one. May be cancelled without losing any.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event<O>>>, WatchError> {
        loop {
            // Marked as seen before reading, so an event that comes in between wakes us again.
            self.wake.borrow_and_update();
            let read = self.memory.read(&self.prefix, self.cursor)?;
            self.cursor = read.cursor;
            if !read.events.is_empty() {
                return Ok(read.events);
            }
            if read.more {
                tokio::task::yield_now().await;
            } else if self.wake.changed().await.is_err() {
                return self.last_events();
            } else {
                self.gather().await;
            }
        }
    }

    /// Lets more events come together, where many watch.
    async fn gather(&mut self) {
        if let Some(looked) = self.looked {
            match self.memory.watchers(self.prefix.bucket_name()) {
                ..CROWD => {}
                CROWD..MULTITUDE => sleep_until(looked + GATHER).await,
                _ => sleep_until(looked + GATHER_MULTITUDE).await,
            }
        }
        self.looked = Some(Instant::now());
    }

    /// Everything up to this revision was delivered or does not match. It advances with writes to other keys too.
    pub fn revision(&self) -> Revision {
        self.memory.progress(self.prefix.bucket_name(), self.cursor)
    }

    /// After the store closed: what was written before but not yet delivered.
    fn last_events(&mut self) -> Result<Vec<Arc<Event<O>>>, WatchError> {
        loop {
            let read = self.memory.read(&self.prefix, self.cursor)?;
            self.cursor = read.cursor;
            if !read.events.is_empty() {
                return Ok(read.events);
            }
            if !read.more {
                return Err(WatchError::Closed);
            }
        }
    }
}

impl<O> fmt::Debug for Watch<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("prefix", &self.prefix)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
