//! Probes of real servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

const READY: &str = "/status/containerStatuses/0/ready";

/// A server that answers with the status it is told, and counts.
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn new(status: u16) -> Server {
        let status = Arc::new(AtomicU16::new(status));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (status.clone(), asked.clone());
        let router = Router::new()
            .route(
                "/grpc.health.v1.Health/Check",
                axum::routing::post(|| async {
                    let head = [("content-type", "application/grpc"), ("grpc-status", "0")];
                    (head, vec![0_u8, 0, 0, 0, 2, 8, 1])
                }),
            )
            .fallback(move || {
                count.fetch_add(1, Ordering::Relaxed);
                let status = StatusCode::from_u16(answer.load(Ordering::Relaxed)).unwrap();
                async move { (status, "so it is") }
            });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server {
            address,
            status,
            asked,
        }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// A probe of this server, every second, that believes every answer.
    fn probe(&self) -> Value {
        json!({"httpGet": {"host": "127.0.0.1", "port": self.address.port(), "path": "/"},
            "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30})
    }

    async fn asked_times(&self, more: usize) {
        let goal = self.asked.load(Ordering::Relaxed) + more;
        let reached = eventually(|| (self.asked.load(Ordering::Relaxed) >= goal).then_some(()));
        assert!(reached.await.is_some(), "not asked {more} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_answers_and_writes_only_changes() {
    let cluster = Cluster::new();
    let server = Server::new(503).await;
    cluster.pod(
        "p",
        &["run"],
        json!({"container": {"readinessProbe": server.probe()}}),
    );
    cluster.until("p", "/status/phase", json!("Running")).await;
    let text = "Readiness probe failed: HTTP probe failed with statuscode: 503: so it is";
    cluster.event("Unhealthy", text).await;
    assert_eq!(cluster.get("p").pointer(READY), Some(&json!(false)));
    server.answers(302);
    cluster.until("p", READY, json!(true)).await;
    let writes = cluster.api.requests("PATCH pods/default/p/status");
    server.asked_times(3).await;
    assert_eq!(cluster.api.requests("PATCH pods/default/p/status"), writes);
    server.answers(500);
    cluster.until("p", READY, json!(false)).await;
    let restarts = "/status/containerStatuses/0/restartCount";
    assert_eq!(cluster.get("p").pointer(restarts), Some(&json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_not_alive_is_restarted() {
    let cluster = Cluster::new();
    let server = Server::new(200).await;
    cluster.pod(
        "p",
        &["run"],
        json!({"container": {"livenessProbe": server.probe()}}),
    );
    cluster.until("p", READY, json!(true)).await;
    server.asked_times(1).await;
    server.answers(500);
    let text = "Container c failed liveness probe, will be restarted";
    cluster.event("Killing", text).await;
    server.answers(200);
    let restarts = "/status/containerStatuses/0/restartCount";
    let again = eventually(|| {
        let count = cluster.get("p").pointer(restarts)?.as_u64()?;
        (count >= 1 && cluster.get("p").pointer(READY) == Some(&json!(true))).then_some(())
    });
    assert!(again.await.is_some(), "{:#}", cluster.get("p")["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_on_the_hosts_network_have_the_nodes_address() {
    let mut cluster = Cluster::new();
    let server = Server::new(200).await;
    let mut probe = server.probe();
    probe["httpGet"].as_object_mut().unwrap().remove("host");
    let ip = json!({"fieldRef": {"fieldPath": "status.podIP"}});
    let spec = json!({"hostNetwork": true, "container": {"readinessProbe": probe,
        "env": [{"name": "IP", "valueFrom": ip}]}});
    cluster.pod("p", &["run"], spec);
    let pod = cluster.until("p", READY, json!(true)).await;
    assert_eq!(pod["status"]["podIP"], "127.0.0.1");
    assert_eq!(pod["status"]["podIPs"], json!([{"ip": "127.0.0.1"}]));
    let env = cluster.runtime.config("c").envs;
    let ip = env.iter().find(|variable| variable.key == "IP").unwrap();
    assert_eq!(ip.value, b"127.0.0.1");
    // Another process of the agent that finds it running.
    cluster.restart(false).await;
    server.asked_times(2).await;
    assert_eq!(cluster.get("p")["status"]["podIP"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_and_grpc_are_asked_too() {
    let cluster = Cluster::new();
    let server = Server::new(200).await;
    let port = server.address.port();
    let tcp = json!({"tcpSocket": {"host": "127.0.0.1", "port": port}, "periodSeconds": 1});
    cluster.pod(
        "tcp",
        &["run"],
        json!({"container": {"readinessProbe": tcp}}),
    );
    cluster.until("tcp", READY, json!(true)).await;
    // Nobody listens at the pod's own address.
    let none = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1, "timeoutSeconds": 30});
    cluster.pod(
        "none",
        &["run"],
        json!({"container": {"readinessProbe": none}}),
    );
    cluster
        .event("Unhealthy", "Readiness probe failed: dial tcp 127.64.")
        .await;
    let exec = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    cluster.pod(
        "exec",
        &["run"],
        json!({"container": {"readinessProbe": exec}}),
    );
    cluster
        .event("Unhealthy", "Readiness probe errored: this node cannot")
        .await;
    assert_eq!(cluster.get("exec").pointer(READY), Some(&json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_health_is_understood() {
    let cluster = Cluster::new();
    // The pod's address is the fake runtime's; all of 127.0.0.0/8 is this machine's.
    let server = Server::new(200).await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = server.address;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = tokio::net::TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move {
                tokio::io::copy_bidirectional(&mut from, &mut to).await.ok();
            });
        }
    });
    let grpc = json!({"grpc": {"port": port}, "periodSeconds": 1, "timeoutSeconds": 30});
    cluster.pod(
        "p",
        &["run"],
        json!({"container": {"readinessProbe": grpc}}),
    );
    cluster.until("p", READY, json!(true)).await;
}
