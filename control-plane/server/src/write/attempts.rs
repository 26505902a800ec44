//! Who lost against another writer tries again, in line with all who lost over the same object.
//!
//! Upstream repeats such writes until the request's time is over. So do we, but one after the other: of a hundred writers
//! that repeat at once one wins each round, and the last of them works in vain a hundred times. The first attempt asks
//! nobody, unless there is a line already.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use sampan_api::status::Status;
use sampan_store::Key;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::api::{Api, Result};

/// Lines of writers, by what they wait for.
#[derive(Default)]
pub(crate) struct Lines {
    waiting: AtomicUsize,
    lines: Mutex<HashMap<Key, Line>>,
}

#[derive(Default)]
struct Line {
    head: Arc<tokio::sync::Mutex<()>>,
    length: usize,
}

/// A place in a line, from its end to its head.
struct Place<'a> {
    lines: &'a Lines,
    key: Key,
}

/// Being the first in line; dropped, the next one is.
pub(crate) struct Head<'a> {
    // Let go in this order: a line is forgotten when nobody is in it any more.
    _head: OwnedMutexGuard<()>,
    _place: Place<'a>,
}

impl Lines {
    /// Waits until everybody who came before has gone, or says that the time is over.
    pub(crate) async fn head(&self, key: &Key, ends: Instant) -> Result<Head<'_>> {
        let head = {
            let mut lines = self.lines.lock();
            let line = lines.entry(key.clone()).or_default();
            line.length += 1;
            Arc::clone(&line.head)
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            lines: self,
            key: key.clone(),
        };
        let head = timeout_at(ends, head.lock_owned()).await;
        Ok(Head {
            _head: head.map_err(|_| over())?,
            _place: place,
        })
    }

    fn is_line(&self, key: &Key) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 && self.lines.lock().contains_key(key)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.lines.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut lines = self.lines.lines.lock();
        if let Some(line) = lines.get_mut(&self.key) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

/// The attempts of one write at one object.
pub(crate) struct Attempts<'a> {
    lines: &'a Lines,
    key: Key,
    ends: Instant,
    in_line: bool,
    begun: bool,
    head: Option<Head<'a>>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(api: &'a Api, key: Key) -> Attempts<'a> {
        Attempts {
            lines: &api.lines,
            key,
            ends: Instant::now() + api.limits.request_timeout,
            in_line: true,
            begun: false,
            head: None,
        }
    }

    /// A write that names the version it is meant for is refused once it lost: it need not wait to learn that.
    pub(crate) fn of_version(mut self, named: bool) -> Attempts<'a> {
        self.in_line = !named;
        self
    }

    /// There is no object to be in line for. Who makes one waits in other lines, and may hold none meanwhile.
    pub(crate) fn leave(&mut self) {
        self.head = None;
    }

    /// Before every attempt. The time of a write is over when that of a request would be.
    pub(crate) async fn next(&mut self) -> Result<()> {
        if self.begun && Instant::now() >= self.ends {
            return Err(over());
        }
        if self.in_line && self.head.is_none() && (self.begun || self.lines.is_line(&self.key)) {
            self.head = Some(self.lines.head(&self.key, self.ends).await?);
        }
        self.begun = true;
        Ok(())
    }
}

fn over() -> Status {
    Status::timeout("request did not complete within the allotted timeout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn who_leaves_lets_the_next_one_in() {
        let lines = Lines::default();
        let key = Key::new("b", "k");
        let mut attempts = Attempts {
            lines: &lines,
            key: key.clone(),
            ends: Instant::now() + Duration::from_secs(60),
            in_line: true,
            begun: true,
            head: None,
        };
        attempts.next().await.expect("nobody before");
        assert!(lines.is_line(&key));
        attempts.leave();
        assert!(!lines.is_line(&key));
        attempts.next().await.expect("nobody before");
        assert!(lines.is_line(&key));
    }

    #[tokio::test]
    async fn one_after_the_other() {
        let lines = Lines::default();
        let (key, other) = (Key::new("b", "k"), Key::new("b", "other"));
        let far = Instant::now() + Duration::from_secs(60);
        let first = lines.head(&key, far).await.expect("nobody before");
        assert!(lines.is_line(&key) && !lines.is_line(&other));
        let mut second = std::pin::pin!(lines.head(&key, far));
        let mut third = std::pin::pin!(lines.head(&key, far));
        assert!(futures::poll!(&mut second).is_pending());
        assert!(futures::poll!(&mut third).is_pending());
        drop(lines.head(&other, far).await.expect("another line"));
        // Whose time is over leaves the line.
        let late = lines.head(&key, Instant::now()).await;
        assert_eq!(late.err().map(|status| status.code), Some(504));
        drop(first);
        assert!(
            futures::poll!(&mut third).is_pending(),
            "second comes first"
        );
        drop(second.await.expect("its turn"));
        drop(third.await.expect("its turn"));
        assert!(!lines.is_line(&key) && lines.lines.lock().is_empty());
    }
}
