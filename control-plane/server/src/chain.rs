//! The chain every request passes, in upstream's order: panic containment, audit id, request info, authentication,
//! impersonation, limits, authorization, and then the handler under a timeout.
//!
//! It is one async function and not a stack of tower layers: the order is the text, and a request costs one boxed future
//! and not one per layer.

mod dispatch;
mod elsewhere;
mod limits;
mod receive;
mod registry;
mod to_its_end;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use futures::FutureExt;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body as _;
use sampan_api::status::Status;
use tower::ServiceExt;

pub(crate) use limits::InFlight;
pub use limits::Limits;

use crate::api::{Answer, Api, Call, LongRunning, Result};
use crate::authn::{authenticate, impersonate};
use crate::authz::authorize;
use crate::content::{refusal_format, wants_pretty};
use crate::metrics::Labels;
use crate::request::{Query, Target, verb};
use crate::respond;
use crate::tls::Peer;
use crate::user::UserInfo;
use elsewhere::elsewhere;
use to_its_end::ToItsEnd;

impl Api {
    /// Answers a request that came over a connection.
    pub(crate) async fn answer_peer(
        self: Arc<Self>,
        request: Request<Body>,
        peer: Peer,
    ) -> Response {
        answer(self, request, Who::Peer(peer)).await
    }

    /// Answers a request of a component in this process.
    pub(crate) async fn answer_as(
        self: Arc<Self>,
        request: Request<Body>,
        user: Arc<UserInfo>,
    ) -> Response {
        answer(self, request, Who::Known(user)).await
    }
}

/// Whose request it is.
enum Who {
    /// To be found out.
    Peer(Peer),
    Known(Arc<UserInfo>),
}

async fn answer(api: Arc<Api>, request: Request<Body>, who: Who) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let audit_id = audit_id(&parts.headers);
    let pretty = wants_pretty(&parts.headers, parts.uri.query());
    let accept = parts.headers.get(ACCEPT).cloned();
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let refuse =
        |status: &Status| respond::failure(status, refusal_format(accept.as_ref()), pretty);
    let requests = api.metrics.requests.clone();
    let mut labels = None;
    // The one box of a request: what calls this moves its future several times, and this is most of it.
    let steps = Box::pin(steps(api, parts, body, who, &mut labels));
    let outcome = AssertUnwindSafe(steps).catch_unwind().await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(status)) => refuse(&status),
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(%method, path, message, "a request handler panicked");
            let text = "This request caused apiserver to panic. Look in the logs for details.";
            refuse(&Status::internal(text))
        }
    };
    if method == Method::HEAD {
        // HTTP/2 counts a body here as an error of the protocol.
        *response.body_mut() = Body::empty();
    }
    let headers = response.headers_mut();
    headers.insert("audit-id", audit_id);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    match labels {
        Some(labels) => requests.answered(labels, started, response),
        None => response,
    }
}

async fn steps(
    api: Arc<Api>,
    mut parts: http::request::Parts,
    body: Body,
    who: Who,
    labels: &mut Option<Labels>,
) -> Answer {
    let target = Target::parse(parts.uri.path(), &api.customs.served());
    let query = Query::parse(parts.uri.path_and_query());
    let verb = verb(&parts.method, &target, &query);
    *labels = Labels::of(verb, &target, &query, &parts);
    if target == Target::Extra {
        registry::password_is_token(&mut parts.headers);
    }
    let user = match who {
        Who::Peer(peer) => match authenticate(&api, &peer, &parts.headers).await {
            Err(_) if target == Target::Extra => return Ok(registry::challenge()),
            user => user?,
        },
        Who::Known(user) => user,
    };
    let user = impersonate(&api, user, &parts.headers).await?;
    let long_running = is_long_running(verb, &target);
    if let Err(status) = authorize(&api, &user, verb, &parts, &query, &target).await {
        if target == Target::Extra {
            return Ok(registry::refuse(&status, &user));
        }
        let format = refusal_format(parts.headers.get(ACCEPT));
        let pretty = wants_pretty(&parts.headers, parts.uri.query());
        return Ok(respond::unauthorized(&status, format, pretty));
    }
    if target == Target::Extra {
        registry::limit_mount(&api, &user, &query, &mut parts).await?;
        return extra(&api, parts, body, user).await;
    }
    if long_running {
        let call = Call::new(api, query, verb, user, parts, body);
        let mut response = dispatch::dispatch(call, target).await?;
        response.extensions_mut().insert(LongRunning);
        return Ok(response);
    }
    let timeout = request_timeout(&query, &api)?;
    if verb == "get" && matches!(target, Target::Resource(_)) && body.is_end_stream() {
        // One object, out of memory: nothing to receive and nothing to wait for.
        let shared = api.clone();
        let _slot = shared.in_flight.enter(verb, &shared.limits)?;
        let call = Call::new(api, query, verb, user, parts, body);
        return dispatch::dispatch(call, target).await;
    }
    let call = Call::new(api, query, verb, user, parts, body);
    // Boxed, since it is large, and no part of the most frequent request.
    let answer = Box::pin(received(call, target));
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::timeout(
            "request did not complete within the allotted timeout",
        )),
    }
}

