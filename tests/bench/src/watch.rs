//! One kind, many watchers: how long a change takes to each of them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection::Connection;
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
    let response = listing
        .send(Method::GET, &format!("{}?limit=1", load.path), Bytes::new())
        .await?;
    let body = response.into_body().collect().await?.to_bytes();
    let list: serde_json::Value = serde_json::from_slice(&body)?;
    let revision = list["metadata"]["resourceVersion"]
        .as_str()
        .context("a list has a resourceVersion")?;
    let path = format!("{}?watch=1&resourceVersion={revision}", load.path);

    let base = Instant::now();
    let mut stops = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let mut connection = load.endpoint.connect().await?;
        let response = connection.send(Method::GET, &path, Bytes::new()).await?;
        let (stop, stopped) = oneshot::channel();
        stops.push(stop);
        tasks.spawn(watch(response, connection, base, stopped));
    }
    let mut writer = load.endpoint.connect().await?;
    let start = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?.max(1));
    let mut changes = 0;
    while start.elapsed() < time {
        ticks.tick().await;
        let number = load.created.fetch_add(1, Ordering::Relaxed);
        let body = stamped(number, base);
        writer
            .expect(Method::POST, &load.path, body, StatusCode::CREATED)
            .await?;
        changes += 1;
    }
    let elapsed = start.elapsed();
    tokio::time::sleep(TAIL).await;
    drop(stops);
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.extend(done??);
    }
    let done = changes as f64 / elapsed.as_secs_f64();
    let what = format!("watch, {watchers} watchers x {done:.0}/s");
    let missing = (changes * watchers).saturating_sub(samples.len());
    let summary = table::row(&what, samples, elapsed);
    if missing > 0 {
        println!("  {missing} deliveries did not arrive within {TAIL:?} of the end");
    }
    Ok(summary)
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
    drop(connection);
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
