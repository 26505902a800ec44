//! What the host holds in memory behind a component's handles.
//!
//! A table bounds how many handles there are, not how much is behind each: headers, requests, bodies. That is measured
//! whenever the guest gives way and whenever it has grown by much (`http/measured.rs`), and counts as memory of its
//! container. Handles are looked at one by one, so what is behind each is found without a walk over all of it.

use crate::host::keyvalue::Swap;
use http::{HeaderMap, Uri};
use std::any::Any;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::{Method, Scheme};
use wasmtime_wasi_http::p2::body::{HostFutureTrailers, HostIncomingBody, HostOutgoingBody};
use wasmtime_wasi_http::p2::types::{
    HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{FieldMap, p3};

/// Bytes of a body that the host takes at once: from a guest before they are sent, or from whoever sends them to one.
pub(crate) const BODY_CHUNK: usize = 64 << 10;

/// Chunks that wait in a guest's body while it has another one ready.
pub(crate) const CHUNKS_WAITING: usize = 1;

/// What may wait in a body for whoever sends it.
pub(crate) const BODY: usize = (CHUNKS_WAITING + 1) * BODY_CHUNK;

/// A place for a name in a map of headers, which is kept when the name goes.
const PER_NAME: usize = 112;

/// A place for a further value of a name. Those are in a vector, which grows by doubling.
const PER_VALUE: usize = 2 * 72;

/// Headers of one map that are looked at; what more of them hold is taken for as much as a map may.
const LOOKED_AT: usize = 32;

/// Handles on heads that are taken for what they show: those a guest has while it answers one request. What it keeps beyond
/// that may be pieces of as many requests, each of which keeps all that its client sent along: a client can make that as
/// much as it may be, whatever is seen of it.
const HEADS_AT_ONCE: usize = 4;

/// What cannot be seen behind handles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unseen {
    /// Bytes that a map of headers may have.
    pub(crate) most_fields: usize,
    /// Bytes of the largest head of a request the guest was given. What is in a request that came in cannot be seen in
    /// the table, so each is taken for that.
    pub(crate) largest_request: usize,
    /// Bytes that a head was received with: its headers are pieces of that, and one of them keeps all of it.
    pub(crate) read_buffer: usize,
    /// Requests it answers side by side at the moment, or none if it answers one at a time.
    pub(crate) side_by_side: usize,
}

/// The bytes behind the handles in a table.
pub(crate) fn bytes_behind(table: &mut ResourceTable, unseen: Unseen) -> u64 {
    let mut heads = 0;
    let at_once = HEADS_AT_ONCE * unseen.side_by_side.max(1);
    let mut bytes = |entry: &dyn Any| {
        let seen = match entry.is::<HostIncomingRequest>() {
            true => unseen.largest_request,
            false => behind(entry, unseen.most_fields),
        };
        heads += usize::from(may_be_received(entry));
        match heads > at_once && may_be_received(entry) {
            true => seen.max(unseen.read_buffer),
            false => seen,
        }
    };
    table.iter_mut().map(|entry| bytes(&*entry) as u64).sum()
}

/// Whether there may be headers in it that a client sent.
fn may_be_received(entry: &dyn Any) -> bool {
    entry.is::<HostIncomingRequest>()
        || entry.is::<FieldMap>()
        || entry.is::<HostOutgoingRequest>()
        || entry.is::<HostOutgoingResponse>()
        || entry.is::<p3::Request>()
        || entry.is::<p3::Response>()
}

/// The bytes of a request's head, whose map of headers may have `most` of them.
pub(crate) fn head(uri: &Uri, headers: &HeaderMap, most: usize) -> usize {
    let authority = uri.authority().map_or(0, |it| it.as_str().len());
    let path = uri.path_and_query().map_or(0, |it| it.as_str().len());
    fields(headers, most) + authority + path
}

fn behind(entry: &dyn Any, most: usize) -> usize {
    let fields = |map: &HeaderMap| fields(map, most);
    let body = |is_there| if is_there { BODY } else { 0 };
    if let Some(map) = entry.downcast_ref::<FieldMap>() {
        return fields(map);
    }
    if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
        let texts = [&request.authority, &request.path_with_query];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        let method = match &request.method {
            Method::Other(name) => name.len(),
            _ => 0,
        };
        let scheme = match &request.scheme {
            Some(Scheme::Other(name)) => name.len(),
            _ => 0,
        };
        let texts = texts + method + scheme;
        return fields(&request.headers) + texts + body(request.body.is_some());
    }
    if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
        return fields(&response.headers) + body(response.body.is_some());
    }
    if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
        return fields(&response.headers);
    }
    // A response that is not asked for yet is charged where it is received (`http/outgoing.rs`).
    if entry.is::<HostOutgoingBody>() || entry.is::<HostIncomingBody>() {
        return BODY_CHUNK;
    }
    if let Some(trailers) = entry.downcast_ref::<HostFutureTrailers>() {
        return match trailers {
            HostFutureTrailers::Consumed => 0,
            HostFutureTrailers::Waiting(_) | HostFutureTrailers::Done(_) => BODY_CHUNK,
        };
    }
    if let Some(request) = entry.downcast_ref::<p3::Request>() {
        let authority = request.authority.as_ref().map_or(0, |it| it.as_str().len());
        let path = request.path_with_query.as_ref();
        let path = path.map_or(0, |it| it.as_str().len());
        return fields(&request.headers) + authority + path + request.method.as_str().len();
    }
    if let Some(response) = entry.downcast_ref::<p3::Response>() {
        return fields(&response.headers);
    }
    entry.downcast_ref::<Swap>().map_or(0, Swap::key_bytes)
}

