//! What the host holds in memory behind a component's handles.
//!
//! A table bounds how many handles there are, not how much is behind each: headers, requests, bodies. That is measured
//! whenever the guest gives way, and counts as memory of its container. In one slice of time a guest gets no further
//! than some megabytes.

use crate::host::keyvalue::Swap;
use http::{HeaderMap, Uri};
use std::any::Any;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{
    HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{FieldMap, p3};

/// Bytes of a body that the host takes from a guest before they are sent.
pub(crate) const BODY_CHUNK: usize = 64 << 10;

/// What a header takes beside its name and value, roughly.
const PER_HEADER: usize = 64;

/// The bytes behind the handles in a table. What is in a request that came in cannot be seen there, so each is taken for
/// the largest the guest was given.
pub(crate) fn bytes_behind(table: &mut ResourceTable, largest_request: usize) -> u64 {
    let bytes = |entry: &dyn Any| match entry.is::<HostIncomingRequest>() {
        true => largest_request,
        false => behind(entry),
    };
    table.iter_mut().map(|entry| bytes(&*entry) as u64).sum()
}

/// The bytes of a request's head.
pub(crate) fn head(uri: &Uri, headers: &HeaderMap) -> usize {
    let authority = uri.authority().map_or(0, |it| it.as_str().len());
    let path = uri.path_and_query().map_or(0, |it| it.as_str().len());
    fields(headers) + authority + path
}

fn behind(entry: &dyn Any) -> usize {
    if let Some(map) = entry.downcast_ref::<FieldMap>() {
        return fields(map);
    }
    if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
        let texts = [&request.authority, &request.path_with_query];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        return fields(&request.headers) + texts;
    }
    if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
        return fields(&response.headers);
    }
    if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
        return fields(&response.headers);
    }
    if entry.is::<HostOutgoingBody>() {
        return BODY_CHUNK;
    }
    if let Some(request) = entry.downcast_ref::<p3::Request>() {
        let authority = request.authority.as_ref().map_or(0, |it| it.as_str().len());
        let path = request.path_with_query.as_ref();
        let path = path.map_or(0, |it| it.as_str().len());
        return fields(&request.headers) + authority + path;
    }
    if let Some(response) = entry.downcast_ref::<p3::Response>() {
        return fields(&response.headers);
    }
    entry.downcast_ref::<Swap>().map_or(0, Swap::key_bytes)
}

fn fields(map: &HeaderMap) -> usize {
    let headers = map.iter();
    headers
        .map(|(name, value)| name.as_str().len() + value.len() + PER_HEADER)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_behind_handles_count_until_the_handle_is_dropped() {
        let mut table = ResourceTable::new();
        let mut map = FieldMap::new_mutable(128 << 10);
        let value = http::HeaderValue::from_bytes(&[b'x'; 60_000]).expect("valid");
        map.append_raw(http::HeaderName::from_static("x"), value)
            .expect("within its limit");
        let handle = table.push(map).expect("room");
        table.push("something else").expect("room");
        assert_eq!(bytes_behind(&mut table, 0), 60_001 + PER_HEADER as u64);
        table.delete(handle).expect("it is there");
        assert_eq!(bytes_behind(&mut table, 0), 0);
    }
}
