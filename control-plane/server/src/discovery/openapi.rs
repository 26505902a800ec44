//! `/openapi/v3` and `/openapi/v2`.

mod custom;

use std::sync::{Arc, OnceLock};

use axum::response::Response;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, LOCATION, VARY};
use http::{HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use sampan_api::openapi::{self, Document, GroupVersion};
use sampan_api::status::{MEDIA_TYPES, Status};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::cached;
use crate::api::{Answer, Api, Call, Result};
use crate::content::{Offer, media_types, negotiate};
use crate::respond;

pub(crate) use custom::Documents;

/// `/openapi/v3`
pub(crate) async fn index(call: &Call) -> Answer {
    let documents = made(openapi::built_in).await?;
    let custom = custom_documents(&call.api).await?;
    let custom = custom.iter().map(|one| &**one);
    let paths: Map<String, Value> = documents
        .iter()
        .chain(custom)
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
    let path = path.trim_matches('/');
    let documents = made(openapi::built_in).await?;
    if let Some(found) = documents.iter().find(|known| known.path == path) {
        return Ok(answer_v3(call, path, &found.document));
    }
    let custom = custom_documents(&call.api).await?;
    match custom.iter().find(|known| known.path == path) {
        Some(found) => Ok(answer_v3(call, path, &found.document)),
        None => Ok(respond::no_such_path()),
    }
}

fn answer_v3(call: &Call, path: &str, document: &Document) -> Response {
    const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
    let hash = document.hash();
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
        return response;
    }
    let json = HeaderValue::from_static("application/json");
    let mut response = cached(call, &format!("\"{hash}\""), json, document.bytes());
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
    response
}

/// The documents of version 3 about custom resources.
async fn custom_documents(api: &Arc<Api>) -> Result<Vec<Arc<GroupVersion>>> {
    let served = api.customs.served();
    if served.custom().is_empty() {
        return Ok(Vec::new());
    }
    let api = Arc::clone(api);
    made(move || api.customs.documents.v3(&served)).await
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
    let served = call.api.customs.served();
    if !served.custom().is_empty() {
        let api = Arc::clone(&call.api);
        if let Some(document) = made(move || api.customs.documents.v2(&served, protobuf)).await? {
            let etag = format!("\"{}\"", document.hash());
            return Ok(cached(call, &etag, content_type, document.bytes()));
        }
    }
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
