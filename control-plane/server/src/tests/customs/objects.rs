//! Objects of a definition, by every verb.

use super::*;

async fn cluster(definition: Value) -> (Cluster, Client) {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition).await;
    (cluster, admin)
}

#[tokio::test]
async fn every_verb() {
    let (_cluster, admin) = cluster(definition(schema())).await;
    let mut events = admin.watch(&format!("{TABS}?watch=1")).await;
    let created = admin.create(TABS, tab("a", json!({"count": 1}))).await;
    assert_eq!(created["spec"], json!({"count": 1, "color": "red"}));
    assert_eq!(created["metadata"]["generation"], 1);
    let path = format!("{TABS}/a");
    assert_eq!(admin.get(&path).await.expect(200), created);
    let list = admin.get("/apis/a.io/v1/tabs").await.expect(200);
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("TabList"), &json!("a.io/v1"))
    );
    assert_eq!(list["items"][0], created);
    let mut changed = created.clone();
    changed["spec"]["count"] = json!(2);
    let changed = admin.put(&path, &changed).await.expect(200);
    assert_eq!(changed["metadata"]["generation"], 2);
    let patched = admin
        .merge(&path, json!({"spec": {"color": "blue", "count": null}}))
        .await;
    assert_eq!(patched.expect(200)["spec"], json!({"color": "blue"}));
    let patch = json!([{"op": "replace", "path": "/spec/color", "value": "red"}]);
    let patched = admin.patch(&path, "json-patch", &patch).await.expect(200);
    assert_eq!(patched["metadata"]["generation"], 4);
    let same = admin.patch(&path, "json-patch", &patch).await.expect(200);
    assert_eq!(same, patched);
    admin
        .patch(&path, "strategic-merge-patch", &json!({"spec": {}}))
        .await
        .refused(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        );
    let mut unconditional = patched.clone();
    unconditional["metadata"]["resourceVersion"] = json!("");
    admin.put(&path, &unconditional).await.refused(
        422,
        "Invalid",
        "tabs.a.io \"a\" is invalid: metadata.resourceVersion: Invalid value: ...",
    );
    admin.delete(&path).await.expect(200);
    admin.create(TABS, tab("b", json!({}))).await;
    let deleted = admin.delete(TABS).await.expect(200);
    assert_eq!(deleted["items"].as_array().map(Vec::len), Some(1));
    for (kind, name) in [
        ("ADDED", "a"),
        ("MODIFIED", "a"),
        ("MODIFIED", "a"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("ADDED", "b"),
        ("DELETED", "b"),
    ] {
        let (event, object, _) = events.brief().await;
        assert_eq!((event.as_str(), object.as_str()), (kind, name));
    }
}

#[tokio::test]
async fn unknown_and_duplicate_fields_are_treated_as_asked() {
    let (_cluster, admin) = cluster(definition(schema())).await;
    let body = r#"{"apiVersion":"a.io/v1","kind":"Tab","metadata":{"name":"a","odd":1},
        "spec":{"count":1,"count":2,"odd":{"x":1}}}"#;
    let send = |query: &'static str| {
        let admin = admin.clone();
        async move {
            admin
                .send("POST", &format!("{TABS}?{query}"), &[], body)
                .await
        }
    };
    send("fieldValidation=Strict").await.refused(
        400,
        "BadRequest",
        "Tab in version \"v1\" cannot be handled as a Tab: strict decoding error: duplicate field \"spec.count\", unknown field \"metadata.odd\", unknown field \"spec.odd\"",
    );
    let warned = send("dryRun=All").await;
    assert_eq!(warned.headers.get_all("warning").iter().count(), 3);
    let ignored = send("fieldValidation=Ignore").await;
    assert_eq!(ignored.header("warning"), "");
    assert_eq!(
        ignored.expect(201)["spec"],
        json!({"count": 2, "color": "red"})
    );
    let yaml = "apiVersion: a.io/v1\nkind: Tab\nmetadata:\n  name: via-yaml\nspec:\n  odd: 1\n";
    let headers = [("content-type", "application/yaml")];
    admin
        .send(
            "POST",
            &format!("{TABS}?fieldValidation=Strict"),
            &headers,
            yaml,
        )
        .await
        .expect(400);
    admin.send("POST", TABS, &headers, yaml).await.expect(201);
    let headers = [("content-type", "application/vnd.kubernetes.protobuf")];
    admin
        .send("POST", TABS, &headers, "k8s\0")
        .await
        .expect(415);
    let patch = json!({"spec": {"odd": 1}});
    admin
        .merge(&format!("{TABS}/a?fieldValidation=Strict"), patch)
        .await
        .refused(
            422,
            "Invalid",
            " \"\" is invalid: patch: Invalid value: \"{\\\"spec\\\":{\\\"odd\\\":1}}\": strict decoding error: unknown field \"spec.odd\"",
        );
}

