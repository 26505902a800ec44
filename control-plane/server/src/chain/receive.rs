//! Reads request bodies, under a limit for each and one for all of them.

use axum::body::Body;
use bytes::{BufMut, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use sampan_api::status::Status;

use super::limits::{BodyShare, Limits};
use crate::api::Result;

/// The whole body. How long that may take is the request's timeout.
pub(super) async fn receive(
    mut body: Body,
    limits: &Limits,
    share: &mut BodyShare<'_>,
) -> Result<Body> {
    if body.is_end_stream() {
        return Ok(body);
    }
    let too_large = || Status::request_too_large(limits.body_bytes);
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Status::bad_request(format!("unable to read the request body: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limits.body_bytes {
            return Err(too_large());
        }
        share.grow(data.len())?;
        whole.put_slice(&data);
    }
    Ok(Body::from(whole.freeze()))
}
