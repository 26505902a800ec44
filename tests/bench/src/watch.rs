//! One kind, many watchers: how long a change takes to each of them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use http::{Method, StatusCode};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection::{Connection, Endpoint};
use crate::load::Load;
use crate::table::{self, Samples, Summary};

/// What is under way when the last change was made arrives within this.
const TAIL: Duration = Duration::from_millis(500);

/// Makes `rate` changes per second while `watchers` look on.
pub(crate) async fn deliveries(
    load: &Load,
    watchers: usize,
    rate: u64,
    time: Duration,
) -> anyhow::Result<Summary> {
    let mut listing = load.endpoint.connect().await?;
    listing
        .send(&Method::GET, &format!("{}?limit=1", load.path), &[])
        .await?;
    let list: serde_json::Value = serde_json::from_slice(&listing.rest().await?)?;
    let revision = list["metadata"]["resourceVersion"]
        .as_str()
        .context("a list has a resourceVersion")?;
    let path = format!("{}?watch=1&resourceVersion={revision}", load.path);

    let base = Instant::now();
    let crowd = Crowd::new()?;
    let mut stops = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let (stop, stopped) = oneshot::channel();
        stops.push(stop);
        let connection = crowd.connect(load.endpoint.clone(), path.clone()).await?;
        tasks.spawn_on(follow(connection, base, stopped), crowd.handle());
    }
    let mut writer = load.endpoint.connect().await?;
    let watch = load.stopwatch();
    let start = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?.max(1));
    let mut changes = 0;
    while start.elapsed() < time {
        ticks.tick().await;
        let number = load.created.fetch_add(1, Ordering::Relaxed);
        let body = stamped(number, base);
        writer
            .expect(Method::POST, &load.path, &body, StatusCode::CREATED)
            .await?;
        changes += 1;
    }
    let elapsed = start.elapsed();
    let used = watch.stop();
    tokio::time::sleep(TAIL).await;
    drop(stops);
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.extend(done??);
    }
    let done = changes as f64 / elapsed.as_secs_f64();
    let what = format!("watch, {watchers} watchers x {done:.0}/s");
    let missing = (changes * watchers).saturating_sub(samples.len());
    let summary = table::row(&what, samples, used);
    if missing > 0 {
        println!("  {missing} deliveries did not arrive within {TAIL:?} of the end");
    }
    Ok(summary)
}

/// Threads that do nothing but watch: half a million events per second are more than one takes in.
struct Crowd(Option<Runtime>);

impl Crowd {
    fn new() -> anyhow::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Ok(Self(Some(runtime.enable_all().build()?)))
    }

    fn handle(&self) -> &Handle {
        let runtime = self.0.as_ref().expect("it is taken when it is dropped");
        runtime.handle()
    }

    /// Asks for `path` on a connection these threads read.
    async fn connect(&self, endpoint: Endpoint, path: String) -> anyhow::Result<Connection> {
        let connection = self.handle().spawn(async move {
            let mut connection = endpoint.connect().await?;
            connection.send(&Method::GET, &path, &[]).await?;
            anyhow::Ok(connection)
        });
        connection.await?
    }
}

/// A runtime must not wait for its threads where others are waited for.
impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// An object that carries the time it was sent at.
fn stamped(number: u64, base: Instant) -> Vec<u8> {
    let sent = base.elapsed().as_micros();
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{number}"}},"data":{{"sent":"{sent}"}}}}"#
    )
    .into_bytes()
}

async fn follow(
    mut connection: Connection,
    base: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    let mut line = Vec::new();
    loop {
        let piece = tokio::select! {
            _ = &mut stopped => break,
            piece = connection.piece() => piece?,
        };
        let Some(data) = piece else { break };
        let mut lines = data.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            line.extend_from_slice(part);
            if lines.peek().is_some() {
                if let Some(sent) = sent_at(&line) {
                    samples.push(base.elapsed().saturating_sub(sent));
                }
                line.clear();
            }
        }
    }
    Ok(samples)
}

fn sent_at(line: &[u8]) -> Option<Duration> {
    const MARK: &[u8] = br#""sent":""#;
    // The data comes last.
    let at = line
        .windows(MARK.len())
        .rposition(|window| window == MARK)?
        + MARK.len();
    let digits = line[at..].split(|byte| *byte == b'"').next()?;
    let micros = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_micros(micros))
}