#[tokio::test]
async fn what_the_schema_refuses_is_told_by_field() {
    let (_cluster, admin) = cluster(definition(schema())).await;
    let status = admin
        .post(TABS, &tab("a", json!({"count": -1, "color": "green"})))
        .await
        .refused(
            422,
            "Invalid",
            "Tab.a.io \"a\" is invalid: [spec.count: Invalid value: -1: spec.count in body should be greater than or equal to 0, spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\"]",
        );
    assert_eq!(
        status["details"]["causes"][1]["reason"],
        "FieldValueNotSupported"
    );
    assert_eq!(status["details"]["causes"][1]["field"], "spec.color");
    admin
        .post(TABS, &tab("a", json!({"count": "two"})))
        .await
        .refused(
            422,
            "Invalid",
            "Tab.a.io \"a\" is invalid: spec.count: Invalid value: \"string\": spec.count in body must be of type integer: \"string\"",
        );
    admin
        .post(
            TABS,
            &json!({"apiVersion": "a.io/v1", "metadata": {"name": "a"}}),
        )
        .await
        .refused(
            400,
            "BadRequest",
            "Tab in version \"v1\" cannot be handled as a Tab: Object 'Kind' is missing in ...",
        );
    let mut other = tab("a", json!({}));
    other["kind"] = json!("Bat");
    admin.post(TABS, &other).await.expect(400);
    assert_eq!(admin.get("/apis/a.io/v1/tabs/a").await.status, 404);
    assert_eq!(admin.get("/apis/a.io/v2/tabs").await.status, 404);
}

#[tokio::test]
async fn status_and_scale() {
    let mut definition = definition(json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"count": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"count": {"type": "integer", "maximum": 9},
            "selector": {"type": "string"}}}}}));
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}, "scale": {
        "specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count",
        "labelSelectorPath": ".status.selector"}});
    let (_cluster, admin) = cluster(definition).await;
    let mut first = tab("a", json!({"count": 1}));
    first["status"] = json!({"count": 7});
    let created = admin.create(TABS, first).await;
    assert!(created.get("status").is_none());
    let path = format!("{TABS}/a");
    let status = format!("{path}/status");
    let patch = json!({"spec": {"count": 5}, "status": {"count": 1, "selector": "a=b"},
        "metadata": {"labels": {"x": "y"}}});
    let written = admin.merge(&status, patch).await.expect(200);
    assert_eq!(written["status"], json!({"count": 1, "selector": "a=b"}));
    assert_eq!(written["spec"], json!({"count": 1}));
    assert!(written["metadata"].get("labels").is_none());
    assert_eq!(written["metadata"]["generation"], 1);
    admin
        .merge(&status, json!({"status": {"count": 10}}))
        .await
        .refused(
            422,
            "Invalid",
            "Tab.a.io \"a\" is invalid: status.count: Invalid value: 10: count in body should be less than or equal to 9",
        );
    let changed = admin
        .merge(&path, json!({"status": null, "spec": {"count": 2}}))
        .await
        .expect(200);
    assert_eq!(changed["status"]["count"], 1);
    assert_eq!(changed["metadata"]["generation"], 2);

    let scale = format!("{path}/scale");
    let read = admin.get(&scale).await.expect(200);
    assert_eq!(
        (&read["kind"], &read["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(read["spec"], json!({"replicas": 2}));
    assert_eq!(read["status"], json!({"replicas": 1, "selector": "a=b"}));
    let mut wanted = read;
    wanted["spec"]["replicas"] = json!(4);
    let scaled = admin.put(&scale, &wanted).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 4);
    admin.put(&scale, &wanted).await.expect(409);
    // Without a version it is put into whatever there is.
    let mut anyhow = wanted.clone();
    anyhow["metadata"]["resourceVersion"] = json!("");
    anyhow["spec"]["replicas"] = json!(5);
    let scaled = admin.put(&scale, &anyhow).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 5);
    let scaled = admin
        .merge(&scale, json!({"spec": {"replicas": 6}}))
        .await
        .expect(200);
    assert_eq!(scaled["spec"]["replicas"], 6);
    let whole = admin.get(&path).await.expect(200);
    assert_eq!(
        (&whole["spec"]["count"], &whole["metadata"]["generation"]),
        (&json!(6), &json!(5))
    );
    let list = admin.get("/apis/a.io/v1").await.expect(200);
    let names: Vec<&str> = list["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["tabs", "tabs/scale", "tabs/status"]);
}

#[tokio::test]
async fn tables_and_partial_metadata() {
    let mut definition = definition(schema());
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1}]);
    let (_cluster, admin) = cluster(definition).await;
    admin.create(TABS, tab("a", json!({"color": "blue"}))).await;
    let as_table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = admin
        .send("GET", TABS, &as_table, Body::empty())
        .await
        .expect(200);
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["Name", "Color", "Age"]);
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(cells[..2], [json!("a"), json!("blue")]);
    assert!(cells[2].as_str().expect("an age").ends_with('s'));
    let partial = [(
        "accept",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    )];
    let list = admin
        .send("GET", TABS, &partial, Body::empty())
        .await
        .expect(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert!(list["items"][0].get("spec").is_none());
}

