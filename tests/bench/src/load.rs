//! ConfigMaps: created, replaced, read, listed and deleted, on many connections at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::bare::Bare;
use crate::connection::{Connection, Endpoint};
use crate::crew::Crew;
use crate::table::{self, Samples, Stopwatch, Summary};

/// Lists that are read and timed.
const LISTS: usize = 10;

/// A namespace's ConfigMaps, named by numbers from 0 on.
pub(crate) struct Load {
    pub(crate) endpoint: Endpoint,
    /// The collection.
    pub(crate) path: String,
    /// Bytes of data in each.
    size: usize,
    /// How many there are.
    pub(crate) created: Arc<AtomicU64>,
    /// The server's process, when it is on this machine and known.
    server: Option<u32>,
}

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    Count(u64),
}

fn object(number: u64, text: &str, size: usize) -> Vec<u8> {
    let data = text.repeat(size);
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{number}"}},"data":{{"d":"{data}"}}}}"#
    )
    .into_bytes()
}

impl Load {
    pub(crate) fn new(endpoint: Endpoint, namespace: &str, size: usize) -> Self {
        Self {
            endpoint,
            path: format!("/api/v1/namespaces/{namespace}/configmaps"),
            size,
            created: Arc::default(),
            server: None,
        }
    }

    /// Shows what processor time the server takes.
    pub(crate) fn of_server(mut self, process: Option<u32>) -> Self {
        self.server = process;
        self
    }

    /// Starts to measure.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(self.server)
    }

    /// Runs `work` on many connections at once, and prints what it took.
    async fn measure<F, Fut>(
        &self,
        what: &str,
        connections: usize,
        work: F,
    ) -> anyhow::Result<Summary>
    where
        F: Fn(Connection) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = anyhow::Result<Samples>> + Send + 'static,
    {
        let crew = Crew::connect(&self.endpoint, connections, work).await?;
        let watch = self.stopwatch();
        let samples = crew.work().await?;
        let what = format!("{what}, {connections} connections");
        Ok(table::row(&what, samples, watch.stop()))
    }

    pub(crate) async fn creates(
        &self,
        connections: usize,
        until: Until,
    ) -> anyhow::Result<Summary> {
        let first = self.created.load(Ordering::Relaxed);
        let start = Instant::now();
        let (path, size, created) = (self.path.clone(), self.size, Arc::clone(&self.created));
        self.measure("create", connections, move |mut connection| {
            let (path, created) = (path.clone(), Arc::clone(&created));
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
                    let body = object(number, "x", size);
                    let sent = Instant::now();
                    connection
                        .expect(Method::POST, &path, &body, StatusCode::CREATED)
                        .await?;
                    samples.push(sent.elapsed());
                }
            }
        })
        .await
    }

    /// Replaces objects, one after the other and then again from the first, `count` times in all.
    pub(crate) async fn updates(&self, connections: usize, count: u64) -> anyhow::Result<Summary> {
        let known = self.known(connections);
        let next = Arc::new(AtomicU64::new(0));
        let (path, size) = (self.path.clone(), self.size);
        self.measure("update", connections, move |mut connection| {
            let (path, next) = (path.clone(), Arc::clone(&next));
            async move {
                let mut samples = Samples::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok(samples);
                    }
                    let path = format!("{path}/bench-{}", number % known);
                    // Another text each round, or nothing would be written.
                    let text = if (number / known).is_multiple_of(2) {
                        "y"
                    } else {
                        "z"
                    };
                    let body = object(number % known, text, size);
                    let sent = Instant::now();
                    connection
                        .expect(Method::PUT, &path, &body, StatusCode::OK)
                        .await?;
                    samples.push(sent.elapsed());
                }
            }
        })
        .await
    }

    /// The same against a server that only answers, with as many bytes as one of these objects has.
    pub(crate) async fn bare_gets(
        &self,
        connections: usize,
        time: Duration,
    ) -> anyhow::Result<Summary> {
        let path = format!("{}/bench-0", self.path);
        let mut connection = self.endpoint.connect().await?;
        let length = connection.expect(Method::GET, &path, &[], StatusCode::OK);
        let bare = Bare::start(length.await?)?;
        let load = Self {
            endpoint: bare.endpoint.clone(),
            path: self.path.clone(),
            size: self.size,
            created: Arc::clone(&self.created),
            server: None,
        };
        load.read("bare answer", connections, time).await
    }

    pub(crate) async fn gets(&self, connections: usize, time: Duration) -> anyhow::Result<Summary> {
        self.read("get", connections, time).await
    }

    async fn read(
        &self,
        what: &str,
        connections: usize,
        time: Duration,
    ) -> anyhow::Result<Summary> {
        let known = self.known(connections);
        let start = Instant::now();
        let path = self.path.clone();
        self.measure(what, connections, move |mut connection| {
            let path = path.clone();
            async move {
                let mut samples = Samples::default();
                while start.elapsed() < time {
                    let path = format!("{path}/bench-{}", rand::random_range(0..known));
                    let sent = Instant::now();
                    connection
                        .expect(Method::GET, &path, &[], StatusCode::OK)
                        .await?;
                    samples.push(sent.elapsed());
                }
                Ok(samples)
            }
        })
        .await
    }

    /// Deletes the last `count` objects.
    pub(crate) async fn deletes(&self, connections: usize, count: u64) -> anyhow::Result<Summary> {
        let end = self.created.load(Ordering::Relaxed);
        let next = Arc::new(AtomicU64::new(end.saturating_sub(count)));
        let path = self.path.clone();
        let summary = self
            .measure("delete", connections, move |mut connection| {
                let (path, next) = (path.clone(), Arc::clone(&next));
                async move {
                    let mut samples = Samples::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return Ok(samples);
                        }
                        let path = format!("{path}/bench-{number}");
                        let sent = Instant::now();
                        connection
                            .expect(Method::DELETE, &path, &[], StatusCode::OK)
                            .await?;
                        samples.push(sent.elapsed());
                    }
                }
            })
            .await?;
        self.created.fetch_sub(count.min(end), Ordering::Relaxed);
        Ok(summary)
    }

    pub(crate) async fn lists(&self, limit: usize) -> anyhow::Result<Summary> {
        let mut connection = self.endpoint.connect().await?;
        let mut samples = Samples::default();
        let watch = self.stopwatch();
        let mut bytes = 0;
        // Without a resourceVersion, limit is honoured; the most recent state is what everybody lists.
        let path = format!("{}?limit={limit}", self.path);
        for _ in 0..LISTS {
            let sent = Instant::now();
            bytes = connection
                .expect(Method::GET, &path, &[], StatusCode::OK)
                .await?;
            samples.push(sent.elapsed());
        }
        let what = format!("list of {limit} ({} MB)", bytes / 1_000_000);
        Ok(table::row(&what, samples, watch.stop()))
    }

    /// Numbers below this were created: the last ones of each connection may have been given back.
    fn known(&self, connections: usize) -> u64 {
        let created = self.created.load(Ordering::Relaxed);
        created.saturating_sub(connections as u64).max(1)
    }
}
