//! Patches: three types, conflicts, and no-ops.

use super::*;

/// A map keeps the last of two, so only the text shows that there were two.
#[tokio::test]
async fn what_a_patch_says_twice() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let patch = r#"{"data":{"a":"1","a":"2"}}"#;
    for kind in ["merge-patch", "strategic-merge-patch"] {
        let content_type = format!("application/{kind}+json");
        let send = async |validation: &str| {
            let path = format!("{CONFIGMAPS}/a?fieldValidation={validation}");
            let headers = [("content-type", content_type.as_str())];
            admin.send("PATCH", &path, &headers, patch).await
        };
        send("Strict").await.refused(
            422,
            "Invalid",
            " \"\" is invalid: patch: Invalid value: \"{\\\"data\\\":{\\\"a\\\":\\\"1\\\",\\\"a\\\":\\\"2\\\"}}\": strict decoding error: duplicate field \"data.a\"",
        );
        for (validation, warned) in [("Warn", true), ("Ignore", false)] {
            let answer = send(validation).await;
            assert_eq!(
                answer.headers.contains_key("warning"),
                warned,
                "{validation}"
            );
            assert_eq!(answer.expect(200)["data"]["a"], "2");
        }
    }
    let operations = r#"[{"op":"add","path":"/data/b","value":"1","value":"2"}]"#;
    let path = format!("{CONFIGMAPS}/a");
    let json_patch = [("content-type", "application/json-patch+json")];
    let answer = admin.send("PATCH", &path, &json_patch, operations).await;
    let warning = answer.headers.get("warning").expect("a warning");
    let said = "299 - \"json patch duplicate field \\\"[0].value\\\"\"";
    assert_eq!(warning, said);
    assert_eq!(answer.expect(200)["data"]["b"], "2");
}

#[tokio::test]
async fn patches() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let merged = admin
        .merge(&path, json!({"data": {"k": null, "x": "1"}}))
        .await
        .expect(200);
    assert_eq!(merged["data"], json!({"x": "1"}));
    let operations = json!([{"op": "replace", "path": "/data/x", "value": "2"}, {"op": "test", "path": "/data/x", "value": "2"}]);
    let patched = admin
        .patch(&path, "json-patch", &operations)
        .await
        .expect(200);
    assert_eq!(patched["data"]["x"], "2");
    let failing = json!([{"op": "test", "path": "/data/x", "value": "9"}]);
    admin.patch(&path, "json-patch", &failing).await.refused(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    );
    let strategic = admin
        .patch(
            &path,
            "strategic-merge-patch",
            &json!({"metadata": {"labels": {"l": "1"}}}),
        )
        .await
        .expect(200);
    assert_eq!(strategic["metadata"]["labels"]["l"], "1");
    // A patch that changes nothing writes nothing.
    let again = admin
        .merge(&path, json!({"metadata": {"labels": {"l": "1"}}}))
        .await
        .expect(200);
    assert_eq!(version(&again), version(&strategic));
    for content_type in ["application/json", "text/plain"] {
        admin
            .send("PATCH", &path, &[("content-type", content_type)], "{}")
            .await
            .refused(415, "UnsupportedMediaType", "415: Unsupported Media Type");
    }
    let stale = json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"x": "3"}});
    admin.merge(&path, stale).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified...",
    );
    admin
        .merge(&path, json!({"metadata": {"uid": "other"}}))
        .await
        .refused(
            422,
            "Invalid",
            "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable",
        );
    admin
        .merge(&path, json!({"kind": "Secret"}))
        .await
        .expect(422);
    // What a patch makes of the object is the patch's fault: kubectl edit opens the editor again for 422 only.
    let wrong = admin
        .merge(&path, json!({"data": {"x": 2}}))
        .await
        .expect(422);
    assert_eq!(
        (&wrong["message"], &wrong["details"]["causes"][0]["field"]),
        (
            &json!(
                " \"\" is invalid: patch: Invalid value: \"{\\\"data\\\":{\\\"x\\\":2}}\": json: cannot unmarshal number into Go struct field ConfigMap.data.x of type string"
            ),
            &json!("patch")
        )
    );
    admin
        .merge(&format!("{path}?fieldValidation=Strict"), json!({"dat": {"x": "2"}}))
        .await
        .refused(
            422,
            "Invalid",
            " \"\" is invalid: patch: Invalid value: \"{\\\"dat\\\":{\\\"x\\\":\\\"2\\\"}}\": strict decoding error: unknown field \"dat\"",
        );
    // Long ones are shown by their beginning.
    let long = json!({"data": {"x": ["é".repeat(10_000)]}});
    let wrong = admin.merge(&path, long).await.expect(422);
    assert!(
        wrong["message"]
            .as_str()
            .is_some_and(|text| text.len() < 9_000)
    );
    // Version 0 is no version.
    let anyhow = json!({"metadata": {"resourceVersion": "0"}, "data": {"x": "4"}});
    admin.merge(&path, anyhow).await.expect(200);
    let anyhow = json!({"metadata": {"name": "a", "resourceVersion": "0"}});
    admin.put(&path, &anyhow).await.expect(200);
    admin
        .merge(&format!("{CONFIGMAPS}/zz"), json!({}))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_all_happen() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let writers = (0..100).map(|writer| {
        let admin = admin.clone();
        async move {
            let mut data = serde_json::Map::new();
            data.insert(format!("w{writer}"), json!("1"));
            admin
                .merge(&format!("{CONFIGMAPS}/a"), json!({ "data": data }))
                .await
                .expect(200);
        }
    });
    futures::future::join_all(writers).await;
    let read = admin.get(&format!("{CONFIGMAPS}/a")).await.expect(200);
    assert_eq!(read["data"].as_object().expect("data").len(), 101);
}

