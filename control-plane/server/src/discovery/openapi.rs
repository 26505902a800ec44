//! `/openapi/v3` and `/openapi/v2`.

use std::sync::OnceLock;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, LOCATION, VARY};
use http::{HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use sampan_api::openapi::{self, Document};
use sampan_api::status::{MEDIA_TYPES, Status};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::cached;
use crate::api::{Answer, Call, Result};
use crate::content::{Offer, media_types, negotiate};
use crate::respond;

/// `/openapi/v3`
pub(crate) async fn index(call: &Call) -> Answer {
    let documents = made(openapi::built_in).await?;
    let paths: Map<String, Value> = documents
        .iter()
        .map(|one| {
            let url = url(&one.path, one.document.hash());
            (one.path.clone(), json!({ "serverRelativeURL": url }))
        })
        .collect();
    let output = negotiate(call, Offer::Document)?;
    let body = json!({ "paths": paths });
    let hash = hex::encode_upper(Sha256::digest(body.to_string().as_bytes()));
    let mut response = respond::value(StatusCode::OK, &body, &output)?;
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
        headers.insert(ETAG, etag);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// `/openapi/v3/PATH`: with the right hash it may be kept for ever, with a wrong one the client is sent to the right one.
pub(crate) async fn v3(call: &Call, path: &str) -> Answer {
    const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
    let path = path.trim_matches('/');
    let documents = made(openapi::built_in).await?;
    let Some(found) = documents.iter().find(|known| known.path == path) else {
        return Ok(respond::no_such_path());
    };
    let hash = found.document.hash();
    let asked = call.query.get("hash");
    if asked.is_some_and(|asked| *asked != *hash) {
        let mut response = respond::bytes(
            StatusCode::MOVED_PERMANENTLY,
            HeaderValue::from_static("text/html; charset=utf-8"),
            "",
        );
        if let Ok(location) = HeaderValue::from_str(&url(path, hash)) {
            response.headers_mut().insert(LOCATION, location);
        }
        return Ok(response);
    }
    let json = HeaderValue::from_static("application/json");
    let mut response = cached(call, &format!("\"{hash}\""), json, found.document.bytes());
    if asked.is_some() {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        let expires = Timestamp::now()
            .saturating_add(YEAR)
            .unwrap_or(Timestamp::MAX);
        let expires = expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(expires) = HeaderValue::from_str(&expires) {
            headers.insert(EXPIRES, expires);
        }
    }
    Ok(response)
}

/// `/openapi/v2`, as JSON or as protobuf.
pub(crate) async fn v2(call: &Call) -> Answer {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const PROTOBUF: HeaderValue =
        HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    static AS_JSON: OnceLock<Document> = OnceLock::new();
    static AS_PROTOBUF: OnceLock<Document> = OnceLock::new();
    let accept = call.parts.headers.get(ACCEPT);
    let (content_type, document) = match accept.map(|accept| accept.to_str().unwrap_or("-")) {
        Some(accept) if !accept.trim().is_empty() => match chosen(accept)? {
            Form::Json => (JSON, &AS_JSON),
            Form::Protobuf => (PROTOBUF, &AS_PROTOBUF),
        },
        _ => (JSON, &AS_JSON),
    };
    let protobuf = std::ptr::eq(document, &AS_PROTOBUF);
    let make = move || match protobuf {
        false => openapi::v2(&[]),
        true => openapi::v2_protobuf(&[]),
    };
    let document = made(move || document.get_or_init(make)).await?;
    let etag = format!("\"{}\"", document.hash());
    Ok(cached(call, &etag, content_type, document.bytes()))
}

enum Form {
    Json,
    Protobuf,
}

/// The first form the client names that there is.
fn chosen(accept: &str) -> Result<Form> {
    for media_type in media_types(accept) {
        match media_type {
            ("application", "json" | "*") | ("*", "*") => return Ok(Form::Json),
            (
                "application",
                "com.github.proto-openapi.spec.v2@v1.0+protobuf"
                | "com.github.proto-openapi.spec.v2.v1.0+protobuf",
            ) => return Ok(Form::Protobuf),
            _ => {}
        }
    }
    Err(Status::not_acceptable(MEDIA_TYPES))
}

fn url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

/// The first to ask waits while documents are written, which takes longer than other requests should wait.
async fn made<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let task = tokio::task::spawn_blocking(make);
    task.await
        .map_err(|error| Status::internal(format!("describing the API: {error}")))
}
