//! Clients that attack a handler; the handler beside it is the neighbour.

use crate::support::{Bench, Running, listen_locally, soon, until};
use crate::village::{Repeated, Village};
use sampan_engine::HttpLimits;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn victim(bench: &Bench, change: impl FnOnce(&mut HttpLimits)) -> Running {
    let start = bench.start_with("http-handler", &[], |spec| {
        listen_locally(spec);
        change(&mut spec.http);
    });
    start.await
}

async fn end(village: &Village, victim: Running) {
    victim.container.kill();
    soon(victim.container.wait()).await;
    village.recovers().await;
}

/// Sends a head a byte at a time, until the handler has enough of it.
async fn slow_loris(addr: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(addr).await else {
        return;
    };
    for byte in b"GET / HTTP/1.1\r\nhost: "
        .iter()
        .chain([b'x'].iter().cycle())
    {
        let pause = tokio::time::sleep(Duration::from_millis(50));
        pause.await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_loris_clients() {
    let village = Village::new().await;
    let attack = village.under("slow loris", async |bench: &Bench| {
        let victim = victim(bench, |http| {
            http.header_timeout = Duration::from_millis(500);
            http.max_connections = 64;
        });
        let victim = victim.await;
        let addr = victim.addr();
        let clients = Repeated::start(200, move || slow_loris(addr));
        (victim, clients)
    });
    let (victim, clients) = attack.await;
    clients.stop().await;
    // The victim itself has lived through it.
    victim.is_healthy().await;
    end(&village, victim).await;
}

/// Sends a body without end; returns when the handler has answered or had enough.
async fn endless_body(addr: SocketAddr) {
    let Ok(stream) = TcpStream::connect(addr).await else {
        return;
    };
    let (mut read, mut write) = stream.into_split();
    let answer = async move {
        let mut answer = Vec::new();
        let _cut_off = read.read_to_end(&mut answer).await;
        answer
    };
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    let body = async move {
        let mut sent = write.write_all(head).await;
        while sent.is_ok() {
            sent = write.write_all(&chunk).await;
        }
    };
    let ((), answer) = futures::future::join(body, answer).await;
    assert!(answer.len() < 4_096, "an answer of a few words at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies() {
    let village = Village::new().await;
    let attack = village.under("huge bodies", async |bench: &Bench| {
        let victim = victim(bench, |http| http.max_body_bytes = 1 << 20).await;
        let addr = victim.addr();
        let clients = Repeated::start(8, move || endless_body(addr));
        (victim, clients)
    });
    let (victim, clients) = attack.await;
    clients.stop().await;
    victim.is_healthy().await;
    end(&village, victim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections() {
    let village = Village::new().await;
    let attack = village.under("connection flood", async |bench: &Bench| {
        let victim = victim(bench, |http| http.max_connections = 32).await;
        let addr = victim.addr();
        let clients = Repeated::start(32, move || async move {
            let mut stream = match TcpStream::connect(addr).await {
                Ok(stream) => stream,
                Err(_refused) => return,
            };
            let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let mut answer = Vec::new();
            if stream.write_all(request).await.is_ok() {
                let _cut_off = stream.read_to_end(&mut answer).await;
            }
        });
        (victim, clients)
    });
    let (victim, clients) = attack.await;
    clients.stop().await;
    until(|| village.bench.engine.stats().instances == 0).await;
    victim.is_healthy().await;
    end(&village, victim).await;
}
