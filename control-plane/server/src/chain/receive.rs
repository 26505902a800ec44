//! Reads request bodies, under a limit for each and one for all of them.

use std::task::Poll;

use axum::body::Body;
use bytes::{BufMut, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use http_body_util::BodyExt;
use sampan_api::status::Status;

use super::limits::{BodyShare, Limits};
use crate::api::Result;

/// So much of a body that is too large is read all the same and thrown away: a client that still writes when the
/// connection closes sees a broken pipe instead of the answer.
const THROWN_AWAY: u64 = 64 * 1024 * 1024;

/// Bytes of a value in memory, with its name's place in a map.
const VALUE: usize = 72;

/// The whole body. How long that may take is the request's timeout.
pub(super) async fn receive(
    mut body: Body,
    headers: &HeaderMap,
    limits: &Limits,
    share: &mut BodyShare,
    user: &str,
) -> Result<Body> {
    if body.is_end_stream() {
        return Ok(body);
    }
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large(body, limits).await);
    }
    let mut whole = BytesMut::new();
    loop {
        let mut next = body.frame();
        let frame = match futures::poll!(&mut next) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                share.waits(user)?;
                next.await
            }
        };
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|error| {
            Status::bad_request(format!("unable to read the request body: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limits.body_bytes {
            return Err(too_large(body, limits).await);
        }
        share.grow(data.len())?;
        whole.put_slice(&data);
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let binary = kind.ends_with(b"protobuf");
    share.whole(weight(&whole, binary))?;
    Ok(Body::from(whole.freeze()))
}

/// What the values in a body take beside its bytes, once it is decoded: a short text may hold many.
fn weight(data: &[u8], binary: bool) -> usize {
    let values = match binary {
        // Two bytes make a field.
        true => data.len() / 2,
        false => data
            .iter()
            .filter(|byte| matches!(byte, b',' | b'[' | b'{' | b'\n'))
            .count(),
    };
    values * VALUE
}

async fn too_large(mut body: Body, limits: &Limits) -> Status {
    let most = limits.body_bytes as u64 + THROWN_AWAY;
    let mut read = 0;
    while body.size_hint().lower() <= most && read < most {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => break,
        }
    }
    Status::request_too_large(limits.body_bytes)
}
