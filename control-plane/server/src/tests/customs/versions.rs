//! Definitions that change, and those with several versions.

use super::*;

#[tokio::test]
async fn defaults_apply_to_requests_and_to_what_is_stored() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let plain =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    establish(&admin, definition(plain)).await;
    let body = json!({"apiVersion": "a.io/v1", "kind": "Tab", "metadata": {"name": "one"}});
    let one = admin.create(TABS, body.clone()).await;
    assert!(one.get("a").is_none());
    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let path = format!("{DEFINITIONS}/tabs.a.io");
    let patch = json!([{"op": "add", "path": format!("{properties}/a/default"), "value": "A"}]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    let read = answers(&admin, &format!("{TABS}/one"), |it| it.json()["a"] == "A")
        .await
        .json();
    assert_eq!(version(&read), version(&one));
    let list = admin.get(TABS).await.expect(200);
    assert_eq!(list["items"][0]["a"], "A");
    let mut second = body.clone();
    second["metadata"]["name"] = json!("two");
    assert_eq!(admin.create(TABS, second).await["a"], "A");
    let patch = json!([
        {"op": "remove", "path": format!("{properties}/a/default")},
        {"op": "add", "path": format!("{properties}/b/default"), "value": "B"},
    ]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    let two = answers(&admin, &format!("{TABS}/two"), |it| it.json()["b"] == "B")
        .await
        .json();
    assert_eq!(two["a"], "A", "what was stored stays");
    let one = admin.get(&format!("{TABS}/one")).await.expect(200);
    assert!(one.get("a").is_none());
    // A write that says the same stores what is shown.
    let stored = admin.put(&format!("{TABS}/one"), &one).await.expect(200);
    assert!(version(&stored) > version(&one));
    let again = admin.put(&format!("{TABS}/one"), &stored).await.expect(200);
    assert_eq!(again, stored);
}

fn two_versions() -> Value {
    let mut definition = definition(json!({"type": "object", "properties": {
        "one": {"type": "string"}, "both": {"type": "string"}}}));
    let versions = definition["spec"]["versions"]
        .as_array_mut()
        .expect("a list");
    versions[0]["name"] = json!("v1beta1");
    versions[0]["deprecated"] = json!(true);
    versions.push(
        json!({"name": "v1", "served": true, "storage": false, "schema": {
        "openAPIV3Schema": {"type": "object", "properties": {
            "two": {"type": "string"}, "both": {"type": "string"}}}}}),
    );
    definition
}

#[tokio::test]
async fn objects_are_shown_in_every_version() {
    const OLD: &str = "/apis/a.io/v1beta1/namespaces/default/tabs";
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, two_versions()).await;
    let group = admin.get("/apis/a.io").await.expect(200);
    let versions: Vec<&str> = group["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["version"].as_str())
        .collect();
    assert_eq!(versions, ["v1", "v1beta1"]);
    let body = json!({"apiVersion": "a.io/v1beta1", "kind": "Tab", "metadata": {"name": "a"},
        "one": "1", "both": "b"});
    let answer = admin.post(OLD, &body).await;
    assert_eq!(
        answer.header("warning"),
        r#"299 - "a.io/v1beta1 Tab is deprecated; use a.io/v1 Tab""#
    );
    let old = answer.expect(201);
    let mut events = admin.watch(&format!("{TABS}?watch=1")).await;
    let new = admin.get(&format!("{TABS}/a")).await.expect(200);
    assert_eq!(
        (&new["apiVersion"], &new["both"], new.get("one")),
        (&json!("a.io/v1"), &json!("b"), None)
    );
    assert_eq!(version(&new), version(&old));
    let event = events.next().await.expect("an event");
    assert_eq!(event["object"], new);
    // Stored in the old version, fields of the new one are lost.
    let written = admin
        .merge(&format!("{TABS}/a"), json!({"two": "2", "both": "c"}))
        .await
        .expect(200);
    assert_eq!((&written["both"], written.get("two")), (&json!("c"), None));

    let mut migrated = admin
        .get(&format!("{DEFINITIONS}/tabs.a.io"))
        .await
        .expect(200);
    migrated["spec"]["versions"][0]["storage"] = json!(false);
    migrated["spec"]["versions"][1]["storage"] = json!(true);
    let migrated = admin
        .put(&format!("{DEFINITIONS}/tabs.a.io"), &migrated)
        .await
        .expect(200);
    assert_eq!(
        migrated["status"]["storedVersions"],
        json!(["v1beta1", "v1"])
    );
    let storage = |answer: &Answer| answer.json()["resources"][0]["storageVersionHash"].clone();
    let before = storage(&admin.get("/apis/a.io/v1").await);
    // The same said again is written, in the new storage version.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let moved = loop {
        let read = admin.get(&format!("{TABS}/a")).await.expect(200);
        let moved = admin.put(&format!("{TABS}/a"), &read).await.expect(200);
        if version(&moved) > version(&read) {
            break moved;
        }
        assert!(tokio::time::Instant::now() < deadline, "{before}");
    };
    let two = admin
        .merge(&format!("{TABS}/a"), json!({"two": "2"}))
        .await
        .expect(200);
    assert_eq!(two["two"], "2");
    assert!(version(&two) > version(&moved));
    let shown = admin.get(&format!("{OLD}/a")).await.expect(200);
    assert_eq!((&shown["both"], shown.get("two")), (&json!("c"), None));
}

#[tokio::test]
async fn versions_come_and_go() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, two_versions()).await;
    admin.create(TABS, tab("a", json!({}))).await;
    let mut watched = admin.watch(&format!("{TABS}?watch=1")).await;
    watched.next().await.expect("the object");
    let path = format!("{DEFINITIONS}/tabs.a.io");
    let patch = json!([{"op": "replace", "path": "/spec/versions/1/served", "value": false}]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    answers(&admin, TABS, |it| it.status == 404).await;
    assert!(watched.next().await.is_none(), "its watches end");
    let patch = json!([{"op": "replace", "path": "/spec/versions/1/served", "value": true},
        {"op": "replace", "path": "/spec/versions/1/name", "value": "v2"}]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    answers(&admin, "/apis/a.io/v2/tabs", |it| it.status == 200).await;
    let gone = json!([{"op": "remove", "path": "/spec/versions/0"},
        {"op": "replace", "path": "/spec/versions/0/storage", "value": true}]);
    admin.patch(&path, "json-patch", &gone).await.refused(
        422,
        "Invalid",
        "CustomResourceDefinition.apiextensions.k8s.io \"tabs.a.io\" is invalid: status.storedVersions[0]: Invalid value: \"v1beta1\": missing from spec.versions; v1beta1 was previously a storage version...",
    );
}
