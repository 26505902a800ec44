//! HTTP handlers: answers, failures of single requests, protocols.

use crate::support::{Bench, get, listen_locally, soon, until};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sampan_engine::{ContainerSpec, StartError, Workload};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_answers_many_requests_at_once() {
    let bench = Bench::new();
    assert_eq!(
        bench.load("http-handler").await.workload(),
        Workload::HttpHandler
    );
    let handler = bench.neighbour().await;
    assert_eq!(bench.engine.stats().instances, 0, "no request, no instance");
    let requests = (0..100).map(|_| get(handler.addr(), "/"));
    for (status, body) in soon(futures::future::join_all(requests)).await {
        assert_eq!(
            (status, body.unwrap()),
            (StatusCode::OK, Bytes::from_static(b"hello\n"))
        );
    }
    bench.empty().await;
    let stats = handler.container.stats();
    assert_eq!(stats.memory_bytes, 0);
    assert!(stats.cpu_nanos > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_with_prior_knowledge_is_spoken() {
    let bench = Bench::new();
    let handler = bench.neighbour().await;
    let stream = TcpStream::connect(handler.addr()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get(format!("http://{}/", handler.addr()));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "hello\n"
        );
    }
    drop(sender);
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_one_request_and_is_logged() {
    let bench = Bench::new();
    let handler = bench.neighbour().await;
    for _ in 0..3 {
        let (status, _) = soon(get(handler.addr(), "/trap")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        handler.is_healthy().await;
    }
    handler.stderr.contains("unreachable").await;
    assert_eq!(
        handler
            .stderr
            .text()
            .lines()
            .filter(|line| line.contains("request failed"))
            .count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_response_does_not_look_whole() {
    let bench = Bench::new();
    let handler = bench.neighbour().await;
    let mut stream = TcpStream::connect(handler.addr()).await.unwrap();
    stream
        .write_all(b"GET /half HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut response = Vec::new();
    // The connection breaks: with or without an error, before or after the head.
    let _broken = soon(stream.read_to_end(&mut response)).await;
    let response = String::from_utf8_lossy(&response);
    assert!(!response.ends_with("0\r\n\r\n"), "{response}");
    handler.stderr.contains("request failed").await;
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_the_memory_limit_fails_alone() {
    let bench = Bench::new();
    let handler = bench
        .start_with("http-handler", &[], |spec| {
            listen_locally(spec);
            spec.memory_limit = Some(4 << 20);
        })
        .await;
    let (status, _) = soon(get(handler.addr(), "/memory")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    handler.stderr.contains("memory limit").await;
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_instance_along() {
    let bench = Bench::new();
    let handler = bench.neighbour().await;
    for path in ["/i", "/spin"] {
        let request = tokio::spawn(get(handler.addr(), path));
        until(|| bench.engine.stats().instances == 1).await;
        request.abort();
        bench.empty().await;
    }
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_log_holds_up_only_its_request() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let sink = std::sync::Arc::new(crate::support::Blocked::default());
    let handler = bench
        .start_with("http-handler", &[], |spec| {
            listen_locally(spec);
            spec.stdout = sink.clone();
            spec.http.response_timeout = Duration::from_millis(200);
        })
        .await;
    let (status, _) = soon(get(handler.addr(), "/log")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(*sink.offered.lock(), 4096);
    handler.is_healthy().await;
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_an_error() {
    let bench = Bench::new();
    let handler = bench.neighbour().await;
    let module = bench.load("http-handler").await;
    let sink = crate::support::Collected::new();
    let mut spec = ContainerSpec::new("second", sink.clone(), sink.clone());
    let none = bench.engine.start(&module, spec.clone()).await.unwrap_err();
    assert!(matches!(none, StartError::NoAddress), "{none:?}");
    spec.listen = vec![handler.addr()];
    let error = bench.engine.start(&module, spec).await.unwrap_err();
    let StartError::Listen { addr, source } = error else {
        panic!("{error:?}")
    };
    assert_eq!(addr, handler.addr());
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_are_served() {
    let bench = Bench::new();
    let handler = bench
        .start_with("http-handler", &[], |spec| {
            spec.listen = vec![
                "127.0.0.1:0".parse().unwrap(),
                "127.0.0.2:0".parse().unwrap(),
            ];
        })
        .await;
    for addr in handler.container.addresses() {
        assert_eq!(soon(get(*addr, "/")).await.0, StatusCode::OK);
    }
}
