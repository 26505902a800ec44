//! Logs: found at the node that has them, streamed through.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::CertificateRequest;

/// An agent that answers with the path it was asked, and to `follow` with a line and then silence.
async fn agent(cluster: &Cluster) -> u16 {
    let names = ["n1".to_owned()];
    let issued = cluster
        .server
        .pki()
        .issue(&CertificateRequest::server("n1", names))
        .expect("issued");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(crate::tls::roots(cluster.server.ca_pem()).expect("roots"));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .expect("a verifier");
    let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("a chain");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .expect("a config");
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = tls.accept(stream).await else {
                continue;
            };
            let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                let asked = request.uri().to_string();
                let body = if asked.contains("follow=true") {
                    let line =
                        futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"line\n"))]);
                    Body::from_stream(line.chain(futures::stream::pending()))
                } else {
                    Body::from(asked.clone())
                };
                let code = if asked.contains("/gone/") {
                    StatusCode::NOT_FOUND
                } else {
                    StatusCode::OK
                };
                let mut response = http::Response::new(body);
                *response.status_mut() = code;
                Ok::<_, Infallible>(response)
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .map_err(drop)
            });
        }
    });
    port
}

/// A node with an agent, and pods that run there.
pub(super) async fn node_with_pods(cluster: &Cluster, pods: &[&str]) {
    let admin = cluster.admin();
    let port = agent(cluster).await;
    admin
        .create("/api/v1/nodes", json!({"metadata": {"name": "n1"}}))
        .await;
    let status = json!({"status": {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    admin
        .merge("/api/v1/nodes/n1/status", status)
        .await
        .expect(200);
    for name in pods {
        let mut bound = pod(name);
        bound["spec"]["nodeName"] = json!("n1");
        admin.create(PODS, bound).await;
    }
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    node_with_pods(&cluster, &["p", "gone"]).await;
    let query =
        "tailLines=5&timestamps=true&previous=1&sinceTime=2026-11-23T01:00:00%2B02:00&limitBytes=9";
    let answer = admin.get(&format!("{PODS}/p/log?{query}")).await;
    let shown = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "text/plain"),
        "{shown}"
    );
    assert_eq!(
        String::from_utf8_lossy(&answer.bytes),
        "/containerLogs/default/p/c?tailLines=5&limitBytes=9&sinceTime=2026-11-23T01%3A00%3A00%2B02%3A00&timestamps=true&previous=true"
    );
    admin.get(&format!("{PODS}/gone/log")).await.refused(
        400,
        "BadRequest",
        "/containerLogs/default/gone/c",
    );
    // A followed log is passed on as it comes, and ends with the server.
    let request = Request::get(format!("{PODS}/p/log?follow=true"))
        .body(Body::empty())
        .expect("a request");
    let mut stream = admin.raw(request).await.into_body().into_data_stream();
    assert_eq!(
        &stream.next().await.expect("a line").expect("no error")[..],
        b"line\n"
    );
    cluster.server.close().await;
    assert!(
        tokio::time::timeout(PATIENCE, stream.next())
            .await
            .expect("an end")
            .is_none()
    );
}
