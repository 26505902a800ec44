//! Writing and reading back one key.

use std::sync::Arc;

use bytes::Bytes;
use sampan_store::{Durability, Expect, Key, Op, Prefix, Revision, StoreError, TxnError};

use crate::support::*;

contract! {
    create_get create_with_key_exist get_missing update_with_condition update_with_stale_condition conflict_names_the_current_version delete_unconditional delete_conditional delete_missing recreated_key_has_new_create_revision decode_failure_writes_nothing value_too_large read_your_writes concurrent_increments revisions_are_global_and_rising lazy_writes_are_visible
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
