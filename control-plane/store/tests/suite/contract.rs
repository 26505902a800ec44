//! The contract, against any store: each test takes a fresh `dyn Store`.

use std::sync::Arc;

use bytes::Bytes;
use sampan_store::{
    Durability, EventKind, Expect, Key, Op, Prefix, RangeError, RangeRequest, Revision, StoreError,
    TxnError, WatchError,
};

use crate::support::*;

/// Runs each test of the contract against each implementation.
macro_rules! contract {
    ($($test:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let folder = crate::support::folder();
                    let store: crate::support::DynStore = crate::support::open(folder.path()).await;
                    super::$test(store.clone()).await;
                    store.close().await;
                }
            )*
        }
    };
}

contract! {
    create_get create_with_key_exist get_missing update_with_condition update_with_stale_condition
    conflict_names_the_current_version delete_unconditional delete_conditional delete_missing
    recreated_key_has_new_create_revision decode_failure_writes_nothing value_too_large
    prefix_boundaries namespaces_are_apart list_is_sorted list_of_nothing paging paging_while_writing
    list_at_revision list_at_future limit_zero_and_exact paging_from_elsewhere watch_from_now watch_from_past watch_from_zero
    watch_from_the_future watch_only_matching watch_single_key watch_delete_carries_deletion_revision
    watch_previous_version watch_revision_advances_when_idle watch_of_unknown_bucket
    watch_cancelled_next_loses_nothing slow_watcher_does_not_block compaction compaction_is_clamped
    running_watch_survives_compaction read_your_writes concurrent_increments
    revisions_are_global_and_rising lazy_writes_are_visible close_ends_watches_and_writes
}

async fn create_get(store: DynStore) {
    let made = store
        .txn(pod("default/a"), Expect::Absent, put("one"))
        .await
        .unwrap();
    assert_eq!(made.revision, Revision(1));
    assert!(made.previous.is_none());
    let entry = store.get(&pod("default/a")).await.unwrap().unwrap();
    assert_eq!(
        (entry.create_revision, entry.revision),
        (Revision(1), Revision(1))
    );
    assert_eq!(show(&entry), "default/a=one");
    assert!(
        Arc::ptr_eq(&entry, &made.entry),
        "there is one copy of each object"
    );
}

async fn create_with_key_exist(store: DynStore) {
    let made = write(&*store, pod("default/a"), put("one")).await;
    let again = store
        .txn(pod("default/a"), Expect::Absent, put("two"))
        .await;
    assert_eq!(conflict(again), Some(made.revision));
    assert_eq!(
        store.current_revision(),
        made.revision,
        "a refused write uses no revision"
    );
}

async fn get_missing(store: DynStore) {
    assert!(store.get(&pod("default/a")).await.unwrap().is_none());
    assert_eq!(store.current_revision(), Revision(0));
}

async fn update_with_condition(store: DynStore) {
    let first = write(&*store, pod("default/a"), put("one")).await;
    let expect = Expect::Revision(first.revision);
    let second = store
        .txn(pod("default/a"), expect, put("two"))
        .await
        .unwrap();
    assert_eq!(second.entry.create_revision, first.revision);
    assert_eq!(show(second.previous.as_ref().unwrap()), "default/a=one");
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["default/a=two"]
    );
}

async fn update_with_stale_condition(store: DynStore) {
    let first = write(&*store, pod("default/a"), put("one")).await;
    let second = write(&*store, pod("default/a"), put("two")).await;
    let stale = Expect::Revision(first.revision);
    assert_eq!(
        conflict(store.txn(pod("default/a"), stale, put("x")).await),
        Some(second.revision)
    );
    let missing = store.txn(pod("default/b"), stale, put("x")).await;
    assert_eq!(conflict(missing), None);
}

async fn conflict_names_the_current_version(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let stale = Expect::Revision(Revision(0));
    let result = store.txn(pod("default/a"), stale, put("two")).await;
    let Err(TxnError::Conflict {
        current: Some(current),
    }) = result
    else {
        panic!("no conflict")
    };
    // What came back is enough to retry without reading again.
    let expect = Expect::Revision(current.revision);
    store
        .txn(pod("default/a"), expect, put("two"))
        .await
        .unwrap();
}

