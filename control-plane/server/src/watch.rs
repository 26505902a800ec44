//! Watches: the state as ADDED events where asked, then every change, then bookmarks, until the time is up.
//!
//! A watcher holds nothing but its place in the store's history: there is no queue per watcher, and one that is slow
//! catches up from the history or is told 410. Events are written out of the bytes objects rest in.

mod encode;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use sampan_api::status::Status;
use sampan_store::{Event, EventKind, RangeRequest, Revision, Watch, WatchError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::{Answer, Api, Call, Result};
use crate::content::{Form, Format, Offer, negotiate};
use crate::object::{Obj, Stored};
use crate::read::{ListOptions, Selection, prefix, store_failed};
use crate::request::ResourceTarget;
use encode::Encoder;

/// How often a silent watch says how far it has come.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// A watch without a timeout ends after 30 to 60 minutes, so that clients spread over servers.
const MIN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Initial events are sent in pieces of about this size.
const CHUNK: usize = 64 * 1024;

/// GET with `watch`.
pub(crate) async fn watch(call: Call, target: ResourceTarget) -> Answer {
    let output = negotiate(&call, Offer::Watch)?;
    if output.format != Format::Json {
        return Err(Status::not_acceptable());
    }
    let options = ListOptions::parse(&call.query)?;
    options.check_watch()?;
    let selection = Selection::parse(&call.query, &target)?;
    let start = Start::choose(&call.api, &target, &options).await?;
    let stream = Stream::new(&call.api, target, &options, selection, output.form, start);
    let mut response = Response::default();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if call.parts.method != Method::HEAD {
        *response.body_mut() =
            Body::from_stream(futures::stream::unfold(stream, |mut stream| async move {
                let frame = stream.next().await?;
                Some((Ok::<Bytes, std::convert::Infallible>(frame), stream))
            }));
    }
    Ok(response)
}

/// Where a watch begins.
struct Start {
    initial: Vec<Stored>,
    /// Whether the end of the initial events is marked.
    marked: bool,
    /// Events up to here are not sent.
    after: Revision,
    live: std::result::Result<Watch<Obj>, WatchError>,
}

impl Start {
    async fn choose(api: &Api, target: &ResourceTarget, options: &ListOptions) -> Result<Start> {
        let prefix = prefix(target.resource, &target.namespace);
        let current = api.store.current_revision();
        let from_now = matches!(options.revision, None | Some(Revision(0)));
        if options.send_initial_events == Some(true)
            && options.revision.is_some_and(|wanted| wanted > current)
        {
            let wanted = options.revision.unwrap_or_default().0;
            return Err(Status::timeout_large_resource_version(wanted, current.0));
        }
        let with_state = options.send_initial_events.unwrap_or(from_now);
        let (initial, after) = if with_state {
            let page = api
                .store
                .range(RangeRequest::all(prefix.clone()))
                .await
                .map_err(|error| match error {
                    sampan_store::RangeError::Store(error) => store_failed(error),
                    other => Status::internal(other.to_string()),
                })?;
            (page.entries, page.revision)
        } else if from_now {
            (Vec::new(), current)
        } else {
            (Vec::new(), options.revision.unwrap_or_default())
        };
        // A revision that has not happened yet is waited for: `push` skips what comes before it.
        let live = api
            .store
            .watch(prefix, after.min(api.store.current_revision()))
            .await;
        let marked = options.send_initial_events == Some(true) && options.bookmarks;
        Ok(Start {
            initial,
            marked,
            after,
            live,
        })
    }
}

struct Stream {
    selection: Selection,
    encoder: Encoder,
    initial: std::vec::IntoIter<Stored>,
    marked: bool,
    after: Revision,
    live: Option<Watch<Obj>>,
    /// Why there is nothing live.
    refused: Option<WatchError>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    shutdown: CancellationToken,
}

impl Stream {
    fn new(
        api: &Api,
        target: ResourceTarget,
        options: &ListOptions,
        selection: Selection,
        form: Form,
        start: Start,
    ) -> Stream {
        let timeout = options.timeout_seconds.map_or_else(
            || MIN_TIMEOUT.mul_f64(1.0 + rand::random::<f64>()),
            Duration::from_secs,
        );
        let now = Instant::now();
        // The client chooses the number, and a clock does not reach that far.
        let deadline = now.checked_add(timeout).unwrap_or(now + MIN_TIMEOUT);
        let (live, refused) = match start.live {
            Ok(live) => (Some(live), None),
            Err(error) => (None, Some(error)),
        };
        Stream {
            selection,
            encoder: Encoder::new(target.resource, form, api.metrics.watcher(target.resource)),
            initial: start.initial.into_iter(),
            marked: start.marked,
            after: start.after,
            live,
            refused,
            bookmarks: options.bookmarks,
            next_bookmark: next_bookmark(now, deadline),
            deadline,
            shutdown: api.shutdown.clone(),
        }
    }

    /// The next piece of the answer; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        let piece = self.next_piece().await;
        self.encoder.count();
        piece
    }

    async fn next_piece(&mut self) -> Option<Bytes> {
        let mut buffer = BytesMut::new();
        self.fill_initial(&mut buffer);
        if !buffer.is_empty() {
            return Some(buffer.freeze());
        }
        if let Some(error) = self.refused.take() {
            return Some(self.encoder.error(&watch_failed(&error, self.after)));
        }
        loop {
            let live = self.live.as_mut()?;
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                events = live.next() => match events {
                    Ok(events) => {
                        for event in &events {
                            self.push(event, &mut buffer);
                        }
                    }
                    Err(error) => {
                        self.live = None;
                        if matches!(error, WatchError::Closed) {
                            return None;
                        }
                        return Some(self.encoder.error(&watch_failed(&error, self.after)));
                    }
                },
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    let revision = live.revision().max(self.after);
                    self.next_bookmark = next_bookmark(Instant::now(), self.deadline);
                    self.encoder.bookmark(revision, false, &mut buffer);
                }
                () = sleep_until(self.deadline) => return None,
            }
            if !buffer.is_empty() {
                return Some(buffer.freeze());
            }
        }
    }

    fn fill_initial(&mut self, buffer: &mut BytesMut) {
        while buffer.len() < CHUNK {
            match self.initial.next() {
                Some(entry) if self.selection.matches(&entry.object) => {
                    self.encoder.event("ADDED", &entry.object, buffer);
                }
                Some(_) => {}
                None => {
                    if std::mem::take(&mut self.marked) {
                        self.encoder.bookmark(self.after, true, buffer);
                    }
                    return;
                }
            }
        }
    }

    /// One change as this watcher sees it: objects enter and leave its selection.
    fn push(&mut self, event: &Event<Obj>, buffer: &mut BytesMut) {
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

fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let regular = now + BOOKMARK_INTERVAL;
    let last = deadline.checked_sub(FAREWELL).unwrap_or(deadline);
    if last > now {
        regular.min(last)
    } else {
        regular
    }
}

fn watch_failed(error: &WatchError, after: Revision) -> Status {
    match error {
        WatchError::Compacted { compacted } => Status::expired(after.0, compacted.0),
        WatchError::Future { current } => {
            Status::timeout_large_resource_version(after.0, current.0)
        }
        WatchError::Closed => Status::service_unavailable(error.to_string()),
    }
}
