//! `GET /containerLogs/NAMESPACE/POD/CONTAINER`.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};
use tokio::sync::watch;

use super::Api;
use crate::cri::container_log_path;
use crate::logs::{Follower, Following, LogOptions, LogStream, parse_options};
use crate::plan::container_named;
use crate::registry::PodView;

pub(super) async fn container_logs(
    State(api): State<Api>,
    Path((namespace, name, container)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let pairs = url_pairs(&query);
    let pairs = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let options = match parse_options(pairs, jiff::Timestamp::now()) {
        Ok(options) => options,
        Err(message) => return (StatusCode::UNPROCESSABLE_ENTITY, message).into_response(),
    };
    let Some(view) = api.shared.registry.find(&namespace, &name) else {
        let text = format!("pod \"{name}\" not found");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let attempt = match attempt(&view.borrow(), &name, &container, &options) {
        Ok(attempt) => attempt,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let Ok(permit) = api.streams.clone().try_acquire_owned() else {
        let text = "too many log streams are open on this node";
        return (StatusCode::TOO_MANY_REQUESTS, text).into_response();
    };
    let log = view
        .borrow()
        .log_dir
        .join(container_log_path(&container, attempt));
    let follow = (options.follow && !options.previous).then(|| Follower {
        container: Box::new(Container {
            view,
            name: container,
            attempt,
        }),
        watch: api.watch.clone(),
    });
    let ahead = api.files_ahead.clone();
    let stream = match LogStream::open(&log, options, follow, ahead).await {
        Ok(log) => log.into_stream(),
        Err(error) => {
            let text = format!("failed to open the log: {error}");
            return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        }
    };
    // The permit lives as long as the stream.
    let body = Body::from_stream(stream.map(move |piece| {
        let _held = &permit;
        piece
    }));
    ([(header::CONTENT_TYPE, "text/plain")], body).into_response()
}

/// Which instance's log is asked for; an error in upstream's words when it has none.
fn attempt(
    view: &PodView,
    pod: &str,
    container: &str,
    options: &LogOptions,
) -> Result<u32, String> {
    if container_named(&view.pod, container).is_none() {
        return Err(format!("container {container} is not valid for pod {pod}"));
    }
    let newest = view.containers.get(container).map(|c| c.attempt);
    if options.previous {
        // Between two instances the newest is the one before.
        let back = u32::from(!is_between(view, container));
        return newest
            .and_then(|attempt| attempt.checked_sub(back))
            .ok_or_else(|| {
                format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
            });
    }
    newest.ok_or_else(|| {
        let reason = waiting_reason(view, container).unwrap_or_else(|| "ContainerCreating".into());
        let why = match reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
            _ => {
                return format!(
                    "container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}"
                );
            }
        };
        format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {why}")
    })
}

fn waiting_reason(view: &PodView, container: &str) -> Option<String> {
    let state: &ContainerState = status(view, container)?.state.as_ref()?;
    state.waiting.as_ref()?.reason.clone()
}

/// Whether a container waits for its next instance: the status shows how the newest ended as its last state.
fn is_between(view: &PodView, container: &str) -> bool {
    status(view, container).is_some_and(|status| {
        let (state, last) = (status.state.as_ref(), status.last_state.as_ref());
        state.is_some_and(|state| state.waiting.is_some())
            && last.is_some_and(|last| last.terminated.is_some())
    })
}

fn status<'a>(view: &'a PodView, container: &str) -> Option<&'a ContainerStatus> {
    let statuses = view
        .status
        .init_container_statuses
        .iter()
        .chain(&view.status.container_statuses)
        .chain(&view.status.ephemeral_container_statuses);
    statuses.flatten().find(|status| status.name == container)
}

/// Decodes a query string. `+` is a space, as in forms.
fn url_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &after[2..];
                    }
                    None => bytes.push(b'%'),
                }
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The instance a follower reads the log of.
struct Container {
    view: watch::Receiver<PodView>,
    name: String,
    attempt: u32,
}

#[async_trait::async_trait]
impl Following for Container {
    fn is_running(&mut self) -> bool {
        // A closed channel means the pod is gone.
        if self.view.has_changed().is_err() {
            return false;
        }
        let view = self.view.borrow_and_update();
        view.containers
            .get(&self.name)
            .is_some_and(|container| container.attempt == self.attempt && container.running)
    }

    async fn changed(&mut self) {
        // An error means the pod is gone; `is_running` tells.
        self.view.changed().await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::ContainerView;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn the_instance_before() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        let ended = json!({"terminated": {"exitCode": 1}});
        let check = |attempt: u32, state: serde_json::Value, expect: Option<u32>| {
            let status = json!({"containerStatuses": [{"name": "c", "image": "", "imageID": "",
                "ready": false, "restartCount": attempt, "state": state, "lastState": ended}]});
            let container = ContainerView {
                id: String::new(),
                attempt,
                running: false,
            };
            let view = PodView {
                pod: Arc::new(serde_json::from_value(pod.clone()).unwrap()),
                status: Arc::new(serde_json::from_value(status).unwrap()),
                log_dir: "/logs".into(),
                containers: [("c".to_owned(), container)].into(),
            };
            let mut options =
                parse_options([("previous", "true")].into_iter(), jiff::Timestamp::now()).unwrap();
            assert_eq!(super::attempt(&view, "p", "c", &options).ok(), expect);
            options.previous = false;
            assert_eq!(super::attempt(&view, "p", "c", &options), Ok(attempt));
        };
        check(2, json!({"running": {}}), Some(1));
        check(2, ended.clone(), Some(1));
        check(
            2,
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            Some(2),
        );
        check(
            0,
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            Some(0),
        );
        check(0, json!({"running": {}}), None);
    }

    #[test]
    fn queries_are_decoded() {
        let check = |query: &str, expect: &[(&str, &str)]| {
            let pairs = url_pairs(query);
            let got: Vec<_> = pairs
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(got, expect, "{query}");
        };
        check("", &[]);
        check("a=1&b", &[("a", "1"), ("b", "")]);
        check(
            "t=2026-01-01T00%3A00%3A00Z",
            &[("t", "2026-01-01T00:00:00Z")],
        );
        check("x=a+b%zz%", &[("x", "a b%zz%")]);
    }
}
