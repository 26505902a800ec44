//! Watches and compaction.

use bytes::Bytes;
use sampan_store::{
    Durability, EventKind, Expect, Key, Op, Prefix, RangeError, RangeRequest, Revision, StoreError,
    TxnError, WatchError,
};

use crate::support::*;

contract! {
    watch_from_now watch_from_past watch_from_zero watch_from_the_future watch_only_matching watch_single_key watch_delete_carries_deletion_revision watch_previous_version watch_revision_advances_when_idle watch_of_unknown_bucket watch_cancelled_next_loses_nothing slow_watcher_does_not_block a_crowd_misses_nothing compaction compaction_is_clamped running_watch_survives_compaction close_ends_watches_and_writes
}

async fn watch_from_now(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let now = store.current_revision();
    let mut watch = store.watch(Prefix::bucket("pods"), now).await.unwrap();
    write(&*store, pod("default/a"), put("two")).await;
    write(&*store, pod("default/a"), Op::Delete).await;
    assert_eq!(
        events(&mut watch, 2).await,
        ["+default/a=two", "-default/a=two"]
    );
}

async fn watch_from_past(store: DynStore) {
    let first = write(&*store, pod("default/a"), put("one")).await;
    write(&*store, pod("default/a"), put("two")).await;
    write(&*store, pod("default/b"), put("one")).await;
    let mut watch = store
        .watch(Prefix::bucket("pods"), first.revision)
        .await
        .unwrap();
    assert_eq!(
        events(&mut watch, 2).await,
        ["+default/a=two", "+default/b=one"]
    );
    write(&*store, pod("default/c"), put("one")).await;
    assert_eq!(events(&mut watch, 1).await, ["+default/c=one"]);
}

async fn watch_from_zero(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    assert_eq!(events(&mut watch, 1).await, ["+default/a=one"]);
}

async fn watch_from_the_future(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let result = store.watch(Prefix::bucket("pods"), Revision(2)).await;
    assert!(
        matches!(
            result,
            Err(WatchError::Future {
                current: Revision(1)
            })
        ),
        "{result:?}"
    );
}

async fn watch_only_matching(store: DynStore) {
    let mut watch = store
        .watch(Prefix::within("pods", "a/"), Revision(0))
        .await
        .unwrap();
    for path in ["b/x", "a-b/x", "a/x", "c/x"] {
        write(&*store, pod(path), put("1")).await;
    }
    write(&*store, Key::new("nodes", "a/x"), put("1")).await;
    write(&*store, pod("a/y"), put("1")).await;
    assert_eq!(events(&mut watch, 2).await, ["+a/x=1", "+a/y=1"]);
}

async fn watch_single_key(store: DynStore) {
    let mut watch = store
        .watch(Prefix::within("nodes", "n1"), Revision(0))
        .await
        .unwrap();
    for name in ["n10", "n1", "n"] {
        write(&*store, Key::new("nodes", name), put("1")).await;
    }
    write(&*store, Key::new("nodes", "n1"), Op::Delete).await;
    assert_eq!(events(&mut watch, 2).await, ["+n1=1", "-n1=1"]);
}

async fn watch_delete_carries_deletion_revision(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(1))
        .await
        .unwrap();
    write(&*store, pod("default/a"), Op::Delete).await;
    let event = within(watch.next()).await.unwrap().remove(0);
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Delete, Revision(2))
    );
    assert_eq!(
        event.entry.object,
        Text {
            text: "one".into(),
            revision: Revision(2)
        }
    );
    assert_eq!(event.entry.create_revision, Revision(1));
    assert_eq!(
        event.previous.as_ref().unwrap().object.revision,
        Revision(1)
    );
}

async fn watch_previous_version(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    write(&*store, pod("default/a"), put("one")).await;
    write(&*store, pod("default/a"), put("two")).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(within(watch.next()).await.unwrap());
    }
    assert!(seen[0].previous.is_none());
    assert_eq!(show(seen[1].previous.as_ref().unwrap()), "default/a=one");
}

async fn watch_revision_advances_when_idle(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("nodes"), Revision(0))
        .await
        .unwrap();
    write(&*store, pod("default/a"), put("1")).await;
    assert_eq!(
        watch.revision(),
        Revision(1),
        "an idle bucket advances with the others"
    );
    write(&*store, Key::new("nodes", "n"), put("1")).await;
    assert_eq!(
        watch.revision(),
        Revision(0),
        "an event is waiting, so nothing is certain"
    );
    assert_eq!(events(&mut watch, 1).await, ["+n=1"]);
    assert_eq!(watch.revision(), Revision(2));
}

async fn watch_of_unknown_bucket(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("widgets"), Revision(0))
        .await
        .unwrap();
    write(&*store, Key::new("widgets", "w"), put("1")).await;
    assert_eq!(events(&mut watch, 1).await, ["+w=1"]);
}

async fn watch_cancelled_next_loses_nothing(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    for n in 0..50 {
        // A `next` that is polled once and dropped, before and after the write.
        assert!(futures::future::FutureExt::now_or_never(watch.next()).is_none());
        write(&*store, pod(&format!("default/{n}")), put("1")).await;
        assert_eq!(events(&mut watch, 1).await, [format!("+default/{n}=1")]);
    }
}

