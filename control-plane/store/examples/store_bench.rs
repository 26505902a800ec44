//! Prints what the store does on this machine: `cargo run --release --example store_bench [seconds per line] [folder]`.
//! The folder (default: the current one) decides which disk is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_store::{
    Codec, DecodeError, Durability, Expect, Key, Op, Prefix, RangeRequest, Revision, SqliteStore,
    Store, StoreConfig,
};

/// Objects are the stored bytes.
struct Plain;

impl Codec for Plain {
    type Object = Bytes;

    fn decode(&self, _: &Key, _: Revision, stored: &Bytes) -> Result<Bytes, DecodeError> {
        Ok(stored.clone())
    }

    fn restamp(&self, object: &Bytes, _: Revision) -> Bytes {
        object.clone()
    }

    fn size(&self, object: &Bytes) -> usize {
        object.len()
    }
}

type Plainly = Arc<SqliteStore<Plain>>;

const VALUE: usize = 1024;
/// Keys that are looked up.
const OBJECTS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(3.0), |text| text.parse())?;
    let duration = Duration::from_secs_f64(seconds);
    let parent = arguments
        .next()
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = tempfile::tempdir_in(parent)?;
    println!(
        "{:<44} {:>12} {:>10} {:>10}",
        "", "per second", "p50 ms", "p99 ms"
    );
    for writers in [1, 16, 128, 512] {
        let store = open(folder.path(), &format!("create-{writers}")).await?;
        let name = format!("durable creates of 1 KiB, {writers} writers");
        measure(&name, &store, writers, duration, |s, n| {
            create(s, n, Durability::Durable)
        })
        .await;
        store.close().await;
    }
    let store = open(folder.path(), "update").await?;
    for n in 0..1000 {
        create(store.clone(), n, Durability::Durable).await;
    }
    measure(
        "durable updates of 1,000 keys, 128 writers",
        &store,
        128,
        duration,
        |s, n| create(s, n % 1000, Durability::Durable),
    )
    .await;
    measure(
        "lazy updates of 1,000 keys, 128 writers",
        &store,
        128,
        duration,
        |s, n| create(s, n % 1000, Durability::Lazy),
    )
    .await;
    store.close().await;
    reads(folder.path(), duration).await?;
    gets(folder.path(), duration).await?;
    watches(folder.path(), duration).await
}

async fn reads(folder: &Path, duration: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let store = open(folder, "read").await?;
    let fill = (0..25_000).map(|n| create(store.clone(), n, Durability::Durable));
    futures::future::join_all(fill).await;
    measure(
        "lists of 25,000 x 1 KiB, 1 reader",
        &store,
        1,
        duration,
        |s, _| list(s, None),
    )
    .await;
    measure("pages of 500, 16 readers", &store, 16, duration, |s, _| {
        list(s, Some(500))
    })
    .await;
    store.close().await;
    let start = Instant::now();
    let store = open(folder, "read").await?;
    println!(
        "{:<44} {:>23.1}",
        "reopen with 25,000 x 1 KiB, ms",
        millis(start.elapsed())
    );
    store.close().await;
    Ok(())
}

/// In no order, as clients ask: neighbours would find the way to each other's keys in the cache.
async fn gets(folder: &Path, duration: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let store = open(folder, "get").await?;
    let fill = (0..OBJECTS).map(|n| create(store.clone(), n, Durability::Durable));
    futures::future::join_all(fill).await;
    for readers in [1, 64] {
        let name = format!("gets of 100,000 keys, {readers} readers");
        measure(&name, &store, readers, duration, |s, n| {
            get(s, n.wrapping_mul(48_271) % OBJECTS)
        })
        .await;
    }
    store.close().await;
    Ok(())
}

async fn watches(folder: &Path, duration: Duration) -> Result<(), Box<dyn std::error::Error>> {
    for watchers in [1, 100, 1000] {
        let store = open(folder, &format!("watch-{watchers}")).await?;
        let seen = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for _ in 0..watchers {
            let mut watch = store.watch(Prefix::bucket("pods"), Revision(0)).await?;
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                while let Ok(events) = watch.next().await {
                    seen.fetch_add(events.len() as u64, Ordering::Relaxed);
                }
            }));
        }
        let name = format!("durable creates, 128 writers, {watchers} watchers");
        let start = Instant::now();
        measure(&name, &store, 128, duration, |s, n| {
            create(s, n, Durability::Durable)
        })
        .await;
        store.close().await;
        for task in tasks {
            task.await?;
        }
        let rate = seen.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        println!("{:<44} {rate:>12.0}", "  events delivered");
    }
    Ok(())
}

async fn open(folder: &Path, name: &str) -> Result<Plainly, sampan_store::OpenError> {
    SqliteStore::open(StoreConfig::new(folder.join(name)), Plain).await
}

fn key(n: usize) -> Key {
    Key::new("pods", &format!("default/pod-{n:08}"))
}

async fn create(store: Plainly, n: usize, durability: Durability) {
    let op = Op::Put {
        value: vec![b'x'; VALUE].into(),
        durability,
    };
    store
        .txn(key(n), Expect::Any, op)
        .await
        .expect("the disk has space");
}

async fn get(store: Plainly, n: usize) {
    store
        .get(&key(n))
        .await
        .expect("the store is open")
        .expect("the key is there");
}

async fn list(store: Plainly, limit: Option<usize>) {
    let request = RangeRequest {
        limit,
        ..RangeRequest::all(Prefix::bucket("pods"))
    };
    let page = store
        .range(request)
        .await
        .expect("the present is never compacted");
    assert_eq!(page.entries.len() as u64 + page.remaining, 25_000);
}

/// Runs `work` in so many tasks for so long and prints how often it was done and how long one took.
async fn measure<F, W>(name: &str, store: &Plainly, tasks: usize, duration: Duration, work: F)
where
    F: Fn(Plainly, usize) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut running = Vec::new();
    for _ in 0..tasks {
        let (work, store, next) = (work.clone(), store.clone(), Arc::clone(&next));
        running.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < duration {
                let begin = Instant::now();
                work(store.clone(), next.fetch_add(1, Ordering::Relaxed)).await;
                times.push(begin.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.expect("the work does not panic"));
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| millis(times[((times.len() - 1) as f64 * share) as usize]);
    println!(
        "{name:<44} {rate:>12.0} {:>10.3} {:>10.3}",
        at(0.5),
        at(0.99)
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
