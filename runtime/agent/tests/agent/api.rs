//! Just enough of an API server: objects in memory, list, watch, create, patch, delete.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Resource, namespace, name.
type Key = (String, String, String);

#[derive(Default)]
struct Data {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    log: Vec<(&'static str, Key, Value)>,
    requests: Vec<String>,
    /// Requests whose text contains this fail with this answer.
    broken: Option<(String, u16, String)>,
    /// Requests whose text contains this have no answer yet.
    held: Option<String>,
    tokens: u32,
    /// How long tokens are good for, in seconds.
    token_life: i64,
}

#[derive(Clone)]
pub(crate) struct FakeApi {
    data: Arc<Mutex<Data>>,
    changed: Arc<watch::Sender<()>>,
}

struct Target {
    resource: String,
    namespace: String,
    name: Option<String>,
    sub: Option<String>,
}

impl FakeApi {
    pub(crate) fn new() -> FakeApi {
        // A list of nothing has a revision too, and what comes after it is newer.
        let data = Data {
            revision: 1,
            token_life: 3_600,
            ..Data::default()
        };
        FakeApi {
            data: Arc::new(Mutex::new(data)),
            changed: Arc::new(watch::Sender::new(())),
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new().fallback(handle).with_state(self.clone());
        kube::Client::new(router, "default")
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (resource.into(), namespace.into(), name.into());
        self.data.lock().objects.get(&key).cloned()
    }

    pub(crate) fn list(&self, resource: &str) -> Vec<Value> {
        let data = self.data.lock();
        data.objects
            .iter()
            .filter(|(key, _)| key.0 == resource)
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// Requests that contain `text`, such as `PATCH pods/n/p/status`.
    pub(crate) fn requests(&self, text: &str) -> usize {
        self.data
            .lock()
            .requests
            .iter()
            .filter(|request| request.contains(text))
            .count()
    }

    pub(crate) fn break_requests(&self, text: Option<&str>) {
        let broken = text.map(|text| (text.to_owned(), 500, "broken on purpose".to_owned()));
        self.data.lock().broken = broken;
    }

    /// Requests that contain `text` are answered with this code and message.
    pub(crate) fn refuse_requests(&self, text: &str, code: u16, message: &str) {
        self.data.lock().broken = Some((text.to_owned(), code, message.to_owned()));
    }

    /// Requests that contain `text` are answered when others are held, or none.
    pub(crate) fn hold_requests(&self, text: Option<&str>) {
        self.data.lock().held = text.map(str::to_owned);
        self.changed.send_replace(());
    }

    async fn until_answered(&self, line: &str) {
        let mut changes = self.changed.subscribe();
        let answered = |(): &()| {
            let held = &self.data.lock().held;
            held.as_ref().is_none_or(|text| !line.contains(text))
        };
        changes.wait_for(answered).await.unwrap();
    }

    /// How long the tokens issued from now on are good for.
    pub(crate) fn set_token_life(&self, seconds: i64) {
        self.data.lock().token_life = seconds;
    }

    /// Creates or replaces an object, with a uid and a new resourceVersion.
    pub(crate) fn put(&self, resource: &str, mut object: Value) -> Value {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or("").to_owned();
        let key = (resource.to_owned(), text("namespace"), text("name"));
        if object["metadata"]["uid"].is_null() {
            let uid = format!("uid-{}-{}", key.2, self.data.lock().revision);
            object["metadata"]["uid"] = json!(uid);
        }
        self.write("", key, object)
    }

    fn write(&self, kind: &'static str, key: Key, mut object: Value) -> Value {
        let mut data = self.data.lock();
        data.revision += 1;
        object["metadata"]["resourceVersion"] = json!(data.revision.to_string());
        let exists = data.objects.contains_key(&key);
        let kind = match (kind, exists) {
            ("DELETED", _) => "DELETED",
            (_, true) => "MODIFIED",
            (_, false) => "ADDED",
        };
        if kind == "DELETED" {
            data.objects.remove(&key);
        } else {
            data.objects.insert(key.clone(), object.clone());
        }
        data.log.push((kind, key, object.clone()));
        drop(data);
        self.changed.send_replace(());
        object
    }

    /// What a user's graceful delete does; grace 0 removes at once.
    pub(crate) fn delete(&self, resource: &str, namespace: &str, name: &str, grace: i64) {
        let Some(mut object) = self.get(resource, namespace, name) else {
            return;
        };
        let key = (resource.into(), namespace.into(), name.into());
        if grace == 0 {
            self.write("DELETED", key, object);
        } else {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            self.write("", key, object);
        }
    }
}

fn status(code: u16, reason: &str, message: String) -> Response {
    about(code, reason, message, json!({}))
}

fn about(code: u16, reason: &str, message: String, details: Value) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code, "details": details});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

fn target(path: &str) -> Target {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    let mut namespace = String::new();
    if parts.len() > 2 && parts[0] == "namespaces" {
        namespace = parts[1].to_owned();
        parts.drain(..2);
    }
    let part = |at: usize| parts.get(at).map(|part| (*part).to_owned());
    Target {
        resource: parts[0].to_owned(),
        namespace,
        name: part(1),
        sub: part(2),
    }
}

fn matches(target: &Target, selector: &str, key: &Key, object: &Value) -> bool {
    let value = |path: &str| {
        path.split('.')
            .fold(object, |at, part| &at[part])
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    key.0 == target.resource
        && (target.namespace.is_empty() || key.1 == target.namespace)
        && selector
            .split(',')
            .filter_map(|clause| clause.split_once('='))
            .all(|(path, expect)| value(path) == expect)
}

async fn handle(State(api): State<FakeApi>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let target = target(parts.uri.path());
    let query = parts
        .uri
        .query()
        .unwrap_or("")
        .replace("%3D", "=")
        .replace("%2C", ",");
    let name = target.name.clone().unwrap_or_default();
    let sub = target
        .sub
        .as_ref()
        .map(|sub| format!("/{sub}"))
        .unwrap_or_default();
    let line = format!(
        "{} {}/{}/{name}{sub}",
        parts.method, target.resource, target.namespace
    );
    let broken = {
        let mut data = api.data.lock();
        data.requests.push(line.clone());
        let broken = data.broken.clone();
        broken.filter(|(text, ..)| line.contains(text.as_str()))
    };
    api.until_answered(&line).await;
    if line == "GET namespaces//hidden" {
        return status(403, "Forbidden", "nobody may see that".into());
    }
    if let Some((_, code, message)) = broken {
        return status(code, "Broken", message);
    }
    let selector = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("fieldSelector="))
        .unwrap_or("")
        .to_owned();
    let key = (
        target.resource.clone(),
        target.namespace.clone(),
        name.clone(),
    );
    match parts.method {
        Method::GET if target.name.is_none() && query.contains("watch=true") => {
            watching(api, target, selector, &query)
        }
        Method::GET if target.name.is_none() => list(&api, &target, &selector),
        Method::GET => match api.get(&key.0, &key.1, &key.2) {
            Some(object) => axum::Json(object).into_response(),
            None => about(
                404,
                "NotFound",
                format!("{} \"{name}\" not found", target.resource),
                json!({"kind": target.resource, "name": name}),
            ),
        },
        Method::POST if target.sub.as_deref() == Some("token") => {
            let mut object: Value = serde_json::from_slice(&body).unwrap();
            let bound = &object["spec"]["boundObjectRef"];
            let (number, life) = {
                let mut data = api.data.lock();
                data.tokens += 1;
                (data.tokens, data.token_life)
            };
            let token = format!("{number}: {name} for {} {}", bound["name"], bound["uid"]);
            let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(life);
            object["status"] = json!({"token": token, "expirationTimestamp": until.to_string()});
            (StatusCode::CREATED, axum::Json(object)).into_response()
        }
        Method::POST => {
            let object: Value = serde_json::from_slice(&body).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
            if api.get(&key.0, &key.1, &name).is_some() {
                return status(409, "AlreadyExists", format!("\"{name}\" already exists"));
            }
            let created = api.put(&target.resource, object);
            (StatusCode::CREATED, axum::Json(created)).into_response()
        }
        Method::PATCH => {
            let kind = parts.headers[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .to_owned();
            patch(&api, key, &target, &kind, &body)
        }
        Method::DELETE => {
            let Some(object) = api.get(&key.0, &key.1, &key.2) else {
                return status(404, "NotFound", "not found".into());
            };
            let options: Value = serde_json::from_slice(&body).unwrap_or_default();
            let wanted = &options["preconditions"]["uid"];
            if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                return status(
                    409,
                    "Conflict",
                    "Precondition failed: UID in precondition".into(),
                );
            }
            api.write("DELETED", key, object.clone());
            axum::Json(object).into_response()
        }
        _ => status(405, "MethodNotAllowed", "no".into()),
    }
}

fn list(api: &FakeApi, target: &Target, selector: &str) -> Response {
    let data = api.data.lock();
    let items: Vec<&Value> = data
        .objects
        .iter()
        .filter(|(key, object)| matches(target, selector, key, object))
        .map(|(_, object)| object)
        .collect();
    let revision = data.revision.to_string();
    axum::Json(json!({"kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": revision}, "items": items}))
    .into_response()
}