/// Reads the body and answers.
async fn received(mut call: Call, target: Target) -> Answer {
    let shared = call.api.clone();
    // Waiting for a slow client takes no place from others: the body is here before the request counts.
    let mut share = shared.in_flight.body(&shared.limits);
    if let Target::Resource(_) = &target {
        let body = call.take_body();
        let (headers, limits) = (&call.parts.headers, &shared.limits);
        let body = receive::receive(body, headers, limits, &mut share, &call.user.name).await?;
        call.give_body(body);
    }
    let (verb, heavy, runtime) = (call.verb, share.is_heavy(), shared.runtime.clone());
    let handled = async move {
        let _share = share;
        let _slot = shared.in_flight.enter(verb, &shared.limits)?;
        dispatch::dispatch(call, target).await
    };
    match verb {
        // There it goes on to its end, too.
        _ if heavy => elsewhere(&runtime, handled).await,
        "get" | "list" | "head" => handled.await,
        _ => ToItsEnd::new(handled).await,
    }
}

fn is_long_running(verb: &str, target: &Target) -> bool {
    let log = matches!(target, Target::Resource(target) if target.subresource == "log");
    verb == "watch" || log || *target == Target::Extra
}

/// `?timeout=34s`, capped by ours; what cannot be parsed is refused as upstream does.
fn request_timeout(query: &Query, api: &Api) -> Result<std::time::Duration> {
    let Some(text) = query.get("timeout") else {
        return Ok(api.limits.request_timeout);
    };
    match go_duration(text) {
        Some(asked) if asked.is_zero() => Ok(api.limits.request_timeout),
        Some(asked) => Ok(asked.min(api.limits.request_timeout)),
        None => Err(Status::bad_request(
            "invalid timeout specified in the request URL",
        )),
    }
}

/// `1m30s`, `500ms`, `0`.
fn go_duration(text: &str) -> Option<std::time::Duration> {
    if text == "0" {
        return Some(std::time::Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    if text.is_empty() {
        None
    } else {
        std::time::Duration::try_from_secs_f64(seconds).ok()
    }
}

async fn extra(
    api: &Api,
    mut parts: http::request::Parts,
    body: Body,
    user: Arc<UserInfo>,
) -> Answer {
    let Some(router) = api.extra.clone() else {
        return Ok(respond::no_such_path());
    };
    parts.extensions.insert(user);
    let answered: std::result::Result<Response, Infallible> =
        router.oneshot(Request::from_parts(parts, body)).await;
    match answered {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// The id by which a request is found in logs: the client's, when it sent one.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    const MAX_LENGTH: usize = 64;
    match headers.get("audit-id") {
        Some(id) if !id.is_empty() && id.len() <= MAX_LENGTH => id.clone(),
        _ => {
            let mut text = uuid::Uuid::encode_buffer();
            let id = fresh_uuid();
            let text = id.hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
        }
    }
}

/// A random UUID from the thread's generator: no system call per request.
pub(crate) fn fresh_uuid() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("34s", Some(34_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("0", Some(0)),
            ("", None),
            ("34", None),
            ("x", None),
            ("-1s", None),
        ] {
            assert_eq!(go_duration(text).map(|d| d.as_millis()), expected, "{text}");
        }
    }
}