async fn delete_unconditional(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    let gone = write(&*store, pod("default/a"), Op::Delete).await;
    assert_eq!(gone.revision, Revision(2));
    assert_eq!(
        gone.entry.object,
        Text {
            text: "one".into(),
            revision: Revision(2)
        }
    );
    assert_eq!(gone.previous.unwrap().revision, Revision(1));
    assert!(store.get(&pod("default/a")).await.unwrap().is_none());
}

async fn delete_conditional(store: DynStore) {
    let first = write(&*store, pod("default/a"), put("one")).await;
    let second = write(&*store, pod("default/a"), put("two")).await;
    let stale = store
        .txn(
            pod("default/a"),
            Expect::Revision(first.revision),
            Op::Delete,
        )
        .await;
    assert_eq!(conflict(stale), Some(second.revision));
    let fresh = Expect::Revision(second.revision);
    store
        .txn(pod("default/a"), fresh, Op::Delete)
        .await
        .unwrap();
}

async fn delete_missing(store: DynStore) {
    for expect in [Expect::Any, Expect::Absent, Expect::Revision(Revision(1))] {
        assert_eq!(
            conflict(store.txn(pod("default/a"), expect, Op::Delete).await),
            None
        );
    }
    write(&*store, pod("default/a"), put("one")).await;
    let absent = store
        .txn(pod("default/a"), Expect::Absent, Op::Delete)
        .await;
    assert_eq!(conflict(absent), Some(Revision(1)));
}

async fn recreated_key_has_new_create_revision(store: DynStore) {
    write(&*store, pod("default/a"), put("one")).await;
    write(&*store, pod("default/a"), Op::Delete).await;
    let again = store
        .txn(pod("default/a"), Expect::Absent, put("two"))
        .await
        .unwrap();
    assert_eq!(again.entry.create_revision, Revision(3));
    assert!(again.previous.is_none());
}

async fn decode_failure_writes_nothing(store: DynStore) {
    let bad = Op::Put {
        value: Bytes::from_static(b"\xff"),
        durability: Durability::Durable,
    };
    let result = store.txn(pod("default/a"), Expect::Any, bad).await;
    assert!(matches!(result, Err(TxnError::Decode(_))), "{result:?}");
    assert_eq!(store.current_revision(), Revision(0));
    write(&*store, pod("default/a"), put("one")).await;
}

async fn value_too_large(store: DynStore) {
    let result = store
        .txn(
            pod("default/a"),
            Expect::Any,
            put(&"x".repeat((3 << 20) + 1)),
        )
        .await;
    let Err(TxnError::Store(error @ StoreError::ValueTooLarge { .. })) = result else {
        panic!("{result:?}")
    };
    assert_eq!(
        error.to_string(),
        "the value has 3145729 bytes, more than the limit of 3145728: make the object smaller"
    );
    write(&*store, pod("default/a"), put(&"x".repeat(3 << 20))).await;
}

async fn prefix_boundaries(store: DynStore) {
    for (bucket, path) in [
        ("foo", "a"),
        ("foobar", "b"),
        ("foo", "bar/c"),
        ("foo", "bar-2/d"),
    ] {
        write(&*store, Key::new(bucket, path), put("x")).await;
    }
    let cases = [
        (Prefix::bucket("foo"), vec!["a=x", "bar-2/d=x", "bar/c=x"]),
        (Prefix::bucket("foobar"), vec!["b=x"]),
        (Prefix::bucket("fo"), vec![]),
        (Prefix::within("foo", "bar/"), vec!["bar/c=x"]),
        (Prefix::within("foo", "bar"), vec!["bar/c=x"]),
        (Prefix::within("foo", "a"), vec!["a=x"]),
    ];
    for (prefix, expected) in cases {
        assert_eq!(
            shown(&list(&*store, prefix.clone()).await),
            expected,
            "{prefix:?}"
        );
    }
}

async fn namespaces_are_apart(store: DynStore) {
    for path in ["a/x", "a-b/x", "b/x", "ab/x"] {
        write(&*store, pod(path), put("1")).await;
    }
    assert_eq!(
        shown(&list(&*store, Prefix::within("pods", "a/")).await),
        ["a/x=1"]
    );
    assert_eq!(list(&*store, Prefix::bucket("pods")).await.entries.len(), 4);
}