fn patch(api: &FakeApi, key: Key, target: &Target, kind: &str, body: &Bytes) -> Response {
    let Some(object) = api.get(&key.0, &key.1, &key.2) else {
        return status(404, "NotFound", "not found".into());
    };
    let patch: Value = serde_json::from_slice(body).unwrap();
    let uid = &patch["metadata"]["uid"];
    if !uid.is_null() && *uid != object["metadata"]["uid"] {
        return status(
            409,
            "Conflict",
            "Precondition failed: UID in precondition".into(),
        );
    }
    let type_name = match target.resource.as_str() {
        "pods" => "io.k8s.api.core.v1.Pod",
        "nodes" => "io.k8s.api.core.v1.Node",
        _ => "io.k8s.api.core.v1.Event",
    };
    let mut next = if kind.contains("strategic") {
        sampan_api::patch::strategic(&object, &patch, type_name).unwrap()
    } else {
        sampan_api::patch::merge_patch(&object, &patch)
    };
    if target.sub.as_deref() == Some("status") {
        let (status, annotations) = (
            next["status"].take(),
            next["metadata"]["annotations"].take(),
        );
        next = object.clone();
        next["status"] = status;
        if !annotations.is_null() {
            next["metadata"]["annotations"] = annotations;
        }
    }
    if next == object {
        return axum::Json(object).into_response();
    }
    axum::Json(api.write("", key, next)).into_response()
}