/// The bytes of a map of headers, of which it may have `most`.
pub(crate) fn fields(map: &HeaderMap, most: usize) -> usize {
    let further = map.len().saturating_sub(map.keys_len());
    let places = map.capacity() * PER_NAME + further * PER_VALUE;
    if map.len() > LOOKED_AT {
        return places + most;
    }
    let headers = map.iter();
    let content = headers.map(|(name, value)| name.as_str().len() + value.len());
    places + content.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use http_body_util::BodyExt;
    use wasmtime_wasi_http::p2::body::StreamContext;

    const MOST: usize = 128 << 10;

    const UNSEEN: Unseen = Unseen {
        most_fields: MOST,
        largest_request: 0,
        read_buffer: 64 << 10,
        side_by_side: 0,
    };

    fn map(headers: impl IntoIterator<Item = (&'static str, usize)>) -> FieldMap {
        let mut map = FieldMap::new_mutable(MOST);
        for (name, length) in headers {
            let value = HeaderValue::from_bytes(&vec![b'x'; length]).expect("valid");
            map.append_raw(HeaderName::from_static(name), value)
                .expect("within its limit");
        }
        map
    }

    #[test]
    fn headers_behind_handles_count_until_the_handle_is_dropped() {
        let mut table = ResourceTable::new();
        let map = map([("x", 60_000)]);
        let places = (map.capacity() * PER_NAME) as u64;
        let handle = table.push(map).expect("room");
        table.push("something else").expect("room");
        assert_eq!(bytes_behind(&mut table, UNSEEN), 60_001 + places);
        table.delete(handle).expect("it is there");
        assert_eq!(bytes_behind(&mut table, UNSEEN), 0);
    }

    #[test]
    fn a_head_that_is_left_counts_with_all_it_was_received_with() {
        let mut table = ResourceTable::new();
        let short = map([("x", 1)]);
        let seen = fields(&short, MOST) as u64;
        for _ in 0..HEADS_AT_ONCE {
            table.push(short.clone()).expect("room");
        }
        let few = HEADS_AT_ONCE as u64 * seen;
        assert_eq!(bytes_behind(&mut table, UNSEEN), few);
        table.push(short).expect("room");
        assert_eq!(bytes_behind(&mut table, UNSEEN), few + (64 << 10));
        // They may be of two requests that are answered at the moment.
        let two = Unseen {
            side_by_side: 2,
            ..UNSEEN
        };
        assert_eq!(bytes_behind(&mut table, two), few + seen);
    }

    #[test]
    fn bodies_that_are_left_count() {
        let body = || {
            HostIncomingBody::new(
                http_body_util::Empty::new()
                    .map_err(|e| match e {})
                    .boxed_unsync(),
            )
        };
        let mut table = ResourceTable::new();
        table.push(body()).expect("room");
        table
            .push(HostFutureTrailers::Waiting(body()))
            .expect("room");
        let handle = table.push(HostFutureTrailers::Consumed).expect("room");
        let chunk = BODY_CHUNK as u64;
        assert_eq!(bytes_behind(&mut table, UNSEEN), 2 * chunk);
        table.delete(handle).expect("it is there");
        let handle = table.push(HostFutureTrailers::Done(Ok(None)));
        handle.expect("room");
        assert_eq!(bytes_behind(&mut table, UNSEEN), 3 * chunk);
    }

    #[test]
    fn many_headers_count_as_much_as_a_map_may_have() {
        let few = fields(&map((0..LOOKED_AT).map(|_| ("x", 0))), MOST);
        let many = fields(&map((0..=LOOKED_AT).map(|_| ("x", 0))), MOST);
        assert!(few < 8 << 10, "{few}");
        assert!(many > MOST, "{many}");
        assert_eq!(fields(&FieldMap::new_mutable(MOST), MOST), 0);
    }

    #[test]
    fn what_waits_in_the_body_of_a_request_counts_though_its_handle_is_gone() {
        let (handle, body) = HostOutgoingBody::new(StreamContext::Request, None, 1, BODY_CHUNK);
        handle.finish(None).expect("finished");
        let mut table = ResourceTable::new();
        let request = HostOutgoingRequest {
            method: Method::Other("x".repeat(1_000)),
            scheme: None,
            authority: None,
            path_with_query: None,
            headers: FieldMap::default(),
            body: Some(body),
        };
        table.push(request).expect("room");
        assert_eq!(bytes_behind(&mut table, UNSEEN), BODY as u64 + 1_000);
    }
}
