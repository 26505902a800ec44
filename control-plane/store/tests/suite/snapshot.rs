//! Copies of a database: one moment of a store that is written to, the source left alone, no revision used twice.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sampan_store::{
    Expect, Key, Op, OpenError, Prefix, Revision, Snapshot, SnapshotError, Store, WatchError,
};

use crate::support::*;

/// The files of a store with their content, to see that nothing changes them.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: &str| fs::read(folder.join(name)).ok();
    ["state.db", "state.db-wal"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), read(name)?)))
        .filter(|(_, content)| !content.is_empty())
        .collect()
}

/// Writers that create, replace and delete until told to stop.
fn load(store: &TextStore, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let writer = |writer: usize| {
        let (store, stop) = (Arc::clone(store), Arc::clone(stop));
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let key = pod(&format!("w{writer}/{}", n % 50));
                let op = match n % 7 {
                    6 => Op::Delete,
                    _ => put(&format!("{n}-{}", "x".repeat(300))),
                };
                // Deleting what is not there is a conflict, and no harm.
                let _ = store.txn(key, Expect::Any, op).await;
            }
        })
    };
    (0..8).map(writer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_moment_of_a_busy_store() {
    let folder = folder();
    let store = open(folder.path()).await;
    for n in 0..300 {
        write(&*store, pod(&format!("old/{n}")), put(&n.to_string())).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = load(&store, &stop);
    for round in 0..5 {
        let before = store.current_revision();
        let copies = crate::support::folder();
        let copy = copies.path().join("state.db");
        let taken = within(Snapshot::take(&folder.path().join("state.db"), &copy))
            .await
            .unwrap();
        assert!(taken.revision >= before, "what was acknowledged is in it");
        assert!(taken.ceiling > taken.revision);
        // What is on disk is published in the next moment.
        within(async {
            while store.current_revision() < taken.revision {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // The history of the running store says what there was at that revision.
        let expected = shown(&list_at(&*store, Prefix::bucket("pods"), taken.revision).await);
        let copied = open(copies.path()).await;
        let found = list(&*copied, Prefix::bucket("pods")).await;
        assert_eq!(shown(&found), expected, "round {round}");
        assert_eq!(taken.entries["pods"], expected.len() as u64);
        assert!(copied.current_revision() >= taken.ceiling);
        copied.close().await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn a_stopped_store_is_left_alone() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    write(&*store, Key::new("leases", "n"), put("two")).await;
    write(&*store, pod("default/b"), put("three")).await;
    write(&*store, pod("default/b"), Op::Delete).await;
    // As a power cut would leave it, with everything still in the log.
    let crashed = crate::support::folder();
    for (name, content) in files(folder.path()) {
        fs::write(crashed.path().join(name), content).unwrap();
    }
    store.close().await;
    for (source, revision) in [(folder.path(), 4), (crashed.path(), 4)] {
        let before = files(source);
        let copies = crate::support::folder();
        let copy = copies.path().join("state.db");
        let taken = Snapshot::take(&source.join("state.db"), &copy)
            .await
            .unwrap();
        assert_eq!(taken.revision, Revision(revision));
        assert_eq!((taken.entries["pods"], taken.entries["leases"]), (1, 1));
        assert!(files(source) == before, "the source was changed");
        assert_eq!(Snapshot::verify(&copy).await.unwrap(), taken);
        let store = open(source).await;
        assert_eq!(
            shown(&list(&*store, Prefix::bucket("pods")).await),
            ["default/a=one"]
        );
        store.close().await;
    }
}

#[tokio::test]
async fn a_copy_that_was_advanced_goes_on_above() {
    let folder = folder();
    let store = open(folder.path()).await;
    let seen = write(&*store, pod("default/a"), put("one")).await.revision;
    let copies = crate::support::folder();
    let copy = copies.path().join("state.db");
    let taken = Snapshot::take(&folder.path().join("state.db"), &copy)
        .await
        .unwrap();
    store.close().await;

    let to = Revision(taken.ceiling.0 + 1_000_000);
    Snapshot::advance(&copy, to).await.unwrap();
    let back = Snapshot::advance(&copy, taken.ceiling).await.unwrap_err();
    assert!(back.to_string().contains("beyond"), "{back}");
    let store = open(copies.path()).await;
    assert_eq!(store.current_revision(), to);
    let page = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(
        (shown(&page), page.revision),
        (vec!["default/a=one".to_owned()], to)
    );
    let watch = store.watch(Prefix::bucket("pods"), seen).await;
    assert!(matches!(watch, Err(WatchError::Compacted { compacted }) if compacted == to));
    let next = write(&*store, pod("default/b"), put("two")).await.revision;
    assert_eq!(next, Revision(to.0 + 1));
    store.close().await;
    let store = open(copies.path()).await;
    assert_eq!(store.current_revision(), next);
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_copied() {
    let folder = folder();
    let (source, copy) = (
        folder.path().join("state.db"),
        folder.path().join("copy.db"),
    );
    let missing = Snapshot::take(&source, &copy).await.unwrap_err();
    assert!(
        matches!(missing, SnapshotError::Missing { .. }),
        "{missing:?}"
    );

    let store = open(folder.path()).await;
    for n in 0..300 {
        write(
            &*store,
            pod(&format!("default/{n}")),
            put(&"x".repeat(1000)),
        )
        .await;
    }
    store.close().await;
    let mut content = fs::read(&source).unwrap();
    let middle = content.len() / 8192 * 4096;
    content[middle..middle + 4096].fill(0xa5);
    fs::write(&source, content).unwrap();
    let damaged = Snapshot::take(&source, &copy).await.unwrap_err();
    let SnapshotError::Open(OpenError::Corrupt { .. }) = damaged else {
        panic!("{damaged:?}")
    };
    fs::write(&source, "hello ".repeat(100)).unwrap();
    assert!(!copy.exists(), "half a copy is no use to anybody");
    let foreign = Snapshot::take(&source, &copy).await.unwrap_err();
    let SnapshotError::Open(OpenError::NotADatabase { .. }) = foreign else {
        panic!("{foreign:?}")
    };
    fs::write(&copy, "somebody else's").unwrap();
    Snapshot::take(&source, &copy).await.unwrap_err();
    assert_eq!(fs::read(&copy).unwrap(), b"somebody else's");
}
