//! The kubelet API: who may ask, and logs.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::cluster::{Cluster, NODE, eventually};

/// A connection to the node, with a certificate of this user and group or without one.
async fn connect(
    cluster: &Cluster,
    who: Option<(&str, &str)>,
    protocol: &str,
) -> TlsStream<TcpStream> {
    let node = eventually(|| cluster.api.get("nodes", "", NODE))
        .await
        .unwrap();
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(cluster.ca.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match who {
        None => builder.with_no_client_auth(),
        Some((user, group)) => {
            let (certificate, key) = cluster.certificate(user, group);
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_reader(Cursor::new(key)).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let socket = TcpStream::connect(("127.0.0.1", port as u16))
        .await
        .unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, socket).await.unwrap()
}

async fn ask(cluster: &Cluster, who: Option<(&str, &str)>, path: &str) -> (u16, Incoming) {
    let stream = connect(cluster, who, "http/1.1").await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "node")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

const SERVER: Option<(&str, &str)> = Some(("kube-apiserver", "system:masters"));

async fn text(cluster: &Cluster, path: &str) -> (u16, String) {
    let (code, body) = ask(cluster, SERVER, path).await;
    let bytes = body.collect().await.unwrap().to_bytes();
    (code, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_api_server_may_ask() {
    let cluster = Cluster::new();
    for (who, code) in [
        (None, 401),
        (Some(("eve", "system:authenticated")), 403),
        (SERVER, 200),
        (Some(("kube-apiserver-kubelet-client", "x")), 200),
    ] {
        assert_eq!(ask(&cluster, who, "/healthz").await.0, code, "{who:?}");
    }
    assert_eq!(ask(&cluster, SERVER, "/exec/x").await.0, 404);
}

/// A request of its own line: the connection ends with the answer if it may not ask, and stays open if it may.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_gets_one_answer() {
    let cluster = Cluster::new();
    let request = || {
        Request::get("https://node/healthz")
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    for (who, allowed) in [
        (None, false),
        (Some(("eve", "system:authenticated")), false),
        (SERVER, true),
    ] {
        let stream = TokioIo::new(connect(&cluster, who, "h2").await);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, stream)
            .await
            .unwrap();
        let mut connection = tokio::spawn(connection);
        let code = sender.send_request(request()).await.unwrap().status();
        assert_eq!(code.is_success(), allowed, "{who:?}");
        if allowed {
            let again = sender.send_request(request()).await.unwrap().status();
            assert!(again.is_success(), "a second one on the same connection");
            continue;
        }
        let limit = std::time::Duration::from_secs(10);
        let ended = tokio::time::timeout(limit, &mut connection).await;
        assert!(ended.is_ok(), "{who:?}: the connection is still open");
    }
    let stream = TokioIo::new(connect(&cluster, None, "http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut plain = request();
    plain.headers_mut().insert("host", "node".parse().unwrap());
    let response = sender.send_request(plain).await.unwrap();
    assert_eq!(response.headers()["connection"], "close");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_selected() {
    let cluster = Cluster::new();
    cluster.pod(
        "p",
        &["exit", "0", "one", "two", "three"],
        json!({"restartPolicy": "Never"}),
    );
    cluster
        .until("p", "/status/phase", json!("Succeeded"))
        .await;
    let log = "/containerLogs/default/p/c";
    assert_eq!(text(&cluster, log).await, (200, "one\ntwo\nthree\n".into()));
    assert_eq!(
        text(&cluster, &format!("{log}?tailLines=2")).await.1,
        "two\nthree\n"
    );
    assert_eq!(text(&cluster, &format!("{log}?tailLines=0")).await.1, "");
    assert_eq!(
        text(&cluster, &format!("{log}?limitBytes=5")).await.1,
        "one\nt"
    );
    assert_eq!(
        text(
            &cluster,
            &format!("{log}?sinceTime=2999-01-01T00%3A00%3A00Z")
        )
        .await
        .1,
        ""
    );
    assert_eq!(
        text(&cluster, &format!("{log}?follow=true")).await.1,
        "one\ntwo\nthree\n"
    );
    let (_, stamped) = text(&cluster, &format!("{log}?timestamps=true&tailLines=1")).await;
    let (time, line) = stamped.split_once(' ').unwrap();
    assert_eq!(line, "three\n");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(text(&cluster, &format!("{log}?tailLines=x")).await.0, 422);
    let missing = text(&cluster, "/containerLogs/default/p/x").await;
    assert_eq!(missing, (400, "container x is not valid for pod p".into()));
    assert_eq!(text(&cluster, "/containerLogs/default/q/c").await.0, 404);
    let previous = text(&cluster, &format!("{log}?previous=true")).await;
    let words = "previous terminated container \"c\" in pod \"p\" not found";
    assert_eq!(previous, (400, words.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_instance_before() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run", "hello"], json!({}));
    cluster.until("p", "/status/phase", json!("Running")).await;
    cluster.runtime.print("c", "first");
    cluster.runtime.finish("c", 1);
    cluster
        .until("p", "/status/containerStatuses/0/restartCount", json!(1))
        .await;
    let log = "/containerLogs/default/p/c";
    assert_eq!(
        text(&cluster, &format!("{log}?previous=true")).await.1,
        "hello\nfirst\n"
    );
    assert_eq!(text(&cluster, log).await.1, "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_ends_with_its_container() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run", "one"], json!({"restartPolicy": "Never"}));
    cluster.until("p", "/status/phase", json!("Running")).await;
    let (code, mut body) = ask(&cluster, SERVER, "/containerLogs/default/p/c?follow=true").await;
    assert_eq!(code, 200);
    let mut read = String::new();
    let next = async |body: &mut Incoming, read: &mut String| {
        let frame = body.frame().await?.unwrap();
        read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        Some(())
    };
    next(&mut body, &mut read).await.unwrap();
    assert_eq!(read, "one\n");
    cluster.runtime.print("c", "two");
    next(&mut body, &mut read).await.unwrap();
    assert_eq!(read, "one\ntwo\n");
    cluster.runtime.print("c", "three");
    cluster.runtime.finish("c", 0);
    while next(&mut body, &mut read).await.is_some() {}
    assert_eq!(read, "one\ntwo\nthree\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_has_not_started_has_no_log() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({"container": {"image": "missing:v1"}}));
    cluster.until("p", "/status/phase", json!("Pending")).await;
    let reason = "/status/containerStatuses/0/state/waiting/reason";
    cluster.until("p", reason, json!("ErrImagePull")).await;
    let (code, why) = text(&cluster, "/containerLogs/default/p/c").await;
    assert_eq!(code, 400);
    assert_eq!(
        why,
        "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_as_the_kubelet_tells_it() {
    let cluster = Cluster::new();
    let (code, summary) = text(&cluster, "/stats/summary").await;
    assert_eq!(code, 200);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["node"]["nodeName"], NODE);
    let used = &summary["node"]["memory"]["workingSetBytes"];
    assert!(used.as_u64().unwrap() > 0);
    let (code, metrics) = text(&cluster, "/metrics/resource").await;
    assert_eq!(code, 200);
    assert!(metrics.contains("\nresource_scrape_error 0\n"), "{metrics}");
    assert!(
        metrics.contains("\nnode_cpu_usage_seconds_total "),
        "{metrics}"
    );
}
