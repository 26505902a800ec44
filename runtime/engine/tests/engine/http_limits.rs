//! Limits of HTTP handlers: time, number, size.

use crate::support::{Bench, Running, get, listen_locally, send, soon};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use sampan_engine::HttpLimits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn handler(bench: &Bench, change: impl FnOnce(&mut HttpLimits)) -> Running {
    bench
        .start_with("http-handler", &[], |spec| {
            listen_locally(spec);
            change(&mut spec.http);
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_answer_is_a_gateway_timeout() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let handler = handler(&bench, |http| {
        http.response_timeout = Duration::from_millis(200)
    })
    .await;
    for path in ["/spin", "/idle"] {
        let (status, _) = soon(get(handler.addr(), path)).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{path}");
        bench.empty().await;
    }
    handler.stderr.contains("no response after 0.2 s").await;
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_ends_when_its_time_is_over() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.request_timeout = Duration::from_millis(200)
    })
    .await;
    let (status, _) = soon(get(handler.addr(), "/spin")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    handler.stderr.contains("its time was over").await;
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_wait_and_are_refused_in_the_end() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.max_requests = 1;
        http.response_timeout = Duration::from_millis(300);
        http.request_timeout = Duration::from_secs(2);
    })
    .await;
    // Its instance works on after the response, and holds the only place until its time is over.
    assert_eq!(soon(get(handler.addr(), "/work")).await.0, StatusCode::OK);
    assert_eq!(
        soon(get(handler.addr(), "/")).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    bench.empty().await;
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_are_put_out() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.header_timeout = Duration::from_millis(200);
        http.max_connections = 4;
    })
    .await;
    for begin in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
        "PRI * HTTP/2.0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(handler.addr()).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Closed, with or without a word.
        let _closed = soon(stream.read_to_end(&mut rest)).await;
    }
    // More silent clients than connections are allowed do not lock others out for long.
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(handler.addr()).await.unwrap());
    }
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.header_timeout = Duration::from_millis(200)
    })
    .await;
    let mut stream = TcpStream::connect(handler.addr()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut all = Vec::new();
    soon(stream.read_to_end(&mut all)).await.unwrap();
    assert!(
        all.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&all)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_connection() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.header_timeout = Duration::from_millis(200);
        http.max_connections = 1;
    })
    .await;
    let mut deaf = TcpStream::connect(handler.addr()).await.unwrap();
    deaf.write_all(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    // There is one place, which it takes until it is put out.
    handler.is_healthy().await;
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads_are_limited() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.max_body_bytes = 10;
        http.max_header_bytes = 8 << 10;
    })
    .await;
    let body = Full::new(Bytes::from_static(b"more than ten bytes"));
    let (status, _) = soon(send(handler.addr(), Request::post("/").body(body).unwrap())).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::get("/")
        .header("x-long", "x".repeat(20_000))
        .body(Full::default())
        .unwrap();
    let (status, _) = soon(send(handler.addr(), request)).await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    handler.is_healthy().await;
}