#[tokio::test]
async fn fields_that_can_be_selected_by() {
    let mut definition = definition(schema());
    definition["spec"]["versions"][0]["selectableFields"] =
        json!([{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.count"}]);
    let (_cluster, admin) = cluster(definition).await;
    admin.create(TABS, tab("a", json!({"count": 1}))).await;
    admin.create(TABS, tab("b", json!({"color": "blue"}))).await;
    let names = |list: Value| -> Vec<String> {
        let items = list["items"].as_array().expect("a list").clone();
        items
            .iter()
            .map(|it| it["metadata"]["name"].as_str().expect("named").to_owned())
            .collect()
    };
    for (selector, want) in [
        ("spec.color=red", vec!["a"]),
        ("spec.color!=red", vec!["b"]),
        ("spec.count=1", vec!["a"]),
        ("spec.count=", vec!["b"]),
        ("spec.color=blue,metadata.name=b", vec!["b"]),
    ] {
        let path = format!("{TABS}?fieldSelector={}", selector.replace('=', "%3D"));
        assert_eq!(
            names(admin.get(&path).await.expect(200)),
            want,
            "{selector}"
        );
    }
    admin
        .get(&format!("{TABS}?fieldSelector=spec.other%3Dx"))
        .await
        .refused(400, "BadRequest", "field label not supported: spec.other");
    let mut events = admin
        .watch(&format!("{TABS}?watch=1&fieldSelector=spec.color%3Dblue"))
        .await;
    assert_eq!(events.brief().await.1, "b");
    admin
        .merge(&format!("{TABS}/b"), json!({"spec": {"color": "red"}}))
        .await
        .expect(200);
    assert_eq!(events.brief().await.0, "DELETED");
}

#[tokio::test]
async fn everything_may_be_kept_and_nothing_must_be_known() {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let (_cluster, admin) = cluster(definition(open)).await;
    let body = json!({"apiVersion": "a.io/v1", "kind": "Tab", "metadata": {"name": "a"},
        "a": {"b": [{"c": null}, 1.5, "x"]}});
    let created = admin
        .post(&format!("{TABS}?fieldValidation=Strict"), &body)
        .await
        .expect(201);
    assert_eq!(created["a"], body["a"]);
    assert_eq!(admin.get(&format!("{TABS}/a")).await.expect(200), created);
}
