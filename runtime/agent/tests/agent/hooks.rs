//! Hooks after a start and before a stop.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cluster::{Cluster, eventually};

/// What hooks ask: it notes who asked and how many stops there were by then, and answers once it is told to.
struct Asked {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, usize)>>>,
    answer: watch::Sender<bool>,
}

impl Asked {
    async fn new(cluster: &Cluster, answers: bool) -> Asked {
        let (answer, wait) = watch::channel(answers);
        let seen: Arc<Mutex<Vec<(String, usize)>>> = Arc::default();
        let (runtime, notes) = (cluster.runtime.clone(), seen.clone());
        let router = Router::new().fallback(move |request: Request| {
            let agent = request.headers()["user-agent"].to_str().unwrap().to_owned();
            let line = format!("{} {agent}", request.uri());
            notes.lock().push((line, runtime.calls("stop ")));
            let mut wait = wait.clone();
            async move {
                wait.wait_for(|answer| *answer).await.unwrap();
                // A hook does not care.
                (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "no")
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Asked {
            address,
            seen,
            answer,
        }
    }

    fn hook(&self, path: &str) -> Value {
        json!({"httpGet": {"host": "127.0.0.1", "port": self.address.port(), "path": path}})
    }

    async fn asked(&self) {
        let asked = eventually(|| (!self.seen.lock().is_empty()).then_some(()));
        assert!(asked.await.is_some(), "nobody asked");
    }
}

/// While a container starts, the files it is about to open are not replaced.
#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_brought_up_to_date_after_a_start() {
    let cluster = Cluster::new();
    let asked = Asked::new(&cluster, false).await;
    let map = |text: &str| {
        let map = json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": text}});
        cluster.api.put("configmaps", map);
    };
    map("old");
    let pod = |name: &str, lifecycle: Value| {
        let mount = json!([{"name": "v", "mountPath": "/v"}]);
        let spec = json!({"volumes": [{"name": "v", "configMap": {"name": "m"}}],
            "container": {"volumeMounts": mount, "lifecycle": lifecycle}});
        let pod = cluster.pod(name, &["run"], spec);
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let file = "volumes/kubernetes.io~configmap/v/k";
        cluster.dir.path().join("pods").join(uid).join(file)
    };
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    let hooked = pod("p", json!({"postStart": asked.hook("/started")}));
    let other = pod("q", json!(null));
    asked.asked().await;
    cluster.until("q", "/status/phase", json!("Running")).await;
    map("new");
    let told = eventually(|| (read(&other) == "new").then_some(()));
    assert!(told.await.is_some(), "both pods hear of it at once");
    assert_eq!(read(&hooked), "old");
    asked.answer.send_replace(true);
    let told = eventually(|| (read(&hooked) == "new").then_some(()));
    assert!(told.await.is_some(), "once the start is done");
}

fn with(lifecycle: Value) -> Value {
    json!({"container": {"lifecycle": lifecycle}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_before_the_stop_is_asked_before_the_stop() {
    let cluster = Cluster::new();
    let asked = Asked::new(&cluster, true).await;
    cluster.pod("p", &["run"], with(json!({"preStop": asked.hook("/bye")})));
    cluster.until("p", "/status/phase", json!("Running")).await;
    assert!(asked.seen.lock().is_empty());
    cluster.api.delete("pods", "default", "p", 30);
    cluster.runtime_is_empty().await;
    let seen = asked.seen.lock().clone();
    let expected = ("/bye kube-lifecycle/0.1.0".to_owned(), 0);
    assert_eq!(seen, [expected], "once, and before the stop");
    // What the hook took of the thirty seconds is gone, no more.
    let stops: usize = (20..=30)
        .map(|left| cluster.runtime.calls(&format!(" {left}")))
        .sum();
    assert_eq!(stops, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_takes_the_grace_period_and_no_more() {
    let cluster = Cluster::new();
    let asked = Asked::new(&cluster, false).await;
    cluster.pod("p", &["run"], with(json!({"preStop": asked.hook("/")})));
    cluster.until("p", "/status/phase", json!("Running")).await;
    cluster.api.delete("pods", "default", "p", 1);
    cluster
        .event("FailedPreStopHook", "PreStopHook failed")
        .await;
    cluster.runtime_is_empty().await;
    // The container gets a moment of its own, as upstream.
    assert_eq!(cluster.runtime.calls(" 2"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_when_the_hook_after_its_start_is_done() {
    let cluster = Cluster::new();
    let asked = Asked::new(&cluster, false).await;
    cluster.pod("p", &["run"], with(json!({"postStart": asked.hook("/hi")})));
    asked.asked().await;
    cluster.event("Started", "Container started").await;
    assert_eq!(cluster.get("p")["status"]["phase"], "Pending");
    asked.answer.send_replace(true);
    cluster.until("p", "/status/phase", json!("Running")).await;

    // A pod that is deleted meanwhile does not wait for its hook.
    let asked = Asked::new(&cluster, false).await;
    cluster.pod("q", &["run"], with(json!({"postStart": asked.hook("/hi")})));
    asked.asked().await;
    cluster.api.delete("pods", "default", "q", 1);
    let gone = eventually(|| cluster.get("q").is_null().then_some(()));
    assert!(gone.await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_fail_are_told() {
    let cluster = Cluster::new();
    let exec = json!({"exec": {"command": ["true"]}});
    cluster.pod("p", &["run"], with(json!({"postStart": exec})));
    let text = "PostStartHook failed: this node cannot run commands in containers yet";
    cluster.event("FailedPostStartHook", text).await;
    cluster.event("Killing", "FailedPostStartHook").await;
    // It is a failure of the container like any other: it starts again.
    let exit = "/status/containerStatuses/0/lastState/terminated/exitCode";
    cluster.until("p", exit, json!(143)).await;

    let tcp = json!({"tcpSocket": {"port": 80}});
    cluster.pod("q", &["run"], with(json!({"preStop": tcp})));
    cluster.until("q", "/status/phase", json!("Running")).await;
    cluster.api.delete("pods", "default", "q", 5);
    let text = "PreStopHook failed: invalid handler";
    cluster.event("FailedPreStopHook", text).await;
    let gone = eventually(|| cluster.get("q").is_null().then_some(()));
    assert!(gone.await.is_some(), "a hook that fails stops nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn sleeping_is_a_hook() {
    let cluster = Cluster::new();
    let sleep = json!({"sleep": {"seconds": 1}});
    cluster.pod("p", &["run"], with(json!({"preStop": sleep})));
    cluster.until("p", "/status/phase", json!("Running")).await;
    cluster.api.delete("pods", "default", "p", 9);
    cluster.runtime_is_empty().await;
    assert_eq!(cluster.runtime.calls("stop "), 1);
    assert_eq!(cluster.runtime.calls(" 9"), 0, "a second of nine was slept");
}
