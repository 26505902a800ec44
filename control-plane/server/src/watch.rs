//! Watches: the state as ADDED events where asked, then every change, then bookmarks, until the time is up.
//!
//! A watcher holds nothing but its place in the store's history: there is no queue per watcher, and one that is slow
//! catches up from the history or is told 410. That holds for the state it begins with as well, which is read from the
//! store page by page. Events are written out of the bytes objects rest in.

mod encode;
mod frame;
mod initial;
mod stream;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use sampan_api::status::Status;
use sampan_store::{Prefix, RangeError, Revision, Watch, WatchError};

use crate::api::{Answer, Api, Call, Result};
use crate::authn::is_websocket;
use crate::content::{Format, Offer, negotiate_for};
use crate::object::Obj;
use crate::read::{ListOptions, Selection, prefix, store_failed};
use crate::request::ResourceTarget;
use crate::websocket;
use encode::Encoder;
use frame::Framing;
use initial::Initial;
use stream::Stream;

/// GET with `watch`.
pub(crate) async fn watch(mut call: Call, target: ResourceTarget) -> Answer {
    let resource = target.resource;
    let output = negotiate_for(&call, Offer::Watch, Some(resource))?;
    let options = ListOptions::of_watch(&call.query, resource)?;
    let selection = Selection::parse(&call.query, &target)?;
    let websocket = is_websocket(&call.parts.headers);
    let (framing, content_type) = match (output.format, websocket) {
        (Format::Protobuf, false) => (Framing::LengthPrefixed, PROTOBUF),
        (Format::Protobuf, true) => (Framing::Binary, PROTOBUF),
        (_, false) => (Framing::Lines, JSON),
        (_, true) => (Framing::Text, JSON),
    };
    let encoder = Encoder::new(&call.api, resource, output.form, framing)?;
    let start = Start::choose(&call.api, &target, &options).await?;
    let stream = Stream::new(&call.api, &options, selection, encoder, start);
    if websocket {
        let messages = futures::stream::unfold(stream, move |mut stream| async move {
            let batch = stream.next().await?;
            Some((batch.messages(framing), stream))
        });
        let mut response = websocket::upgrade(&mut call, messages).await?;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        return Ok(response);
    }
    let mut response = Response::default();
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    let slot = call.api.in_flight.watch(&call.api.limits)?;
    if call.parts.method != Method::HEAD {
        let open = (stream, slot);
        *response.body_mut() =
            Body::from_stream(futures::stream::unfold(open, |mut open| async move {
                let batch = open.0.next().await?;
                Some((Ok::<Bytes, std::convert::Infallible>(batch.bytes), open))
            }));
    }
    Ok(response)
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTOBUF: HeaderValue =
    HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");

/// Where a watch begins.
struct Start {
    initial: Initial,
    /// Whether the end of the initial events is marked.
    marked: bool,
    /// Events up to here are not sent.
    after: Revision,
    live: Result<Watch<Obj>>,
}

impl Start {
    async fn choose(api: &Api, target: &ResourceTarget, options: &ListOptions) -> Result<Start> {
        let prefix = prefix(target.resource, &target.namespace);
        let current = api.store.current_revision();
        let with_state = options.send_initial_events == Some(true);
        let asked = options.revision.unwrap_or_default();
        if with_state && options.timeout_seconds == Some(0) {
            let mut status = Status::internal("");
            (status.message, status.details) = ("context deadline exceeded".to_owned(), None);
            return Ok(Start {
                initial: Initial::none(),
                marked: false,
                after: asked,
                live: Err(status),
            });
        }
        if with_state && asked > current {
            return Ok(Start {
                initial: Initial::none(),
                marked: false,
                after: asked,
                live: Err(watch_failed(&WatchError::Future { current }, asked)),
            });
        }
        let (initial, after) = match (with_state, asked) {
            (true, _) => Initial::now(api, prefix.clone())
                .await
                .map_err(range_failed)?,
            (false, Revision(0)) => (Initial::none(), current),
            (false, asked) => (Initial::none(), asked),
        };
        let live = follow(api, prefix, after).await;
        let live = live.map_err(|error| watch_failed(&error, after));
        Ok(Start {
            initial,
            marked: with_state && options.bookmarks,
            after,
            live,
        })
    }
}

/// The changes after a revision. One that has not happened yet is waited for: the stream skips what comes before it.
async fn follow(
    api: &Api,
    prefix: Prefix,
    after: Revision,
) -> std::result::Result<Watch<Obj>, WatchError> {
    let after = after.min(api.store.current_revision());
    api.store.watch(prefix, after).await
}

fn range_failed(error: RangeError) -> Status {
    match error {
        RangeError::Store(error) => store_failed(error),
        other => Status::internal(other.to_string()),
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
