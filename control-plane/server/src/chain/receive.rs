//! Reads request bodies, under a limit for each and one for all of them.

use std::task::Poll;

use axum::body::Body;
use bytes::{BufMut, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::BodyExt;
use sampan_api::status::Status;

use super::limits::{BodyShare, Limits};
use crate::api::Result;
use crate::content::is_protobuf;

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
    share.whole(weight(&whole, is_protobuf(headers)))?;
    Ok(Body::from(whole.freeze()))
}

/// What the values in a body take beside its bytes, once it is decoded: a short text may hold many.
fn weight(data: &[u8], binary: bool) -> usize {
    let values = match binary {
        // Two bytes make a field.
        true => data.len() / 2,
        // In pieces whose count is a byte, which the compiler makes many of at once.
        false => data
            .chunks(u8::MAX as usize)
            .map(|piece| usize::from(piece.iter().copied().map(begins_value).sum::<u8>()))
            .sum(),
    };
    values * VALUE
}

/// One for what comes before a value in JSON or YAML.
fn begins_value(byte: u8) -> u8 {
    u8::from(matches!(byte, b',' | b'[' | b'{' | b'\n'))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::limits::InFlight;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    #[tokio::test]
    async fn protobuf_weighs_what_it_holds_however_its_type_is_spelled() {
        let limits = Limits {
            bodies_bytes: 16 << 20,
            ..Limits::default()
        };
        let in_flight = InFlight::default();
        for (media, code) in [
            ("application/json", None),
            ("application/vnd.kubernetes.protobuf", Some(429)),
            ("application/vnd.kubernetes.protobuf;x=y", Some(429)),
            (" APPLICATION/vnd.Kubernetes.Protobuf ;", Some(429)),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
            // Empty containers, two bytes each.
            let body = Body::from([0x12, 0].repeat(500_000));
            let mut share = in_flight.body(&limits);
            let received = receive(body, &headers, &limits, &mut share, "u").await;
            assert_eq!(received.err().map(|status| status.code), code, "{media}");
        }
    }
}
