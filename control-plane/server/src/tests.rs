//! The server through its own front door: requests go through the whole chain, over the in-process service or a real
//! TLS socket. Expected answers are those of a real API server.

mod access;
mod admission;
mod agents;
mod applies;
mod bad_input;
mod bootstrap;
mod chain;
mod client;
mod collections;
mod crud;
mod customs;
mod deletion;
mod fuzz;
mod golden;
mod hostile;
mod logs;
mod managers;
mod metrics;
mod namespaces;
mod nodes;
mod odd_requests;
mod patches;
mod pods;
mod protobuf;
mod raw;
mod representations;
mod resizes;
mod scale;
mod services;
mod taken_too;
mod tokens;
mod watches;
mod websockets;
mod zeros;

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{ApiService, Server, ServerConfig, UserInfo};

/// Nothing in a test takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a fresh folder.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) dir: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        let dir = tempfile::tempdir().expect("a folder");
        let config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
        Cluster::with(config, dir).await
    }

    pub(crate) async fn with(config: ServerConfig, dir: tempfile::TempDir) -> Cluster {
        let server = Server::start(config).await.expect("the server starts");
        Cluster { server, dir }
    }

    /// Stopped in order, and started again on the same folder.
    pub(crate) async fn restarted(self) -> Cluster {
        self.server.close().await;
        let Cluster { server, dir } = self;
        drop(server);
        let config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
        Cluster::with(config, dir).await
    }

    pub(crate) fn admin(&self) -> Client {
        self.client(UserInfo::admin())
    }

    pub(crate) fn client(&self, user: UserInfo) -> Client {
        Client {
            service: self.server.service_as(user),
        }
    }

    /// With the default ServiceAccount, so that pods can be created.
    pub(crate) async fn with_account() -> Cluster {
        let cluster = Cluster::start().await;
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        cluster
            .admin()
            .create("/api/v1/namespaces/default/serviceaccounts", account)
            .await;
        cluster
    }
}

/// Talks to the service in this process.
#[derive(Clone)]
pub(crate) struct Client {
    service: ApiService,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The value, when the answer is the expected one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self.json()
    }

    /// Checks a refusal: code, reason, message (or its start, when it ends in `...`).
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, reason: &str, message: &str) -> Value {
        let status = self.expect(code);
        let said = status["message"].as_str().unwrap_or_default();
        let fits = match message.strip_suffix("...") {
            Some(start) => said.starts_with(start),
            None => said == message,
        };
        assert!(fits, "\n said: {said}\n want: {message}");
        assert_eq!(
            (&status["kind"], &status["apiVersion"], &status["status"]),
            (&json!("Status"), &json!("v1"), &json!("Failure"))
        );
        assert_eq!(status["reason"].as_str().unwrap_or_default(), reason);
        assert_eq!(status["code"], code);
        status
    }
}

impl Client {
    pub(crate) async fn raw(&self, request: Request<Body>) -> http::Response<Body> {
        match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .raw(request.body(body.into()).expect("a request"))
            .await;
        let (parts, body) = response.into_parts();
        let bytes = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .expect("an end")
            .expect("a body")
            .to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, value: &Value) -> Answer {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            value.to_string(),
        )
        .await
    }

    pub(crate) async fn put(&self, path: &str, value: &Value) -> Answer {
        self.send(
            "PUT",
            path,
            &[("content-type", "application/json")],
            value.to_string(),
        )
        .await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Answer {
        let content_type = format!("application/{kind}+json");
        self.send(
            "PATCH",
            path,
            &[("content-type", &content_type)],
            patch.to_string(),
        )
        .await
    }

    pub(crate) async fn merge(&self, path: &str, patch: Value) -> Answer {
        self.patch(path, "merge-patch", &patch).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }

    /// Creates what must be creatable.
    pub(crate) async fn create(&self, path: &str, value: Value) -> Value {
        self.post(path, &value).await.expect(201)
    }

    pub(crate) async fn watch(&self, path: &str) -> Events {
        let response = self
            .raw(Request::get(path).body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        Events {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }
}

/// The lines of a watch.
pub(crate) struct Events {
    body: Body,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn of(body: Body) -> Events {
        Events {
            body,
            buffer: Vec::new(),
        }
    }

    /// The next event; `None` when the watch ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            let body = std::mem::take(&mut self.body);
            let mut stream = body.into_data_stream();
            let piece = tokio::time::timeout(PATIENCE, stream.next())
                .await
                .expect("an event in time")?;
            self.body = Body::from_stream(stream);
            self.buffer.extend_from_slice(&piece.expect("a piece"));
        }
    }

    /// Type, name and resourceVersion of the next event.
    pub(crate) async fn brief(&mut self) -> (String, String, u64) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &event["object"]["metadata"];
        (
            text(&event["type"]),
            text(&metadata["name"]),
            version(&event["object"]),
        )
    }
}

/// The resourceVersion as a number.
pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

pub(crate) const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

pub(crate) fn configmap(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "app:v1"}]},
    })
}
