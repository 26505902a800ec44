//! Limits of history: by bytes, by age, and what is left on disk.

use std::time::Duration;

use sampan_store::{
    Expect, Key, Op, Prefix, RangeError, RangeRequest, Revision, SqliteStore, Store, StoreConfig,
    WatchError,
};

use crate::support::*;

async fn small_history(folder: &std::path::Path) -> TextStore {
    let config = StoreConfig {
        history_bytes: 20_000,
        ..config(folder)
    };
    SqliteStore::open(config, TextCodec).await.unwrap()
}

#[tokio::test]
async fn a_watcher_that_falls_off_is_told() {
    let folder = folder();
    let store = small_history(folder.path()).await;
    let mut slow = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    for n in 0..200 {
        write(&*store, pod("default/a"), put(&n.to_string())).await;
    }
    let lost = slow.next().await;
    let Err(WatchError::Compacted { compacted }) = lost else {
        panic!("{lost:?}")
    };
    assert!(
        compacted > Revision(50) && compacted < Revision(200),
        "{compacted}"
    );
    let all = RangeRequest::all(Prefix::bucket("pods"));
    let old = store
        .range(RangeRequest {
            at: Some(Revision(compacted.0 - 1)),
            ..all
        })
        .await;
    assert!(matches!(old, Err(RangeError::Compacted { .. })), "{old:?}");
    let mut again = store
        .watch(Prefix::bucket("pods"), compacted)
        .await
        .unwrap();
    events(&mut again, 200 - compacted.0 as usize).await;
    assert!(store.stats().history_bytes <= 20_000);
    store.close().await;
}

#[tokio::test]
async fn a_busy_bucket_does_not_push_out_a_quiet_one() {
    let folder = folder();
    let store = small_history(folder.path()).await;
    write(&*store, Key::new("nodes", "n"), put("1")).await;
    for n in 0..200 {
        write(&*store, pod("default/a"), put(&n.to_string())).await;
    }
    let mut quiet = store
        .watch(Prefix::bucket("nodes"), Revision(0))
        .await
        .unwrap();
    assert_eq!(events(&mut quiet, 1).await, ["+n=1"]);
    store.close().await;
}

#[tokio::test]
async fn history_expires_by_age_without_writes() {
    let folder = folder();
    let config = StoreConfig {
        history_window: Duration::from_millis(40),
        ..config(folder.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    write(&*store, pod("default/a"), put("1")).await;
    within(async {
        while store.stats().history_bytes > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let old = store.watch(Prefix::bucket("pods"), Revision(0)).await;
    assert!(
        matches!(
            old,
            Err(WatchError::Compacted {
                compacted: Revision(1)
            })
        ),
        "{old:?}"
    );
    store
        .watch(Prefix::bucket("pods"), Revision(1))
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_shrinks_after_compaction() {
    let folder = folder();
    let store = open(folder.path()).await;
    let value = "x".repeat(100_000);
    for n in 0..400 {
        write(&*store, pod(&format!("default/{}", n % 4)), put(&value)).await;
    }
    store.close().await;
    let full = open(folder.path()).await;
    let before = full.stats().file_bytes;
    assert!(
        before > 30_000_000,
        "the log holds the old values: {before}"
    );
    full.compact(full.current_revision()).await.unwrap();
    // Rows go in slices, free pages in steps, each when the writer has nothing else to do.
    let mut probe = 0;
    within(async {
        while full.stats().file_bytes > 8_000_000 {
            probe += 1;
            full.compact(Revision(0)).await.unwrap();
            // The file itself shrinks with a checkpoint, which a trickle of writes brings about.
            write(&*full, pod("default/0"), put(&format!("{probe}{value}"))).await;
            full.compact(full.current_revision()).await.unwrap();
        }
    })
    .await;
    full.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_table_is_bounded_under_load() {
    let folder = folder();
    let store = small_history(folder.path()).await;
    let value = "x".repeat(1000);
    for n in 0..3000 {
        write(&*store, pod(&format!("default/{}", n % 3)), put(&value)).await;
    }
    store.close().await;
    let store = open(folder.path()).await;
    let size = store.stats().file_bytes;
    assert!(
        size < 2_000_000,
        "3 MB went through a history of 20 kB: {size}"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_is_bounded_under_load() {
    let folder = folder();
    let config = StoreConfig {
        checkpoint_bytes: 256 << 10,
        ..config(folder.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    let value = "x".repeat(4000);
    let mut tasks = Vec::new();
    for task in 0..16 {
        let (store, value) = (store.clone(), value.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..200 {
                let key = pod(&format!("{task}/{}", n % 10));
                store.txn(key, Expect::Any, put(&value)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    let log = store.stats().wal_bytes;
    assert!(log < 3 << 20, "12 MB went through a log of 1 MB: {log}");
    write(&*store, pod("0/0"), Op::Delete).await;
    store.close().await;
}
