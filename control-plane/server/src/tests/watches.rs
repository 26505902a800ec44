//! Watches: what is sent, in which order, and how a watch begins and ends.

use super::*;

fn brief(kind: &str, name: &str, revision: u64) -> (String, String, u64) {
    (kind.to_owned(), name.to_owned(), revision)
}

#[tokio::test]
async fn changes_in_order() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let list = admin.get(CONFIGMAPS).await.expect(200);
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={}",
            version(&list)
        ))
        .await;
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}/a");
    let updated = admin
        .merge(&path, json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    admin
        .merge(&path, json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    admin.delete(&path).await.expect(200);
    let event = events.next().await.expect("an event");
    assert_eq!(event, json!({"type": "ADDED", "object": created}));
    assert_eq!(
        events.next().await.expect("an event"),
        json!({"type": "MODIFIED", "object": updated})
    );
    let (kind, name, revision) = events.brief().await;
    // The last state, at the revision of the deletion.
    assert_eq!((kind.as_str(), name.as_str()), ("DELETED", "a"));
    assert!(revision > version(&updated));
    let after = admin.get(CONFIGMAPS).await.expect(200);
    assert_eq!(version(&after), revision);
}

#[tokio::test]
async fn beginnings() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let a = version(&admin.create(CONFIGMAPS, configmap("a")).await);
    let b = version(&admin.create(CONFIGMAPS, configmap("b")).await);
    for (query, expected) in [
        ("", vec![brief("ADDED", "a", a), brief("ADDED", "b", b)]),
        (
            "&resourceVersion=0",
            vec![brief("ADDED", "a", a), brief("ADDED", "b", b)],
        ),
        (
            &format!("&resourceVersion={a}"),
            vec![brief("ADDED", "b", b)],
        ),
        (
            "&fieldSelector=metadata.name%3Db",
            vec![brief("ADDED", "b", b)],
        ),
        (
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            vec![
                brief("ADDED", "a", a),
                brief("ADDED", "b", b),
                brief("BOOKMARK", "", b),
            ],
        ),
        (
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=1",
            vec![
                brief("ADDED", "a", a),
                brief("ADDED", "b", b),
                brief("BOOKMARK", "", b),
            ],
        ),
    ] {
        let mut events = admin.watch(&format!("{CONFIGMAPS}?watch=1{query}")).await;
        for event in expected {
            assert_eq!(events.brief().await, event, "{query}");
        }
    }
    let mut old_form = admin
        .watch("/api/v1/watch/namespaces/default/configmaps/b")
        .await;
    assert_eq!(old_form.brief().await, brief("ADDED", "b", b));
    admin
        .get("/api/v1/watch/namespaces/default/configmaps/b?fieldSelector=metadata.name%3Da")
        .await
        .refused(
            400,
            "BadRequest",
            "fieldSelector metadata.name doesn't match requested name",
        );
    // Nothing but watching is done through the prefix.
    for (method, name) in [
        ("DELETE", ""),
        ("POST", ""),
        ("DELETE", "/b"),
        ("PUT", "/b"),
    ] {
        let path = format!("/api/v1/watch/namespaces/default/configmaps{name}");
        let json = [("content-type", "application/json")];
        let answer = admin.send(method, &path, &json, Body::from("{}")).await;
        assert_eq!(answer.status.as_u16(), 405, "{method} {path}");
    }
    // Without the prefix a name asks for the object, whatever the query says.
    let object = admin.get(&format!("{CONFIGMAPS}/b?watch=1")).await;
    assert_eq!(object.expect(200)["metadata"]["name"], "b");
    let mut everywhere = admin.watch("/api/v1/configmaps?watch=true").await;
    assert_eq!(everywhere.brief().await, brief("ADDED", "a", a));
}

#[tokio::test]
async fn the_end_of_the_initial_events_is_marked() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = admin.watch(&format!("{PODS}?{query}")).await;
    let list = admin.get(PODS).await.expect(200);
    let bookmark = events.next().await.expect("a bookmark");
    assert_eq!(
        bookmark,
        json!({"type": "BOOKMARK", "object": {
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "resourceVersion": list["metadata"]["resourceVersion"],
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        }})
    );
    for (query, code) in [
        ("sendInitialEvents=true".to_owned(), 422),
        ("sendInitialEvents=false".to_owned(), 422),
        (
            "resourceVersionMatch=NotOlderThan&resourceVersion=1".to_owned(),
            422,
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=Exact".to_owned(),
            422,
        ),
        ("resourceVersion=x".to_owned(), 422),
        ("timeoutSeconds=x".to_owned(), 400),
        ("labelSelector=%3D%3D".to_owned(), 400),
        ("fieldSelector=spec.nope%3D1".to_owned(), 400),
    ] {
        let answer = admin.get(&format!("{PODS}?watch=1&{query}")).await;
        assert_eq!(answer.status.as_u16(), code, "{query}");
    }
    admin.get(&format!("{PODS}?watch=1&sendInitialEvents=true")).await.refused(
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
}

#[tokio::test]
async fn a_watch_from_anywhere_marks_its_initial_events_too() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let a = version(&admin.create(CONFIGMAPS, configmap("a")).await);
    for query in ["", "&resourceVersion=0"] {
        let path = format!("{CONFIGMAPS}?watch=1&allowWatchBookmarks=true{query}");
        let mut events = admin.watch(&path).await;
        assert_eq!(events.brief().await, brief("ADDED", "a", a));
        let bookmark = events.next().await.expect("a bookmark");
        let annotations = &bookmark["object"]["metadata"]["annotations"];
        assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    }
}

