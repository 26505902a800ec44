//! Everything that is served beside objects: discovery, version, health, OpenAPI.

mod openapi;

use std::sync::OnceLock;

use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, StatusCode};
use sampan_api::discovery;
use sampan_api::status::Status;
use sampan_store::{Store, StoreError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use openapi::{Documents, index as openapi_index, v2 as openapi_v2, v3 as openapi_v3};

use crate::api::{Answer, Call};
use crate::content::{Form, Format, Offer, Output, negotiate, wants_pretty};
use crate::object::Obj;
use crate::respond;

/// The release of the API that is served, and the program that serves it.
const VERSION: &str = concat!("v1.36.2+sampan.", env!("CARGO_PKG_VERSION"));

/// Not recorded, so that the same sources give the same program.
const BUILD_DATE: &str = "1970-01-01T00:00:00Z";

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What is served beside groups and checks.
const PATHS: [&str; 9] = [
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/version",
];

/// What can be asked of `/healthz`, `/livez` and `/readyz` by itself.
const CHECKS: [&str; 3] = ["ping", "log", "etcd"];

/// `/`: where to look. Upstream answers so whatever is accepted.
pub(crate) fn index(call: &Call) -> Response {
    let mut paths: Vec<String> = PATHS.map(str::to_owned).into();
    for endpoint in ["/healthz", "/livez", "/readyz"] {
        paths.push(endpoint.to_owned());
        paths.extend(CHECKS.map(|check| format!("{endpoint}/{check}")));
    }
    for row in call.api.customs.served().rows() {
        if !row.group.is_empty() {
            paths.push(format!("/apis/{}", row.group));
            paths.push(format!("/apis/{}", row.api_version()));
        }
    }
    paths.sort_unstable();
    paths.dedup();
    let json = HeaderValue::from_static("application/json");
    let body = respond::pretty_bytes(&json!({ "paths": paths }));
    respond::bytes(StatusCode::OK, json, body)
}

/// `/api`
pub(crate) fn api(call: &Call) -> Answer {
    if wants_aggregated(call) {
        return Ok(aggregated(
            call,
            &discovery::aggregated(&call.api.customs.served(), true),
        ));
    }
    let mut versions = discovery::api_versions(&call.api.customs.served());
    versions["serverAddressByClientCIDRs"] =
        json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": call.api.advertised.to_string()}]);
    plain(call, &versions)
}

/// `/apis`
pub(crate) fn apis(call: &Call) -> Answer {
    if wants_aggregated(call) {
        return Ok(aggregated(
            call,
            &discovery::aggregated(&call.api.customs.served(), false),
        ));
    }
    plain(call, &discovery::group_list(&call.api.customs.served()))
}

/// `/apis/GROUP`
pub(crate) fn group(call: &Call, group: &str) -> Answer {
    match discovery::group(&call.api.customs.served(), group) {
        Some(document) => plain(call, &document),
        None => Ok(respond::no_such_path()),
    }
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(crate) fn resources(call: &Call, group: &str, version: &str) -> Answer {
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    match discovery::resource_list(&call.api.customs.served(), &group_version) {
        Some(document) => plain(call, &document),
        // Of a group that is served, upstream answers as for an object.
        None if discovery::group(&call.api.customs.served(), group).is_some() => {
            Err(Status::path_not_found())
        }
        None => Ok(respond::no_such_path()),
    }
}

fn plain(call: &Call, document: &Value) -> Answer {
    let mut response =
        respond::value(StatusCode::OK, document, &negotiate(call, Offer::Document)?)?;
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// Whether the first clause we can serve is the aggregated form. v2beta1 is not served any more, as upstream.
fn wants_aggregated(call: &Call) -> bool {
    let Some(accept) = call
        .parts
        .headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
    else {
        return false;
    };
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        if !matches!(
            parts.next(),
            Some("application/json" | "*/*" | "application/*")
        ) {
            continue;
        }
        let parameters: Vec<&str> = parts.collect();
        if !parameters
            .iter()
            .any(|parameter| parameter.starts_with("as="))
        {
            return false;
        }
        let wanted = ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"];
        if wanted
            .iter()
            .all(|parameter| parameters.contains(parameter))
        {
            return true;
        }
    }
    false
}

fn aggregated(call: &Call, document: &Value) -> Response {
    let body = document.to_string();
    let etag = format!("\"{}\"", hex::encode_upper(Sha256::digest(body.as_bytes())));
    let mut response = cached(
        call,
        &etag,
        HeaderValue::from_static(AGGREGATED),
        body.into(),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

/// A document with an entity tag: 304 when the client has it already.
fn cached(call: &Call, etag: &str, content_type: HeaderValue, body: Bytes) -> Response {
    let known = call
        .parts
        .headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|tags| {
            tags.to_str().is_ok_and(|tags| {
                tags.split(',')
                    .any(|tag| tag.trim() == etag || tag.trim() == "*")
            })
        });
    let mut response = if known {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    } else {
        respond::bytes(StatusCode::OK, content_type, body)
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// `/version`: JSON for everyone, whatever they would rather have.
pub(crate) fn version(call: &Call) -> Answer {
    let document = json!({
        "major": "1", "minor": "36",
        "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "",
        "buildDate": BUILD_DATE, "goVersion": "none", "compiler": "rustc", "platform": platform(),
    });
    let output = Output {
        format: Format::Json,
        form: Form::Whole,
        pretty: wants_pretty(&call.parts.headers, call.parts.uri.query()),
        gzip: false,
    };
    respond::value(StatusCode::OK, &document, &output)
}

/// The same for `kubernetes_build_info`.
pub(crate) fn build_info() -> [(&'static str, &'static str); 9] {
    [
        ("major", "1"),
        ("minor", "36"),
        ("git_version", VERSION),
        ("git_commit", ""),
        ("git_tree_state", ""),
        ("build_date", BUILD_DATE),
        ("go_version", "none"),
        ("compiler", "rustc"),
        ("platform", platform()),
    ]
}

fn platform() -> &'static str {
    static PLATFORM: OnceLock<String> = OnceLock::new();
    PLATFORM.get_or_init(|| format!("{}/{}", std::env::consts::OS, architecture()))
}

/// Go's names, which clients know.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `/healthz`, `/livez`, `/readyz`, and one check below them. A server that answers is well, as it starts to listen when
/// its state is loaded, unless it can never write again.
pub(crate) fn health(call: &Call, path: &str) -> Response {
    let (endpoint, check) = path.split_once('/').unwrap_or((path, ""));
    if !check.is_empty() && !CHECKS.contains(&check) {
        return respond::no_such_path();
    }
    let etcd = store_failure(&*call.api.store);
    if let Some(error) = etcd.as_ref().filter(|_| check == "etcd") {
        let text = format!("internal server error: {error}\n");
        return respond::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    }
    let stopping = call.api.shutdown.is_cancelled() && endpoint == "readyz";
    if stopping {
        let text = format!("[-]shutdown failed: the server is stopping\n{endpoint} check failed\n");
        return respond::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    }
    let failed = etcd.is_some() && check.is_empty();
    if failed || check.is_empty() && call.query.boolean("verbose").is_some() {
        let mut text: String = CHECKS
            .iter()
            .map(|check| match *check {
                "etcd" if failed => "[-]etcd failed: reason withheld\n".to_owned(),
                check => format!("[+]{check} ok\n"),
            })
            .collect();
        let (status, outcome) = match failed {
            true => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
            false => (StatusCode::OK, "passed"),
        };
        text.push_str(&format!("{endpoint} check {outcome}\n"));
        return respond::text(status, text);
    }
    respond::text(StatusCode::OK, "ok")
}

/// What keeps the store from ever writing again. A full disk does not: reads go on, and so do deletes.
pub(crate) fn store_failure(store: &dyn Store<Obj>) -> Option<StoreError> {
    let lasting =
        |error: &StoreError| matches!(error, StoreError::Corrupt { .. } | StoreError::Closed);
    store.health().filter(lasting)
}
