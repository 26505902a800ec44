//! Lists: prefixes, pages, revisions.

use sampan_store::{Key, Op, Prefix, RangeError, RangeRequest, Revision};

use crate::support::*;

contract! {
    prefix_boundaries namespaces_are_apart list_is_sorted list_of_nothing paging paging_while_writing list_at_revision list_at_future limit_zero_and_exact paging_from_elsewhere
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
