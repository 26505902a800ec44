//! What a restart keeps, after a clean stop and after none.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use sampan_store::{
    Codec, DecodeError, Expect, Key, Op, OpenError, Prefix, Revision, SqliteStore, Store,
    StoreConfig, WatchError,
};
use tempfile::TempDir;

use crate::support::*;

/// What a power cut would leave: the files as they are now.
fn image(of: &Path) -> TempDir {
    let copy = folder();
    for name in ["state.db", "state.db-wal"] {
        if of.join(name).exists() {
            std::fs::copy(of.join(name), copy.path().join(name)).unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn state_and_history_survive_a_clean_stop() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    write(&*store, pod("default/b"), put("one")).await;
    write(&*store, pod("default/a"), put("two")).await;
    write(&*store, pod("default/b"), Op::Delete).await;
    write(&*store, pod("default/b"), put("again")).await;
    store.close().await;
    assert!(
        !folder.path().join("state.db-wal").exists(),
        "a clean stop leaves one file"
    );

    let store = open(folder.path()).await;
    assert_eq!(store.current_revision(), Revision(5));
    let page = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(shown(&page), ["default/a=two", "default/b=again"]);
    let revisions = page
        .entries
        .iter()
        .map(|entry| (entry.create_revision.0, entry.revision.0));
    assert_eq!(revisions.collect::<Vec<_>>(), [(1, 3), (5, 5)]);
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    let seen = watch.next().await.unwrap();
    let shown_events: Vec<String> = seen.iter().map(|event| show_event(event)).collect();
    assert_eq!(
        shown_events,
        [
            "+default/a=one",
            "+default/b=one",
            "+default/a=two",
            "-default/b=one",
            "+default/b=again"
        ]
    );
    assert_eq!(show(seen[2].previous.as_ref().unwrap()), "default/a=one");
    assert_eq!(seen[3].entry.create_revision, Revision(2));
    let then = list_at(&*store, Prefix::bucket("pods"), Revision(2)).await;
    assert_eq!(shown(&then), ["default/a=one", "default/b=one"]);
    assert_eq!(
        write(&*store, pod("default/c"), put("1")).await.revision,
        Revision(6)
    );
    store.close().await;
}

#[tokio::test]
async fn opening_and_closing_changes_nothing() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    store.close().await;
    let before = std::fs::read(folder.path().join("state.db")).unwrap();
    open(folder.path()).await.close().await;
    assert!(before == std::fs::read(folder.path().join("state.db")).unwrap());
}

#[tokio::test]
async fn lazy_writes_survive_a_clean_stop_and_end_history() {
    let folder = folder();
    let store = open(folder.path()).await;
    let lease = Key::new("leases", "kube-node-lease/n");
    write(&*store, pod("default/a"), put("one")).await;
    write(&*store, lease.clone(), put("0")).await;
    write(&*store, lease.clone(), lazy("1")).await;
    write(&*store, lease.clone(), lazy("2")).await;
    write(&*store, lease.clone(), put("3")).await;
    write(&*store, lease.clone(), lazy("4")).await;
    store.close().await;

    let store = open(folder.path()).await;
    let entry = store.get(&lease).await.unwrap().unwrap();
    assert_eq!(
        (show(&entry), entry.revision),
        ("kube-node-lease/n=4".into(), Revision(6))
    );
    let old = store.watch(Prefix::bucket("leases"), Revision(5)).await;
    assert!(
        matches!(
            old,
            Err(WatchError::Compacted {
                compacted: Revision(6)
            })
        ),
        "{old:?}"
    );
    let mut pods = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    assert_eq!(
        events(&mut pods, 1).await,
        ["+default/a=one"],
        "other buckets keep theirs"
    );
    store.close().await;
}

#[tokio::test]
async fn an_unclean_stop_keeps_durable_writes_and_skips_revisions() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    let lost = write(&*store, Key::new("leases", "n"), lazy("1"))
        .await
        .revision;
    let image = image(folder.path());
    store.close().await;

    let store = open(image.path()).await;
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["default/a=one"]
    );
    assert_eq!(
        list(&*store, Prefix::bucket("leases")).await.entries.len(),
        0
    );
    let resumed = store.current_revision();
    assert!(resumed > lost);
    for from in [Revision(0), Revision(1), lost, Revision(resumed.0 - 1)] {
        let old = store.watch(Prefix::bucket("pods"), from).await;
        assert!(matches!(old, Err(WatchError::Compacted { .. })), "{old:?}");
    }
    let mut watch = store.watch(Prefix::bucket("pods"), resumed).await.unwrap();
    assert!(write(&*store, pod("default/b"), put("1")).await.revision > resumed);
    assert_eq!(events(&mut watch, 1).await, ["+default/b=1"]);
    store.close().await;

    // The clean stop afterwards must not bring back the history from before.
    let store = open(image.path()).await;
    let old = store.watch(Prefix::bucket("pods"), Revision(1)).await;
    assert!(matches!(old, Err(WatchError::Compacted { .. })), "{old:?}");
    let mut watch = store.watch(Prefix::bucket("pods"), resumed).await.unwrap();
    assert_eq!(events(&mut watch, 1).await, ["+default/b=1"]);
    store.close().await;
}

#[tokio::test]
async fn a_lazy_write_alone_reserves_its_revision() {
    let folder = folder();
    let store = open(folder.path()).await;
    let lost = write(&*store, Key::new("leases", "n"), lazy("1"))
        .await
        .revision;
    let image = image(folder.path());
    store.close().await;
    let store = open(image.path()).await;
    let next = write(&*store, Key::new("leases", "n"), lazy("2"))
        .await
        .revision;
    assert!(next > lost);
    store.close().await;
}