async fn list_is_sorted(store: DynStore) {
    for path in ["default/c", "default/a", "kube-system/b", "default/b"] {
        write(&*store, pod(path), put("1")).await;
    }
    let page = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(
        shown(&page),
        [
            "default/a=1",
            "default/b=1",
            "default/c=1",
            "kube-system/b=1"
        ]
    );
    assert_eq!(
        (page.revision, page.more, page.remaining),
        (Revision(4), false, 0)
    );
}

async fn list_of_nothing(store: DynStore) {
    write(&*store, pod("default/a"), put("1")).await;
    let page = list(&*store, Prefix::bucket("nodes")).await;
    assert_eq!(
        (page.entries.len(), page.revision, page.more),
        (0, Revision(1), false)
    );
}

async fn paging(store: DynStore) {
    for n in 0..10 {
        write(&*store, pod(&format!("default/{n}")), put("1")).await;
    }
    let mut request = RangeRequest {
        limit: Some(4),
        ..RangeRequest::all(Prefix::bucket("pods"))
    };
    let mut pages = Vec::new();
    loop {
        let page = store.range(request.clone()).await.unwrap();
        pages.push((page.entries.len(), page.more, page.remaining));
        request.start_after = page.entries.last().map(|entry| entry.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, [(4, true, 6), (4, true, 2), (2, false, 0)]);
}

async fn paging_while_writing(store: DynStore) {
    for n in 0..10 {
        write(&*store, pod(&format!("default/{n}")), put("old")).await;
    }
    let first = RangeRequest {
        limit: Some(3),
        ..RangeRequest::all(Prefix::bucket("pods"))
    };
    let page = store.range(first.clone()).await.unwrap();
    let (mut seen, at) = (shown(&page), page.revision);
    let mut last = page.entries.last().unwrap().key.clone();
    for round in 0.. {
        write(&*store, pod(&format!("default/{}", round % 10)), put("new")).await;
        write(
            &*store,
            pod(&format!("default/{}", (round * 7 + 5) % 10)),
            Op::Delete,
        )
        .await;
        write(
            &*store,
            pod(&format!("default/{}x", round % 10)),
            put("more"),
        )
        .await;
        let next = RangeRequest {
            start_after: Some(last),
            at: Some(at),
            ..first.clone()
        };
        let page = store.range(next).await.unwrap();
        assert_eq!(page.revision, at);
        assert_eq!(
            page.remaining,
            10 - seen.len() as u64 - page.entries.len() as u64
        );
        seen.extend(shown(&page));
        last = page.entries.last().unwrap().key.clone();
        if !page.more {
            break;
        }
    }
    let expected: Vec<String> = (0..10).map(|n| format!("default/{n}=old")).collect();
    assert_eq!(seen, expected);
}

async fn list_at_revision(store: DynStore) {
    let pods = || Prefix::bucket("pods");
    let a = write(&*store, pod("default/a"), put("one")).await.revision;
    let b = write(&*store, pod("default/b"), put("one")).await.revision;
    let a2 = write(&*store, pod("default/a"), put("two")).await.revision;
    let gone = write(&*store, pod("default/b"), Op::Delete).await.revision;
    assert_eq!(shown(&list_at(&*store, pods(), a).await), ["default/a=one"]);
    assert_eq!(
        shown(&list_at(&*store, pods(), b).await),
        ["default/a=one", "default/b=one"]
    );
    assert_eq!(
        shown(&list_at(&*store, pods(), a2).await),
        ["default/a=two", "default/b=one"]
    );
    assert_eq!(
        shown(&list_at(&*store, pods(), gone).await),
        ["default/a=two"]
    );
    assert_eq!(list_at(&*store, pods(), Revision(0)).await.entries.len(), 0);
}

async fn list_at_future(store: DynStore) {
    write(&*store, pod("default/a"), put("1")).await;
    let all = RangeRequest::all(Prefix::bucket("pods"));
    let result = store
        .range(RangeRequest {
            at: Some(Revision(2)),
            ..all
        })
        .await;
    assert!(
        matches!(
            result,
            Err(RangeError::Future {
                current: Revision(1)
            })
        ),
        "{result:?}"
    );
}

async fn limit_zero_and_exact(store: DynStore) {
    for n in 0..3 {
        write(&*store, pod(&format!("default/{n}")), put("1")).await;
    }
    let all = RangeRequest::all(Prefix::bucket("pods"));
    let none = store
        .range(RangeRequest {
            limit: Some(0),
            ..all.clone()
        })
        .await
        .unwrap();
    assert_eq!(
        (none.entries.len(), none.more, none.remaining),
        (0, true, 3)
    );
    let exact = store
        .range(RangeRequest {
            limit: Some(3),
            ..all
        })
        .await
        .unwrap();
    assert_eq!(
        (exact.entries.len(), exact.more, exact.remaining),
        (3, false, 0)
    );
}

async fn paging_from_elsewhere(store: DynStore) {
    for path in ["a/x", "b/x", "b/y", "c/x"] {
        write(&*store, pod(path), put("1")).await;
    }
    let cases = [
        (Key::new("aaa", "z"), vec!["b/x=1", "b/y=1"]),
        (pod("b/x"), vec!["b/y=1"]),
        (pod("b/xx"), vec!["b/y=1"]),
        (pod("b/z"), vec![]),
        (pod("c/x"), vec![]),
        (Key::new("zzz", "a"), vec![]),
    ];
    for (after, expected) in cases {
        let all = RangeRequest::all(Prefix::within("pods", "b/"));
        let page = store
            .range(RangeRequest {
                start_after: Some(after),
                ..all
            })
            .await
            .unwrap();
        assert_eq!(shown(&page), expected);
        assert!(!page.more);
    }
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

async fn read_your_writes(store: DynStore) {
    let mut tasks = Vec::new();
    for task in 0..16 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let key = pod(&format!("default/{task}"));
            let prefix = Prefix::within("pods", key.path());
            let mut watch = store.watch(prefix.clone(), Revision(0)).await.unwrap();
            for n in 0..20 {
                let done = write(&*store, key.clone(), put(&n.to_string())).await;
                assert!(store.current_revision() >= done.revision);
                assert_eq!(
                    store.get(&key).await.unwrap().unwrap().revision,
                    done.revision
                );
                let page = list(&*store, prefix.clone()).await;
                assert!(page.revision >= done.revision);
                assert_eq!(page.entries[0].revision, done.revision);
                let event = futures::future::FutureExt::now_or_never(watch.next());
                assert_eq!(event.unwrap().unwrap()[0].revision, done.revision);
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
}

async fn concurrent_increments(store: DynStore) {
    write(&*store, pod("default/counter"), put("0")).await;
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let key = pod("default/counter");
            for _ in 0..20 {
                let mut current = store.get(&key).await.unwrap().unwrap();
                loop {
                    let next = current.object.text.parse::<u32>().unwrap() + 1;
                    let expect = Expect::Revision(current.revision);
                    match store.txn(key.clone(), expect, put(&next.to_string())).await {
                        Ok(_) => break,
                        Err(TxnError::Conflict { current: Some(now) }) => current = now,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    let entry = store.get(&pod("default/counter")).await.unwrap().unwrap();
    assert_eq!(entry.object.text, "320");
    assert_eq!(
        store.current_revision(),
        Revision(321),
        "refused writes used no revision"
    );
}

async fn revisions_are_global_and_rising(store: DynStore) {
    let mut last = Revision(0);
    for n in 0..20 {
        let key = Key::new(if n % 2 == 0 { "pods" } else { "nodes" }, &n.to_string());
        let done = write(&*store, key, if n % 3 == 0 { lazy("1") } else { put("1") }).await;
        assert!(done.revision > last);
        last = done.revision;
    }
    assert_eq!(store.current_revision(), last);
}

async fn lazy_writes_are_visible(store: DynStore) {
    let mut watch = store
        .watch(Prefix::bucket("leases"), Revision(0))
        .await
        .unwrap();
    let key = Key::new("leases", "kube-node-lease/n");
    for n in 0..3 {
        write(&*store, key.clone(), lazy(&n.to_string())).await;
    }
    assert_eq!(
        show(&store.get(&key).await.unwrap().unwrap()),
        "kube-node-lease/n=2"
    );
    let page = list_at(&*store, Prefix::bucket("leases"), Revision(2)).await;
    assert_eq!(shown(&page), ["kube-node-lease/n=1"]);
    assert_eq!(events(&mut watch, 3).await[0], "+kube-node-lease/n=0");
    write(&*store, key.clone(), Op::Delete).await;
    assert_eq!(events(&mut watch, 1).await, ["-kube-node-lease/n=2"]);
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