#[tokio::test]
async fn states_from_the_future_are_an_error_event() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let future = version(&admin.get(CONFIGMAPS).await.expect(200)) + 1_000_000;
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={future}"
        ))
        .await;
    let event = events.next().await.expect("an event");
    assert_eq!(event["type"], "ERROR");
    let status = &event["object"];
    assert_eq!(
        (&status["code"], &status["details"]["causes"][0]["reason"]),
        (&json!(504), &json!("ResourceVersionTooLarge"))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_large_state_is_read_page_by_page() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for index in 0..600 {
        admin
            .create(CONFIGMAPS, configmap(&format!("c{index:03}")))
            .await;
    }
    let mut events = admin
        .watch(&format!("{CONFIGMAPS}?watch=1&allowWatchBookmarks=1"))
        .await;
    assert_eq!(events.brief().await.1, "c000");
    // What happens meanwhile comes after the state the watch began with.
    admin
        .delete(&format!("{CONFIGMAPS}/c599"))
        .await
        .expect(200);
    admin.create(CONFIGMAPS, configmap("c300a")).await;
    for index in 1..600 {
        let (kind, name, _) = events.brief().await;
        assert_eq!((kind.as_str(), name), ("ADDED", format!("c{index:03}")));
    }
    let mut last = Vec::new();
    for _ in 0..3 {
        let (kind, name, _) = events.brief().await;
        last.push(format!("{kind} {name}"));
    }
    assert_eq!(last, ["BOOKMARK ", "DELETED c599", "ADDED c300a"]);
}

#[tokio::test]
async fn objects_enter_and_leave_a_selector() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let from = version(&admin.get(CONFIGMAPS).await.expect(200));
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={from}&labelSelector=l%3D1"
        ))
        .await;
    let path = format!("{CONFIGMAPS}/a");
    admin.create(CONFIGMAPS, configmap("a")).await;
    let entered = admin
        .merge(&path, json!({"metadata": {"labels": {"l": "1"}}}))
        .await
        .expect(200);
    let changed = admin
        .merge(&path, json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    let left = admin
        .merge(&path, json!({"metadata": {"labels": {"l": "2"}}}))
        .await
        .expect(200);
    admin.delete(&path).await.expect(200);
    let again = {
        let mut map = configmap("b");
        map["metadata"]["labels"] = json!({"l": "1"});
        admin.create(CONFIGMAPS, map).await
    };
    assert_eq!(events.brief().await, brief("ADDED", "a", version(&entered)));
    assert_eq!(
        events.brief().await,
        brief("MODIFIED", "a", version(&changed))
    );
    let event = events.next().await.expect("an event");
    // Its old state at the new revision.
    assert_eq!(
        (event["type"].as_str(), version(&event["object"])),
        (Some("DELETED"), version(&left))
    );
    assert_eq!(event["object"]["metadata"]["labels"]["l"], "1");
    assert_eq!(events.brief().await, brief("ADDED", "b", version(&again)));
}

#[tokio::test]
async fn too_old_is_an_error_event() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let from = version(&admin.create(CONFIGMAPS, configmap("a")).await);
    admin
        .merge(&format!("{CONFIGMAPS}/a"), json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    let store = &cluster.server.api().store;
    store
        .compact(store.current_revision())
        .await
        .expect("compacted");
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={}",
            from - 1
        ))
        .await;
    let event = events.next().await.expect("an event");
    assert_eq!(event["type"], "ERROR");
    assert_eq!(
        (&event["object"]["code"], &event["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn tables_and_metadata() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let watch = |accept: &'static str| {
        let admin = admin.clone();
        async move {
            let path = format!("{CONFIGMAPS}?watch=1");
            let request = Request::get(path)
                .header("accept", accept)
                .body(Body::empty())
                .expect("a request");
            Events::of(admin.raw(request).await.into_body())
        }
    };
    let mut tables = watch("application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let mut partials = watch("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    let first = tables.next().await.expect("an event");
    assert_eq!(
        (
            &first["object"]["kind"],
            &first["object"]["rows"][0]["cells"][0]
        ),
        (&json!("Table"), &json!("a"))
    );
    assert!(first["object"]["columnDefinitions"].is_array());
    let partial = partials.next().await.expect("an event");
    assert_eq!(partial["object"]["kind"], "PartialObjectMetadata");
    assert!(partial["object"].get("data").is_none());
    admin.create(CONFIGMAPS, configmap("b")).await;
    let second = tables.next().await.expect("an event");
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(partials.brief().await.1, "b");
}

#[tokio::test]
async fn a_watch_ends_in_time_after_a_bookmark() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let list = admin.get(CONFIGMAPS).await.expect(200);
    // Writes elsewhere move the bookmark along.
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={}&timeoutSeconds=3&allowWatchBookmarks=1",
            version(&list)
        ))
        .await;
    let secret = json!({"metadata": {"name": "s"}});
    let secret = admin
        .create("/api/v1/namespaces/default/secrets", secret)
        .await;
    let (kind, _, revision) = events.brief().await;
    assert_eq!((kind.as_str(), revision), ("BOOKMARK", version(&secret)));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_timeout_beyond_the_clock_is_no_error() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let list = admin.get(CONFIGMAPS).await.expect(200);
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={}&timeoutSeconds={}",
            version(&list),
            i64::MAX
        ))
        .await;
    admin.create(CONFIGMAPS, configmap("a")).await;
    let (kind, name, _) = events.brief().await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "a"));
}

#[tokio::test]
async fn watches_end_at_shutdown() {
    let cluster = Cluster::start().await;
    let mut events = cluster
        .admin()
        .watch(&format!("{CONFIGMAPS}?watch=1"))
        .await;
    cluster.server.close().await;
    assert_eq!(events.next().await, None);
}
