//! Creates, gets, lists and watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection::{Connection, Endpoint};
use crate::table::{self, Samples};
use crate::{ApiArgs, Workspace};

/// Lists that are read and timed.
const LISTS: usize = 10;

struct Bench {
    endpoint: Endpoint,
    path: String,
    size: usize,
    created: Arc<AtomicU64>,
}

pub(crate) async fn run(args: ApiArgs) -> anyhow::Result<()> {
    let config = args.target.config().await?;
    let endpoint = Endpoint::new(&config)?;
    let workspace = Workspace::open(config, &args.target).await?;
    let bench = Bench {
        endpoint,
        path: format!("/api/v1/namespaces/{}/configmaps", workspace.name),
        size: args.size,
        created: Arc::default(),
    };
    table::header();
    let time = Duration::from_secs(args.seconds);
    bench.creates(args.connections, Until::Time(time)).await?;
    bench.gets(args.connections, time).await?;
    let missing = (args.list as u64).saturating_sub(bench.created.load(Ordering::Relaxed));
    if missing > 0 {
        bench
            .creates(args.connections, Until::Count(missing))
            .await?;
    }
    bench.lists(args.list).await?;
    bench.watches(args.watchers, args.changes, time).await?;
    workspace.close().await
}

#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    Count(u64),
}

fn object(number: u64, size: usize) -> Bytes {
    let data = "x".repeat(size);
    Bytes::from(format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{number}"}},"data":{{"d":"{data}"}}}}"#
    ))
}

impl Bench {
    /// Runs `work` on many connections at once, and prints what it took.
    async fn measure<F, Fut>(&self, what: &str, connections: usize, work: F) -> anyhow::Result<()>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = anyhow::Result<Samples>> + Send + 'static,
    {
        let mut ready = Vec::new();
        for _ in 0..connections {
            ready.push(self.endpoint.connect().await?);
        }
        let start = Instant::now();
        let mut tasks: JoinSet<_> = ready.into_iter().map(work).collect();
        let mut samples = Samples::default();
        while let Some(done) = tasks.join_next().await {
            samples.extend(done??);
        }
        table::row(
            &format!("{what}, {connections} connections"),
            samples,
            start.elapsed(),
        );
        Ok(())
    }

    async fn creates(&self, connections: usize, until: Until) -> anyhow::Result<()> {
        let first = self.created.load(Ordering::Relaxed);
        let start = Instant::now();
        self.measure("create", connections, |mut connection| {
            let (path, size, created) = (self.path.clone(), self.size, Arc::clone(&self.created));
            async move {
                let mut samples = Samples::default();
                loop {
                    let number = created.fetch_add(1, Ordering::Relaxed);
                    let done = match until {
                        Until::Time(time) => start.elapsed() >= time,
                        Until::Count(count) => number >= first + count,
                    };
                    if done {
                        created.fetch_sub(1, Ordering::Relaxed);
                        return Ok(samples);
                    }
                    let sent = Instant::now();
                    connection
                        .expect(
                            Method::POST,
                            &path,
                            object(number, size),
                            StatusCode::CREATED,
                        )
                        .await?;
                    samples.push(sent.elapsed());
                }
            }
        })
        .await
    }

    async fn gets(&self, connections: usize, time: Duration) -> anyhow::Result<()> {
        let known = self
            .created
            .load(Ordering::Relaxed)
            .saturating_sub(connections as u64)
            .max(1);
        let start = Instant::now();
        self.measure("get", connections, |mut connection| {
            let path = self.path.clone();
            async move {
                let mut samples = Samples::default();
                while start.elapsed() < time {
                    let path = format!("{path}/bench-{}", rand::random_range(0..known));
                    let sent = Instant::now();
                    connection
                        .expect(Method::GET, &path, Bytes::new(), StatusCode::OK)
                        .await?;
                    samples.push(sent.elapsed());
                }
                Ok(samples)
            }
        })
        .await
    }

    async fn lists(&self, limit: usize) -> anyhow::Result<()> {
        let mut connection = self.endpoint.connect().await?;
        let mut samples = Samples::default();
        let start = Instant::now();
        let mut bytes = 0;
        // Without a resourceVersion, limit is honoured; the most recent state is what everybody lists.
        let path = format!("{}?limit={limit}", self.path);
        for _ in 0..LISTS {
            let sent = Instant::now();
            bytes = connection
                .expect(Method::GET, &path, Bytes::new(), StatusCode::OK)
                .await?;
            samples.push(sent.elapsed());
        }
        table::row(
            &format!("list of {limit} ({} MB)", bytes / 1_000_000),
            samples,
            start.elapsed(),
        );
        Ok(())
    }

    async fn watches(&self, watchers: usize, rate: u64, time: Duration) -> anyhow::Result<()> {
        let mut listing = self.endpoint.connect().await?;
        let response = listing
            .send(Method::GET, &format!("{}?limit=1", self.path), Bytes::new())
            .await?;
        let body = response.into_body().collect().await?.to_bytes();
        let list: serde_json::Value = serde_json::from_slice(&body)?;
        let revision = list["metadata"]["resourceVersion"]
            .as_str()
            .context("a list has a resourceVersion")?;
        let path = format!("{}?watch=1&resourceVersion={revision}", self.path);

        let base = Instant::now();
        let mut stops = Vec::new();
        let mut tasks = JoinSet::new();
        for _ in 0..watchers {
            let mut connection = self.endpoint.connect().await?;
            let response = connection.send(Method::GET, &path, Bytes::new()).await?;
            let (stop, stopped) = oneshot::channel();
            stops.push(stop);
            tasks.spawn(watch(response, connection, base, stopped));
        }
        let mut writer = self.endpoint.connect().await?;
        let start = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?.max(1));
        while start.elapsed() < time {
            ticks.tick().await;
            let number = self.created.fetch_add(1, Ordering::Relaxed);
            let body = stamped(number, base);
            writer
                .expect(Method::POST, &self.path, body, StatusCode::CREATED)
                .await?;
        }
        let elapsed = start.elapsed();
        // What is under way still arrives.
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(stops);
        let mut samples = Samples::default();
        while let Some(done) = tasks.join_next().await {
            samples.extend(done??);
        }
        table::row(
            &format!("watch delivery, {watchers} watchers"),
            samples,
            elapsed,
        );
        Ok(())
    }
}

/// An object that carries the time it was sent at.
fn stamped(number: u64, base: Instant) -> Bytes {
    let sent = base.elapsed().as_micros();
    Bytes::from(format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{number}"}},"data":{{"sent":"{sent}"}}}}"#
    ))
}

async fn watch(
    response: http::Response<hyper::body::Incoming>,
    connection: Connection,
    base: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    let mut body = response.into_body();
    let mut line = Vec::new();
    loop {
        let frame = tokio::select! {
            _ = &mut stopped => break,
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        for &byte in data.iter() {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            if let Some(sent) = sent_at(&line) {
                samples.push(base.elapsed().saturating_sub(sent));
            }
            line.clear();
        }
    }
    drop(connection);
    Ok(samples)
}

fn sent_at(line: &[u8]) -> Option<Duration> {
    const MARK: &[u8] = br#""sent":""#;
    let at = line.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let digits = line[at..].split(|byte| *byte == b'"').next()?;
    let micros = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_micros(micros))
}