/// Streams what changed after the asked revision. Not in it: initial state, bookmarks, 410.
fn watching(api: FakeApi, target: Target, selector: String, query: &str) -> Response {
    let from = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("resourceVersion="));
    let from: u64 = from.and_then(|from| from.parse().ok()).unwrap_or(0);
    let changed = api.changed.subscribe();
    // Where in the log to go on: everything up to `from` is known to the caller.
    let seen = |object: &Value| {
        let revision = object["metadata"]["resourceVersion"].as_str().unwrap();
        revision.parse::<u64>().unwrap() <= from
    };
    let at = api
        .data
        .lock()
        .log
        .partition_point(|(_, _, object)| seen(object));
    let state = (api, target, selector, changed, at);
    let events = futures::stream::unfold(
        state,
        |(api, target, selector, mut changed, mut at)| async move {
            loop {
                let mut lines = Vec::new();
                {
                    let data = api.data.lock();
                    for (kind, key, object) in &data.log[at..] {
                        if matches(&target, &selector, key, object) {
                            let event = json!({"type": kind, "object": object});
                            lines.extend(serde_json::to_vec(&event).unwrap());
                            lines.push(b'\n');
                        }
                    }
                    at = data.log.len();
                }
                if !lines.is_empty() {
                    let item = Ok::<_, Infallible>(Bytes::from(lines));
                    return Some((item, (api, target, selector, changed, at)));
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        },
    );
    Body::from_stream(events).into_response()
}
