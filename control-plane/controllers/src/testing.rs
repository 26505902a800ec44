//! A server to test with.

use std::sync::{Arc, Mutex};

use kube::client::Body;
use serde_json::{Value, json};

/// Requests a server got: method, path and body.
pub(crate) type Got = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server whose answers are told by method and path; a `Status` is answered with its code, and nothing with 404.
pub(crate) fn server(
    answer: impl Fn(&str, &str) -> Option<Value> + Send + Sync + 'static,
) -> (kube::Client, Got) {
    let got = Got::default();
    let (log, answer) = (Arc::clone(&got), Arc::new(answer));
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let (method, path) = (parts.method.to_string(), parts.uri.path().to_string());
            let answer = answer(&method, &path).unwrap_or_else(|| status(404, "NotFound"));
            log.lock()
                .expect("nobody panicked")
                .push((method, path, body));
            let code = answer["code"]
                .as_u64()
                .filter(|_| answer["kind"] == "Status");
            let answered = http::Response::builder().status(code.unwrap_or(200) as u16);
            Ok::<_, tower::BoxError>(answered.body(Body::from(answer.to_string().into_bytes()))?)
        }
    });
    (kube::Client::new(service, "default"), got)
}

pub(crate) fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

/// Discovery of one group with two kinds that have no version in common, and of both groups of events.
pub(crate) fn discovery(path: &str) -> Option<Value> {
    let group = |name: &str, versions: &[&str]| {
        let versions: Vec<_> = versions
            .iter()
            .map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v}))
            .collect();
        json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
    };
    let list = |group_version: &str, kinds: &[&str]| {
        let verbs = ["delete", "deletecollection", "get", "list", "watch"];
        let kinds: Vec<_> = kinds
            .iter()
            .map(|kind| {
                let name = format!("{}s", kind.to_lowercase());
                json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": verbs})
            })
            .collect();
        Some(json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": kinds}))
    };
    let groups = [
        group("events.k8s.io", &["v1"]),
        group("ex.com", &["v1", "v1alpha1"]),
    ];
    match path {
        "/api" => Some(
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        "/apis" => Some(json!({"kind": "APIGroupList", "groups": groups})),
        "/api/v1" => list("v1", &["Event"]),
        "/apis/events.k8s.io/v1" => list("events.k8s.io/v1", &["Event"]),
        "/apis/ex.com/v1" => list("ex.com/v1", &["Old"]),
        "/apis/ex.com/v1alpha1" => list("ex.com/v1alpha1", &["Old", "New", "Event"]),
        _ => None,
    }
}
