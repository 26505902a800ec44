//! `kill -9` in a loop: a child process writes with many tasks and prints what was acknowledged; after each kill the
//! file must hold all of it, and no revision may come twice.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sampan_store::{Expect, Key, Op, OpenError, Prefix, Revision, SqliteStore, Store, StoreConfig};

use crate::support::*;

const CHILD: &str = "SAMPAN_STORE_CRASH";
const ROUNDS: u64 = 8;

/// What the child acknowledged for a key: the value, or that it was deleted.
type Acknowledged = HashMap<String, (Revision, Option<String>)>;

#[test]
fn no_acknowledged_write_is_lost_and_no_revision_comes_twice() {
    let folder = folder();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut revisions = HashSet::new();
    for round in 0..ROUNDS {
        // Each round dies at another point: after more and more writes.
        let lines = run_until_killed(folder.path(), round, 300 + 170 * round as usize);
        assert!(
            lines.len() > 100,
            "round {round} wrote only {} times",
            lines.len()
        );
        let before = revisions.iter().max().copied().unwrap_or_default();
        for line in lines {
            let (revision, key, value) = parse(&line);
            assert!(revisions.insert(revision), "revision {revision} came twice");
            assert!(
                revision > before,
                "revision {revision} is not above the last round's {before}"
            );
            if let Some(key) = key {
                let newer = acknowledged
                    .get(&key)
                    .is_none_or(|(old, _)| *old < revision);
                if newer {
                    acknowledged.insert(key, (revision, value));
                }
            }
        }
        runtime.block_on(check(folder.path(), round, &acknowledged, &mut revisions));
    }
}

/// Starts the child, reads so many lines, kills it, and reads what else it had printed.
fn run_until_killed(folder: &Path, round: u64, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder)
        .env("SAMPAN_STORE_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let ours = |line: &String| line.starts_with("ack ");
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < lines {
        let line = output.next().expect("the child lives").unwrap();
        seen.extend(Some(line).filter(ours));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A last line that was cut off was not acknowledged either.
    seen.extend(
        output
            .map_while(Result::ok)
            .filter(ours)
            .filter(|line| line.ends_with('.')),
    );
    seen
}

/// `ack REVISION KEY VALUE .`, `ack REVISION KEY - .` for a delete, `ack REVISION lazy .` for a lazy write.
fn parse(line: &str) -> (Revision, Option<String>, Option<String>) {
    let words: Vec<&str> = line.split(' ').collect();
    let revision = Revision(words[1].parse().unwrap());
    match words[2..] {
        ["lazy", "."] => (revision, None, None),
        [key, "-", "."] => (revision, Some(key.into()), None),
        [key, value, "."] => (revision, Some(key.into()), Some(value.into())),
        _ => panic!("odd line {line:?}"),
    }
}

/// Every acknowledged write is there, or something newer that was on its way when the child died.
async fn check(
    folder: &Path,
    round: u64,
    acknowledged: &Acknowledged,
    revisions: &mut HashSet<Revision>,
) {
    let store = open(folder).await;
    let highest = revisions.iter().max().copied().unwrap();
    assert!(
        store.current_revision() >= highest,
        "round {round} would go back"
    );
    for (key, (revision, value)) in acknowledged {
        let found = store.get(&pod(key)).await.unwrap();
        match (value, found) {
            (Some(value), Some(entry)) if entry.revision == *revision => {
                assert_eq!(&entry.object.text, value, "round {round}, {key}");
            }
            // One write per key is under way at a time, so it may be one ahead.
            (_, Some(entry)) => assert!(entry.revision > *revision, "round {round}, {key} is old"),
            (None, None) => {}
            (Some(value), None) => {
                let next = format!("{}", value.parse::<u64>().unwrap() + 1);
                assert!(next.ends_with('9'), "round {round}, {key}={value} is lost");
            }
        }
    }
    let made = write(&*store, pod("checker"), put(&round.to_string()))
        .await
        .revision;
    assert!(revisions.insert(made), "revision {made} came twice");
    // Every second round dropping the last handle has to do: it closes in the background.
    if round.is_multiple_of(2) {
        store.close().await;
    } else {
        drop(store);
        let again = within(async {
            loop {
                match SqliteStore::open(config(folder), TextCodec).await {
                    Ok(store) => break store,
                    Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        again.await.close().await;
    }
}

/// Not a test of its own: the process that gets killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let round: u64 = std::env::var("SAMPAN_STORE_ROUND")
        .unwrap()
        .parse()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        // Small limits, so that kills also hit checkpoints, compaction and flushes.
        let config = StoreConfig {
            checkpoint_bytes: 128 << 10,
            history_bytes: 100_000,
            lazy_bytes: 2_000,
            ..config(folder.as_ref())
        };
        let store = SqliteStore::open(config, TextCodec).await.unwrap();
        let tasks = (0..32).map(|task| tokio::spawn(write_forever(store.clone(), task, round)));
        futures::future::join_all(tasks).await;
    });
}

/// Counts one key up, deleting it at every value that ends with 9, with a lazy write now and then.
async fn write_forever(store: TextStore, task: u64, round: u64) {
    let path = format!("task-{task}");
    let existing = store.get(&pod(&path)).await.unwrap();
    let start = existing.map_or(round * 1_000_000, |entry| {
        entry.object.text.parse().unwrap()
    });
    for n in start + 1.. {
        let (op, shown) = match n % 10 {
            9 => (Op::Delete, "-".to_owned()),
            _ => (put(&n.to_string()), n.to_string()),
        };
        if let Ok(done) = store.txn(pod(&path), Expect::Any, op).await {
            acknowledge(&format!("ack {} {path} {shown} .\n", done.revision));
        }
        if n % 7 == 0 {
            let lease = Key::new("leases", &path);
            let done = write(&*store, lease, lazy(&n.to_string())).await;
            acknowledge(&format!("ack {} lazy .\n", done.revision));
        }
    }
}

/// One `write` call per line, past the test harness's capture.
fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .unwrap();
}

#[tokio::test]
async fn leases_after_a_crash_are_only_behind() {
    // The same in miniature and in one process: a lease goes back to its flushed state, never to nothing.
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, Key::new("leases", "n"), put("0")).await;
    write(&*store, Key::new("leases", "n"), lazy("1")).await;
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let store = open(copy.path()).await;
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("leases")).await),
        ["n=0"]
    );
    store.close().await;
}