/// What is no patch is told so in the words of upstream's decoder.
#[tokio::test]
async fn bodies_that_are_no_patches() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let does_not_apply = "the server rejected our request due to an error in our request";
    let map = "into Go value of type map[string]interface {}";
    for (kind, body, code, message) in [
        (
            "json-patch",
            "{}",
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".to_owned(),
        ),
        (
            "json-patch",
            "[1]",
            400,
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp".to_owned(),
        ),
        ("json-patch", r#"[{"op": "foo", "path": "/a"}]"#, 422, does_not_apply.to_owned()),
        ("json-patch", r#"[{"path": "/a"}]"#, 422, does_not_apply.to_owned()),
        ("json-patch", r#"[{"op": "add", "path": "a", "value": 1}]"#, 422, does_not_apply.to_owned()),
        ("merge-patch", "[1]", 400, format!("error decoding patch: json: cannot unmarshal array {map}")),
        ("merge-patch", "null", 400, "Invalid JSON Patch".to_owned()),
        ("strategic-merge-patch", "\"x\"", 400, format!("json: cannot unmarshal string {map}")),
    ] {
        let content_type = format!("application/{kind}+json");
        let headers = [("content-type", content_type.as_str())];
        let answer = admin.send("PATCH", &path, &headers, body).await;
        let reason = if code == 422 { "Invalid" } else { "BadRequest" };
        answer.refused(code, reason, &message);
    }
    for kind in ["json-patch", "strategic-merge-patch"] {
        let content_type = format!("application/{kind}+json");
        let headers = [("content-type", content_type.as_str())];
        let same = admin
            .send("PATCH", &path, &headers, "null")
            .await
            .expect(200);
        assert_eq!(version(&same), version(&created));
    }
}

/// Media types have no case, and parameters have values.
#[tokio::test]
async fn media_types_of_bodies() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (name, content_type, code) in [
        ("a", "APPLICATION/JSON", 201),
        ("b", "application/json; charset=utf-8", 201),
        ("c", "application/json;foo", 415),
    ] {
        let headers = [("content-type", content_type)];
        let body = configmap(name).to_string();
        admin
            .send("POST", CONFIGMAPS, &headers, body)
            .await
            .expect(code);
    }
}

/// Nobody who names no version is told of a conflict, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_without_a_version_all_happen() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    admin.create(CONFIGMAPS, configmap("a")).await;
    let writers = (0..100).map(|writer| {
        let (admin, path) = (admin.clone(), &path);
        async move {
            let (mut value, mine) = (configmap("a"), writer.to_string());
            value["data"] = json!({"k": mine});
            if writer % 2 == 0 {
                return admin.put(path, &value).await.expect(200);
            }
            let path = format!("{path}?fieldManager=w{writer}&force=true");
            let apply = [("content-type", "application/apply-patch+yaml")];
            let answer = admin.send("PATCH", &path, &apply, value.to_string()).await;
            answer.expect(200)
        }
    });
    futures::future::join_all(writers).await;
    // Who names a version is told at once, also while there is a line.
    let api = cluster.server.api();
    let ends = tokio::time::Instant::now() + PATIENCE;
    let line = sampan_store::Key::new("configmaps", "default/a");
    let _head = api.lines.head(&line, ends).await.expect("nobody is left");
    let mut stale = configmap("a");
    stale["metadata"]["resourceVersion"] = json!("1");
    admin.put(&path, &stale).await.expect(409);
}