#[tokio::test]
async fn an_unclean_stop_without_a_write_is_a_clean_one() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    store.close().await;
    let store = open(folder.path()).await;
    let image = image(folder.path());
    store.close().await;
    let store = open(image.path()).await;
    assert_eq!(store.current_revision(), Revision(1));
    store.close().await;
}

#[tokio::test]
async fn lazy_writes_are_flushed_in_time() {
    let folder = folder();
    let config = StoreConfig {
        lazy_refresh: Duration::from_millis(20),
        ..config(folder.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    let lease = Key::new("leases", "n");
    // The first write of all goes to disk whatever it is, to mark the file as in use.
    write(&*store, lease.clone(), lazy("0")).await;
    let written = || std::fs::read(folder.path().join("state.db-wal")).unwrap();
    let before = written();
    write(&*store, lease.clone(), lazy("1")).await;
    within(async {
        while written() == before {
            tokio::task::yield_now().await;
        }
        // One compaction later the flush it saw is done.
        store.compact(Revision(0)).await.unwrap();
    })
    .await;
    let image = image(folder.path());
    store.close().await;
    let store = open(image.path()).await;
    assert_eq!(show(&store.get(&lease).await.unwrap().unwrap()), "n=1");
    store.close().await;
}

#[tokio::test]
async fn a_new_key_is_flushed_before_a_replaced_one() {
    let folder = folder();
    let config = StoreConfig {
        lazy_flush: Duration::from_millis(20),
        lazy_refresh: Duration::from_secs(3600),
        ..config(folder.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    write(&*store, Key::new("leases", "n"), lazy("0")).await;
    let written = || std::fs::read(folder.path().join("state.db-wal")).unwrap();
    let before = written();
    write(&*store, Key::new("leases", "n"), lazy("1")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(written() == before, "a heartbeat waits");
    write(&*store, Key::new("events", "e"), lazy("2")).await;
    within(async {
        while written() == before {
            tokio::task::yield_now().await;
        }
        store.compact(Revision(0)).await.unwrap();
    })
    .await;
    let image = image(folder.path());
    store.close().await;
    let store = open(image.path()).await;
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("leases")).await),
        ["n=1"]
    );
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("events")).await),
        ["e=2"]
    );
    store.close().await;
}

#[tokio::test]
async fn a_durable_write_takes_lazy_ones_along() {
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, Key::new("leases", "n"), lazy("0")).await;
    write(&*store, Key::new("leases", "n"), lazy("1")).await;
    write(&*store, pod("default/a"), put("one")).await;
    let image = image(folder.path());
    store.close().await;
    let store = open(image.path()).await;
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("leases")).await),
        ["n=1"]
    );
    store.close().await;
}

#[tokio::test]
async fn compaction_survives_a_restart() {
    let folder = folder();
    let store = open(folder.path()).await;
    for n in 0..5 {
        write(&*store, pod("default/a"), put(&n.to_string())).await;
    }
    store.compact(Revision(3)).await.unwrap();
    store.close().await;
    let store = open(folder.path()).await;
    let old = store.watch(Prefix::bucket("pods"), Revision(2)).await;
    assert!(
        matches!(
            old,
            Err(WatchError::Compacted {
                compacted: Revision(3)
            })
        ),
        "{old:?}"
    );
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(3))
        .await
        .unwrap();
    assert_eq!(
        events(&mut watch, 2).await,
        ["+default/a=3", "+default/a=4"]
    );
    store.close().await;
}

/// A codec that cannot read objects with one text.
struct Picky;

impl Codec for Picky {
    type Object = Text;

    fn decode(&self, key: &Key, revision: Revision, stored: &Bytes) -> Result<Text, DecodeError> {
        if stored == "bad" {
            return Err(DecodeError::new("unknown field"));
        }
        TextCodec.decode(key, revision, stored)
    }

    fn restamp(&self, object: &Text, revision: Revision) -> Text {
        TextCodec.restamp(object, revision)
    }

    fn size(&self, object: &Text) -> usize {
        TextCodec.size(object)
    }
}

#[tokio::test]
async fn one_unreadable_object_does_not_hide_the_rest() {
    let folder = folder();
    let store = open(folder.path()).await;
    for (name, text) in [("a", "good"), ("b", "bad"), ("c", "bad"), ("d", "good")] {
        write(&*store, pod(name), put(text)).await;
    }
    store.close().await;

    let store = SqliteStore::open(config(folder.path()), Picky)
        .await
        .unwrap();
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["a=good", "d=good"]
    );
    let mut unreadable = store.unreadable().to_vec();
    unreadable.sort();
    assert_eq!(unreadable, [pod("b"), pod("c")]);
    store
        .txn(pod("b"), Expect::Absent, lazy("better"))
        .await
        .unwrap();
    store.close().await;

    let store = open(folder.path()).await;
    let all = shown(&list(&*store, Prefix::bucket("pods")).await);
    assert_eq!(
        all,
        ["a=good", "b=better", "c=bad", "d=good"],
        "hidden is not deleted"
    );
    store.close().await;
}

#[tokio::test]
async fn a_second_open_is_refused() {
    let folder = folder();
    let store = open(folder.path()).await;
    let second = SqliteStore::open(config(folder.path()), TextCodec).await;
    let Err(error @ OpenError::Locked { .. }) = second.map(drop) else {
        panic!("it was opened")
    };
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    write(&*store, pod("default/a"), put("one")).await;
    store.close().await;
    let store = open(folder.path()).await;
    assert_eq!(list(&*store, Prefix::bucket("pods")).await.entries.len(), 1);
    store.close().await;
}
