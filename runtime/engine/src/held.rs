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
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest,
    HostOutgoingResponse,
};
use wasmtime_wasi_http::{FieldMap, p3};

/// Bytes of a body that the host takes from a guest before they are sent.
pub(crate) const BODY_CHUNK: usize = 64 << 10;

/// What may wait in a body for whoever sends it: a chunk, and the one after it.
pub(crate) const BODY: usize = 2 * BODY_CHUNK;

/// A place for a name in a map of headers, which is kept when the name goes.
const PER_NAME: usize = 112;

/// A place for a further value of a name. Those are in a vector, which grows by doubling.
const PER_VALUE: usize = 2 * 72;

/// Headers of one map that are looked at; what more of them hold is taken for as much as a map may.
const LOOKED_AT: usize = 32;

/// The bytes behind the handles in a table. A map of headers may have `most` of them. What is in a request that came in
/// cannot be seen there, so each is taken for the largest the guest was given.
pub(crate) fn bytes_behind(table: &mut ResourceTable, most: usize, largest_request: usize) -> u64 {
    let bytes = |entry: &dyn Any| match entry.is::<HostIncomingRequest>() {
        true => largest_request,
        false => behind(entry, most),
    };
    table.iter_mut().map(|entry| bytes(&*entry) as u64).sum()
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
    if let Some(response) = entry.downcast_ref::<HostFutureIncomingResponse>() {
        // What is under way is charged where it is sent (`http/outgoing.rs`).
        return match response {
            HostFutureIncomingResponse::Ready(Ok((response, _))) => fields(response.headers()),
            _ => 0,
        };
    }
    if entry.is::<HostOutgoingBody>() {
        return BODY_CHUNK;
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
    use wasmtime_wasi_http::p2::body::StreamContext;

    const MOST: usize = 128 << 10;

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
        assert_eq!(bytes_behind(&mut table, MOST, 0), 60_001 + places);
        table.delete(handle).expect("it is there");
        assert_eq!(bytes_behind(&mut table, MOST, 0), 0);
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
        assert_eq!(bytes_behind(&mut table, MOST, 0), BODY as u64 + 1_000);
    }
}