async fn slow_watcher_does_not_block(store: DynStore) {
    let mut slow = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    let mut fast = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    for n in 0..1000 {
        write(
            &*store,
            pod(&format!("default/{n}")),
            Op::Put {
                value: Bytes::from_static(b"1"),
                durability: Durability::Lazy,
            },
        )
        .await;
    }
    assert_eq!(
        events(&mut fast, 1000).await.last().unwrap(),
        "+default/999=1"
    );
    assert_eq!(
        events(&mut slow, 1000).await.last().unwrap(),
        "+default/999=1"
    );
}

async fn compaction(store: DynStore) {
    for n in 0..10 {
        write(&*store, pod("default/a"), put(&n.to_string())).await;
    }
    assert_eq!(store.compact(Revision(5)).await.unwrap(), Revision(5));
    assert_eq!(
        store.compact(Revision(3)).await.unwrap(),
        Revision(5),
        "it never goes back"
    );
    let early = store.watch(Prefix::bucket("pods"), Revision(4)).await;
    assert!(
        matches!(
            early,
            Err(WatchError::Compacted {
                compacted: Revision(5)
            })
        ),
        "{early:?}"
    );
    let mut watch = store
        .watch(Prefix::bucket("pods"), Revision(5))
        .await
        .unwrap();
    assert_eq!(events(&mut watch, 5).await[0], "+default/a=5");
    let all = RangeRequest::all(Prefix::bucket("pods"));
    let early = store
        .range(RangeRequest {
            at: Some(Revision(4)),
            ..all
        })
        .await;
    assert!(
        matches!(
            early,
            Err(RangeError::Compacted {
                compacted: Revision(5)
            })
        ),
        "{early:?}"
    );
    let page = list_at(&*store, Prefix::bucket("pods"), Revision(5)).await;
    assert_eq!(shown(&page), ["default/a=4"]);
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["default/a=9"]
    );
}

async fn compaction_is_clamped(store: DynStore) {
    write(&*store, pod("default/a"), put("1")).await;
    assert_eq!(store.compact(Revision(100)).await.unwrap(), Revision(1));
    store
        .watch(Prefix::bucket("pods"), Revision(1))
        .await
        .unwrap();
}

async fn running_watch_survives_compaction(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("nodes"), Revision(0))
        .await
        .unwrap();
    let mut late = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    write(&*store, pod("default/a"), put("1")).await;
    store.compact(store.current_revision()).await.unwrap();
    write(&*store, Key::new("nodes", "n"), put("1")).await;
    assert_eq!(
        events(&mut watch, 1).await,
        ["+n=1"],
        "nothing it needed was compacted"
    );
    let lost = within(late.next()).await;
    assert!(
        matches!(lost, Err(WatchError::Compacted { .. })),
        "{lost:?}"
    );
}

/// Where many watch, events are delivered several at a time; each watcher sees all of them, in order, and the last ones
/// when the store closes.
async fn a_crowd_misses_nothing(store: DynStore) {
    const WRITES: usize = 200;
    let mut watchers = Vec::new();
    for _ in 0..100 {
        let watch = store.watch(Prefix::bucket("pods"), Revision(0)).await;
        let mut watch = watch.unwrap();
        watchers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                match watch.next().await {
                    Ok(events) => seen.extend(events.iter().map(|event| show_event(event))),
                    Err(WatchError::Closed) => return seen,
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut expected = Vec::new();
    for n in 0..WRITES {
        write(&*store, pod(&format!("default/{n}")), put("1")).await;
        expected.push(format!("+default/{n}=1"));
    }
    store.close().await;
    for watcher in watchers {
        assert!(within(watcher).await.unwrap() == expected);
    }
}

async fn close_ends_watches_and_writes(store: DynStore) {
    let mut waiting = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    let mut behind = store
        .watch(Prefix::bucket("pods"), Revision(0))
        .await
        .unwrap();
    write(&*store, pod("default/a"), put("1")).await;
    assert_eq!(events(&mut waiting, 1).await, ["+default/a=1"]);
    let ended = tokio::spawn(async move { waiting.next().await });
    store.close().await;
    assert!(matches!(
        within(ended).await.unwrap(),
        Err(WatchError::Closed)
    ));
    assert_eq!(
        events(&mut behind, 1).await,
        ["+default/a=1"],
        "what happened is still delivered"
    );
    assert!(matches!(
        within(behind.next()).await,
        Err(WatchError::Closed)
    ));
    let late = store.txn(pod("default/b"), Expect::Any, put("1")).await;
    assert!(
        matches!(late, Err(TxnError::Store(StoreError::Closed))),
        "{late:?}"
    );
    assert!(matches!(
        store.compact(Revision(1)).await,
        Err(StoreError::Closed)
    ));
    let late = store.watch(Prefix::bucket("pods"), Revision(1)).await;
    assert!(matches!(late, Err(WatchError::Closed)), "{late:?}");
    store.close().await;
}
