//! Measures an engine and prints a table:
//! `cargo run --release -p sampan-engine --example engine_bench [ROUNDS] [--plot FILE.svg]`. The file shows how long starts
//! took.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run by hand"
)]

mod allocator;
mod plot;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use plot::{Chart, Line};
use sampan_engine::{
    Container, ContainerSpec, Engine, EngineConfig, Module, ModuleSource, OutputSink,
};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Instances held at once to measure what one costs.
const IDLE: usize = 1_000;

/// Connections of the HTTP client, and how long it runs.
const CONNECTIONS: usize = 64;
const HTTP_TIME: Duration = Duration::from_secs(5);

/// Says that this process comes after another one with the same cache.
const RESTARTED: &str = "restarted";

/// Counts chunks.
#[derive(Default)]
struct Count(AtomicUsize);

#[async_trait::async_trait]
impl OutputSink for Count {
    async fn write(&self, _data: Bytes) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() {
    allocator::refuse_huge_pages();
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, dir] = &args[..]
        && first == RESTARTED
    {
        return restarted(Path::new(dir)).await;
    }
    let plot = args.iter().position(|arg| arg == "--plot");
    let plot = plot.map(|at| args.drain(at..at + 2).next_back().unwrap());
    let rounds = args.first();
    let rounds = rounds.map_or(5_000, |rounds| rounds.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let engine = Engine::new(EngineConfig::new(dir.path().join("cache"))).unwrap();
    row("engine start", format!("{:.1} ms", millis(begun.elapsed())));
    row(
        "resident, nothing loaded",
        format!("{:.1} MiB", resident() as f64 / 1_048_576.0),
    );

    let mut loads = Vec::new();
    for guest in ["hello", "sleep", "http-handler"] {
        let source = source(dir.path(), guest);
        let begun = Instant::now();
        loads.push(engine.load(&source).await.unwrap());
        row(
            &format!("compile {guest}"),
            format!("{:.1} ms", millis(begun.elapsed())),
        );
    }
    row(
        "resident, three modules compiled",
        format!("{:.1} MiB", resident() as f64 / 1_048_576.0),
    );
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .arg(RESTARTED)
        .arg(dir.path())
        .status();
    assert!(again.unwrap().success());

    let starts = start_run_drop(&engine, &loads[0], rounds).await;
    if let Some(file) = plot {
        std::fs::write(&file, plot::svg(&[latency(&starts)], 1)).unwrap();
        row("plot of starts", file);
    }
    idle(&engine, &loads[1]).await;
    http(&engine, &loads[2]).await;
}

/// In a process of its own, with what another one compiled.
async fn restarted(dir: &Path) {
    let engine = Engine::new(EngineConfig::new(dir.join("cache"))).unwrap();
    for guest in ["http-handler", "hello"] {
        let source = source(dir, guest);
        let begun = Instant::now();
        let module = engine.load(&source).await.unwrap();
        let loaded = begun.elapsed();
        let sink = Arc::new(Count::default());
        let mut spec = ContainerSpec::new(guest, sink.clone(), sink);
        spec.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let container = engine.start(&module, spec).await.unwrap();
        if guest == "hello" {
            assert_eq!(container.wait().await.code(), 0);
        }
        row(
            &format!("start {guest} after a restart"),
            format!(
                "{:.2} ms, of which {:.2} to load its code",
                millis(begun.elapsed()),
                millis(loaded)
            ),
        );
    }
}

/// How long each took, the shortest first.
async fn start_run_drop(engine: &Engine, module: &Module, rounds: usize) -> Vec<Duration> {
    let sink = Arc::new(Count::default());
    let spec = ContainerSpec::new("hello", sink.clone(), sink.clone());
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        let container = engine.start(module, spec.clone()).await.unwrap();
        assert_eq!(container.wait().await.code(), 0);
        times.push(begun.elapsed());
    }
    assert_eq!(sink.0.load(Ordering::Relaxed), rounds);
    let (p50, p99) = percentiles(&mut times);
    row(
        "start, run, drop hello",
        format!("p50 {:.0} µs, p99 {:.0} µs", micros(p50), micros(p99)),
    );
    times
}

/// Which part of the starts took up to how long. The last hundredth has no place beside the others.
fn latency(times: &[Duration]) -> Chart<'static> {
    let points = (0..100).map(|percent| {
        let time = times[times.len() * percent / 100];
        (percent as f64, micros(time))
    });
    Chart {
        title: "start, run, drop hello",
        x: "% of the starts",
        y: "µs",
        lines: vec![Line("took at most", points.collect())],
    }
}

async fn idle(engine: &Engine, module: &Module) {
    let sink = Arc::new(Count::default());
    let spec = ContainerSpec::new("sleep", sink.clone(), sink.clone());
    let (memory, mappings) = (resident(), mappings_now());
    let begun = Instant::now();
    let mut held: Vec<Container> = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        held.push(engine.start(module, spec.clone()).await.unwrap());
    }
    while sink.0.load(Ordering::Relaxed) < IDLE {
        tokio::task::yield_now().await;
    }
    let took = begun.elapsed();
    let each = (resident() - memory) as f64 / IDLE as f64 / 1024.0;
    let more = (mappings_now() - mappings) as f64 / IDLE as f64;
    row(
        "start 1,000 blocked instances",
        format!("{:.0} ms", millis(took)),
    );
    row(
        "one blocked instance",
        format!("{each:.1} KiB resident, {more:.2} mappings"),
    );
    let begun = Instant::now();
    for container in &held {
        container.kill();
    }
    for container in &held {
        container.wait().await;
    }
    row(
        "kill 1,000 of them",
        format!("{:.0} ms", millis(begun.elapsed())),
    );
}

async fn http(engine: &Engine, module: &Module) {
    let sink = Arc::new(Count::default());
    let mut spec = ContainerSpec::new("http", sink.clone(), sink);
    spec.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let container = engine.start(module, spec).await.unwrap();
    let addr = container.addresses()[0];
    let begun = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(addr, begun + HTTP_TIME)))
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    let latency = format!("p50 {:.1} ms, p99 {:.1} ms", millis(p50), millis(p99));
    row(
        "HTTP, instance per request",
        format!("{rate:.0} requests/s at 64 connections, {latency}"),
    );
    let guest = Duration::from_nanos(container.stats().cpu_nanos);
    let each = micros(guest) / times.len() as f64;
    row(
        "processor time in the guest",
        format!("{each:.0} µs a request"),
    );
}

async fn client(addr: SocketAddr, until: Instant) -> Vec<Duration> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let request = Request::get("/")
            .header("host", "bench")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        times.push(begun.elapsed());
    }
    drop(sender);
    connection.await.unwrap().unwrap();
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

fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn mappings_now() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn row(what: &str, value: String) {
    println!("{what:36} {value}");
}
