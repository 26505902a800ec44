//! Measures HTTP handlers, and `wasmtime serve` on the same components in the same run if its binary is given:
//! `cargo run --release -p sampan-engine --example http_bench [SECONDS] [WASMTIME]`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run by hand"
)]

mod allocator;

use bytes::Bytes;
use sampan_engine::{ContainerSpec, Engine, EngineConfig, ModuleSource, OutputSink, Reuse};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;

/// The guests: one of WASI 0.2 and one of 0.3, which answer alike.
const GUESTS: [&str; 2] = ["http-handler", "p3-http-handler"];

/// The end of every response: the guests name no length, so they are chunked.
const END: &[u8] = b"hello\n\r\n0\r\n\r\n";

struct Nowhere;

#[async_trait::async_trait]
impl OutputSink for Nowhere {
    async fn write(&self, _data: Bytes) {}
}

#[tokio::main]
async fn main() {
    allocator::refuse_huge_pages();
    let mut args = std::env::args().skip(1);
    let time = Duration::from_secs(args.next().map_or(5, |seconds| seconds.parse().unwrap()));
    let wasmtime = args.next().map(PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineConfig::new(dir.path().join("cache"))).unwrap();
    println!("{CONNECTIONS} connections, {} s each", time.as_secs());
    for guest in GUESTS {
        let source = source(dir.path(), guest);
        if let Some(wasmtime) = &wasmtime {
            let server = Serve::start(wasmtime, &source.path);
            row(guest, "wasmtime serve", load(server.addr, time).await);
        }
        let reuse = Reuse {
            max_requests: 10_000,
            max_concurrent: 1,
            idle_timeout: Duration::from_secs(30),
        };
        let shared = Reuse {
            max_concurrent: 16,
            ..reuse.clone()
        };
        let cases = [
            ("instance per request", None),
            ("warm reuse", Some(reuse)),
            ("warm, 16 at once", Some(shared)),
        ];
        for (name, reuse) in cases {
            let module = engine.load(&source).await.unwrap();
            let mut spec = ContainerSpec::new(guest, Arc::new(Nowhere), Arc::new(Nowhere));
            spec.listen = vec!["127.0.0.1:0".parse().unwrap()];
            spec.http.reuse = reuse;
            let container = engine.start(&module, spec).await.unwrap();
            row(guest, name, load(container.addresses()[0], time).await);
            container.kill();
            container.wait().await;
        }
    }
}

/// `wasmtime serve` as a child, ended when dropped.
struct Serve {
    child: Child,
    addr: SocketAddr,
}

impl Serve {
    fn start(wasmtime: &Path, component: &Path) -> Self {
        let mut child = Command::new(wasmtime)
            .args(["serve", "-Sp3", "--addr", "127.0.0.1:0"])
            .arg(component)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let addr = line.split("http://").nth(1).unwrap();
        let addr = addr.trim().trim_end_matches('/').parse().unwrap();
        // What it has to say later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Serve { child, addr }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

/// Sends requests over all connections, one after the other on each.
async fn load(addr: SocketAddr, time: Duration) -> Figures {
    // Warms caches and pools.
    client(addr, Instant::now() + Duration::from_millis(300)).await;
    let begun = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(addr, begun + time)))
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    times.sort();
    Figures {
        rate,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

async fn client(addr: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut times, mut answer) = (Vec::new(), Vec::with_capacity(4_096));
    while Instant::now() < until {
        let begun = Instant::now();
        answer.clear();
        let request = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n";
        stream.write_all(request).await.unwrap();
        while !answer.ends_with(END) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        times.push(begun.elapsed());
    }
    times
}

fn source(dir: &Path, guest: &str) -> ModuleSource {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/guests/{guest}.wat"));
    let bytes = wat::parse_file(text).unwrap();
    let path = dir.join(format!("{guest}.wasm"));
    std::fs::write(&path, &bytes).unwrap();
    ModuleSource {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))),
        path,
    }
}

fn row(guest: &str, what: &str, figures: Figures) {
    let micros = |time: Duration| time.as_micros();
    println!(
        "{guest:16} {what:22} {:8.0} requests/s   p50 {:6} µs   p99 {:6} µs",
        figures.rate,
        micros(figures.p50),
        micros(figures.p99)
    );
}
