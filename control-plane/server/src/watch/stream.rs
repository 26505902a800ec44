//! One watch on its way: what the watcher is sent next.

use std::sync::Arc;
use std::time::Duration;

use sampan_api::status::Status;
use sampan_store::{Event, EventKind, RangeError, Revision, Watch, WatchError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::encode::Encoder;
use super::frame::{Batch, Buffer};
use super::initial::Initial;
use super::{Start, range_failed, watch_failed};
use crate::api::Api;
use crate::object::{Obj, Stored};
use crate::read::{ListOptions, Selection, Turn};

/// How often a silent watch says how far it has come.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// A watch without a timeout ends after 30 to 60 minutes, so that clients spread over servers.
const MIN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Events are sent in batches of about this size.
const CHUNK: usize = 64 * 1024;

pub(super) struct Stream {
    api: Arc<Api>,
    turn: Turn,
    selection: Selection,
    encoder: Encoder,
    initial: Initial,
    marked: bool,
    after: Revision,
    /// Why there is nothing live, or what is.
    live: Option<Result<Watch<Obj>, Status>>,
    /// Read from the history and not yet sent.
    events: std::vec::IntoIter<Arc<Event<Obj>>>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    /// When the kind is not served any more.
    end: CancellationToken,
}

impl Stream {
    pub(super) fn new(
        api: &Arc<Api>,
        options: &ListOptions,
        selection: Selection,
        encoder: Encoder,
        start: Start,
    ) -> Stream {
        let timeout = options.timeout_seconds.map_or_else(
            || MIN_TIMEOUT.mul_f64(1.0 + rand::random::<f64>()),
            Duration::from_secs,
        );
        let now = Instant::now();
        // The client chooses the number, and a clock does not reach that far.
        let deadline = now.checked_add(timeout).unwrap_or(now + MIN_TIMEOUT);
        let end = api.customs.end_of(encoder.resource(), &api.shutdown);
        Stream {
            api: Arc::clone(api),
            turn: Turn::new(&selection),
            selection,
            encoder,
            initial: start.initial,
            marked: start.marked,
            after: start.after,
            live: Some(start.live),
            events: Vec::new().into_iter(),
            bookmarks: options.bookmarks,
            next_bookmark: next_bookmark(now, deadline),
            deadline,
            end,
        }
    }

    /// The next batch of events; `None` at the end of the watch. May be cancelled without losing any.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        let batch = self.batch().await;
        self.encoder.count();
        batch
    }

    async fn batch(&mut self) -> Option<Batch> {
        let mut buffer = Buffer::default();
        loop {
            let paused = self.fill(&mut buffer);
            if !buffer.is_empty() {
                return Some(buffer.finish());
            }
            if paused {
                tokio::task::yield_now().await;
                continue;
            }
            match self.initial.turn(&self.api).await {
                Ok(true) => continue,
                Ok(false) => {}
                // The history went on without this watcher.
                Err(RangeError::Compacted { compacted }) => {
                    let error = WatchError::Compacted { compacted };
                    return Some(self.fail(&watch_failed(&error, self.after)));
                }
                Err(error) => return Some(self.fail(&range_failed(error))),
            }
            if std::mem::take(&mut self.marked) {
                self.encoder.bookmark(self.after, true, &mut buffer);
                return Some(buffer.finish());
            }
            match self.wait(&mut buffer).await {
                Wait::Again => {}
                Wait::End => return None,
                Wait::Failed(status) => return Some(self.fail(&status)),
            }
        }
    }

    /// The last event. Nothing follows it.
    fn fail(&mut self, status: &Status) -> Batch {
        self.initial = Initial::none();
        self.live = None;
        self.encoder.error(status)
    }

    /// Waits for something to send.
    async fn wait(&mut self, buffer: &mut Buffer) -> Wait {
        let live = match &mut self.live {
            None => return Wait::End,
            Some(Err(status)) => return Wait::Failed(status.clone()),
            Some(Ok(live)) => live,
        };
        // Where something happens all the time, the clock would never get its turn.
        if Instant::now() >= self.deadline {
            return Wait::End;
        }
        tokio::select! {
            biased;
            () = self.api.shutdown.cancelled() => return Wait::End,
            events = live.next() => match events {
                Ok(events) => self.events = events.into_iter(),
                Err(WatchError::Closed) => return Wait::End,
                Err(error) => return Wait::Failed(watch_failed(&error, self.after)),
            },
            // What happened before is told first.
            () = self.end.cancelled() => return Wait::End,
            () = sleep_until(self.next_bookmark), if self.bookmarks => {
                let revision = live.revision().max(self.after);
                self.next_bookmark = next_bookmark(Instant::now(), self.deadline);
                self.encoder.bookmark(revision, false, buffer);
            }
            () = sleep_until(self.deadline) => return Wait::End,
        }
        Wait::Again
    }

    /// Writes what is at hand, up to a batch. Answers whether it stopped before, because others are to have their turn.
    fn fill(&mut self, buffer: &mut Buffer) -> bool {
        while buffer.len() < CHUNK {
            if self.turn.is_over() {
                return true;
            }
            if let Some(entry) = self.initial.next() {
                if self.selection.matches(&entry.object) {
                    self.encoder.event("ADDED", &entry.object, buffer);
                }
            } else if let Some(event) = self.events.next() {
                self.push(&event, buffer);
            } else {
                return false;
            }
        }
        false
    }

    /// One change as this watcher sees it: objects enter and leave its selection.
    fn push(&mut self, event: &Event<Obj>, buffer: &mut Buffer) {
        if event.revision <= self.after {
            return;
        }
        let matches = |entry: &Stored| self.selection.matches(&entry.object);
        let was = event.previous.as_ref().is_some_and(matches);
        let is = event.kind == EventKind::Put && matches(&event.entry);
        match (was, is) {
            (false, true) => self.encoder.event("ADDED", &event.entry.object, buffer),
            (true, true) => self.encoder.event("MODIFIED", &event.entry.object, buffer),
            (true, false) if event.kind == EventKind::Delete => {
                self.encoder.event("DELETED", &event.entry.object, buffer);
            }
            (true, false) => {
                // It left the selection: its old state, at the revision of the change.
                if let Some(previous) = &event.previous {
                    self.encoder
                        .event("DELETED", &previous.object.at(event.revision), buffer);
                }
            }
            (false, false) => {}
        }
    }
}

enum Wait {
    /// There may be something now.
    Again,
    /// The watch is over.
    End,
    Failed(Status),
}

fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let regular = now + BOOKMARK_INTERVAL;
    let last = deadline.checked_sub(FAREWELL).unwrap_or(deadline);
    if last > now {
        regular.min(last)
    } else {
        regular
    }
}
