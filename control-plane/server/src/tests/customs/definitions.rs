//! Definitions themselves: what they become, and how they go.

use super::*;

#[tokio::test]
async fn a_definition_is_established_and_discovered() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(DEFINITIONS, definition(schema())).await;
    assert_eq!(created["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(created["spec"]["names"]["listKind"], "TabList");
    assert_eq!(created["spec"]["conversion"], json!({"strategy": "None"}));
    let established = until(&admin, "tabs.a.io", |it| holds(it, "Established")).await;
    assert_eq!(
        condition(&established, "NamesAccepted")["reason"],
        "NoConflicts"
    );
    assert_eq!(
        condition(&established, "Established")["reason"],
        "InitialNamesAccepted"
    );
    assert_eq!(
        established["status"]["acceptedNames"],
        created["spec"]["names"]
    );
    let list = admin.get("/apis/a.io/v1").await.expect(200);
    let entry = &list["resources"][0];
    assert_eq!(
        (&entry["name"], &entry["singularName"], &entry["kind"]),
        (&json!("tabs"), &json!("tab"), &json!("Tab"))
    );
    assert_eq!(
        (&entry["shortNames"], &entry["categories"]),
        (&json!(["t"]), &json!(["all"]))
    );
    assert!(entry["storageVersionHash"].is_string());
    let group = admin.get("/apis/a.io").await.expect(200);
    assert_eq!(group["preferredVersion"]["groupVersion"], "a.io/v1");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = admin
        .send("GET", "/apis", &[("accept", accept)], Body::empty())
        .await;
    let all = all.expect(200);
    let items = all["items"].as_array().expect("groups");
    let found = items.iter().find(|it| it["metadata"]["name"] == "a.io");
    assert_eq!(
        found.expect("the group")["versions"][0]["resources"][0]["resource"],
        "tabs"
    );
    let tables = admin
        .send(
            "GET",
            DEFINITIONS,
            &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")],
            Body::empty(),
        )
        .await
        .expect(200);
    assert_eq!(tables["rows"][0]["cells"][0], "tabs.a.io");
}

#[tokio::test]
async fn a_name_is_given_once_and_again_when_it_is_free() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition(schema())).await;
    let mut other = definition(schema());
    other["metadata"]["name"] = "others.a.io".into();
    other["spec"]["names"] = json!({"plural": "others", "kind": "Other", "shortNames": ["t"]});
    admin.create(DEFINITIONS, other).await;
    let refused = until(&admin, "others.a.io", |it| {
        !condition(it, "NamesAccepted").is_null()
    })
    .await;
    let names = condition(&refused, "NamesAccepted");
    assert_eq!(
        (&names["status"], &names["reason"]),
        (&json!("False"), &json!("ShortNamesConflict"))
    );
    assert_eq!(condition(&refused, "Established")["reason"], "NotAccepted");
    assert_eq!(admin.get("/apis/a.io/v1/others").await.status, 404);
    let cluster = cluster.restarted().await;
    let admin = cluster.admin();
    admin.get(TABS).await.expect(200);
    let waiting = admin.get(&format!("{DEFINITIONS}/others.a.io")).await;
    assert!(!holds(&waiting.expect(200), "NamesAccepted"));
    assert_eq!(admin.get("/apis/a.io/v1/others").await.status, 404);
    admin
        .delete(&format!("{DEFINITIONS}/tabs.a.io"))
        .await
        .expect(200);
    until(&admin, "others.a.io", |it| holds(it, "Established")).await;
    admin.get("/apis/a.io/v1/others").await.expect(200);
}

#[tokio::test]
async fn a_definition_waits_for_its_objects() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition(schema())).await;
    let mut kept = tab("kept", json!({}));
    kept["metadata"]["finalizers"] = json!(["a.io/hold"]);
    let warned = admin.post(TABS, &kept).await;
    warned.expect(201);
    assert_eq!(warned.header("warning"), "");
    for name in ["b", "c"] {
        admin.create(TABS, tab(name, json!({}))).await;
    }
    let mut watched = admin
        .watch(&format!("{TABS}?watch=1&resourceVersion=0"))
        .await;
    let path = format!("{DEFINITIONS}/tabs.a.io");
    let going = admin.delete(&path).await.expect(200);
    assert_eq!(
        going["metadata"]["finalizers"],
        json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    assert_eq!(
        condition(&going, "Terminating")["reason"],
        "InstanceDeletionPending"
    );
    answers(&admin, TABS, |it| {
        it.json()["items"].as_array().map(Vec::len) == Some(1)
    })
    .await;
    admin
        .post(TABS, &tab("late", json!({})))
        .await
        .refused(
            403,
            "Forbidden",
            "tabs.a.io \"late\" is forbidden: create not allowed while custom resource definition is terminating",
        );
    let list = admin.get("/apis/a.io/v1").await.expect(200);
    assert_eq!(
        list["resources"][0]["verbs"],
        json!(["delete", "deletecollection", "get", "list", "watch"])
    );
    let waiting = admin.get(&path).await.expect(200);
    assert_eq!(
        condition(&waiting, "Terminating")["reason"],
        "InstanceDeletionInProgress"
    );
    admin
        .merge(
            &format!("{TABS}/kept"),
            json!({"metadata": {"finalizers": null}}),
        )
        .await
        .expect(200);
    gone(&admin, "tabs.a.io").await;
    answers(&admin, "/apis/a.io/v1", |it| it.status == 404).await;
    assert_eq!(admin.get(TABS).await.status, 404);
    let mut last = Value::Null;
    while let Some(event) = watched.next().await {
        last = event;
    }
    assert_eq!(
        (&last["type"], &last["object"]["metadata"]["name"]),
        (&json!("DELETED"), &json!("kept"))
    );
    // The same once more: nothing of the first is left.
    establish(&admin, definition(schema())).await;
    let empty = admin.get(TABS).await.expect(200);
    assert_eq!(
        (&empty["kind"], &empty["items"]),
        (&json!("TabList"), &json!([]))
    );
}

#[tokio::test]
async fn a_definition_survives_a_restart() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition(schema())).await;
    admin.create(TABS, tab("a", json!({"count": 1}))).await;
    cluster.server.close().await;
    let config = ServerConfig::new(
        cluster.dir.path(),
        "127.0.0.1:0".parse().expect("an address"),
    );
    let cluster = Cluster::with(config, cluster.dir).await;
    let admin = cluster.admin();
    let again = admin.get(&format!("{TABS}/a")).await.expect(200);
    assert_eq!(again["spec"], json!({"count": 1, "color": "red"}));
    admin.create(TABS, tab("b", json!({}))).await;
}

#[tokio::test]
async fn what_is_wrong_with_definitions_is_told() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut wrong = definition(json!({"type": "object", "properties": {"a": {}}}));
    wrong["metadata"]["name"] = "other".into();
    let status = admin.post(DEFINITIONS, &wrong).await.refused(
        422,
        "Invalid",
        "CustomResourceDefinition.apiextensions.k8s.io \"other\" is invalid: [metadata.name: Invalid value: \"other\": must be spec.names.plural+\".\"+spec.group, spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields]",
    );
    assert_eq!(
        status["details"]["causes"][1]["field"],
        "spec.validation.openAPIV3Schema.properties[a].type"
    );
    let formatted = definition(json!({"type": "object", "properties": {
        "a": {"type": "string", "format": "semver"}}}));
    let answer = admin.post(DEFINITIONS, &formatted).await;
    answer.expect(201);
    assert_eq!(
        answer.header("warning"),
        r#"299 - "unrecognized format \"semver\"""#
    );
    let stored = until(&admin, "tabs.a.io", |it| holds(it, "Established")).await;
    let mut unconditional = stored.clone();
    unconditional["metadata"]["resourceVersion"] = json!("");
    admin
        .put(&format!("{DEFINITIONS}/tabs.a.io"), &unconditional)
        .await
        .expect(422);
    let mut renamed = stored;
    renamed["spec"]["names"]["kind"] = json!("Bat");
    admin
        .put(&format!("{DEFINITIONS}/tabs.a.io"), &renamed)
        .await
        .refused(
            422,
            "Invalid",
            "CustomResourceDefinition.apiextensions.k8s.io \"tabs.a.io\" is invalid: spec.names.kind: Invalid value: \"Bat\": field is immutable",
        );
}

#[tokio::test]
async fn the_status_of_a_definition_is_written_like_any() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition(schema())).await;
    let path = format!("{DEFINITIONS}/tabs.a.io/status");
    let mut read = admin.get(&path).await.expect(200);
    let conditions = read["status"]["conditions"].as_array_mut().expect("a list");
    conditions.push(json!({"type": "", "status": "", "message": "updated"}));
    let updated = admin.put(&path, &read).await.expect(200);
    let last = updated["status"]["conditions"]
        .as_array()
        .and_then(|all| all.last());
    assert_eq!(last.expect("one")["message"], "updated");
    let patch = json!([{"op": "add", "path": "/status/conditions",
        "value": [{"message": "patched", "type": "", "status": ""}]}]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    // What was taken away is said again, as by upstream's controllers.
    let again = until(&admin, "tabs.a.io", |it| holds(it, "Established")).await;
    assert_eq!(again["status"]["conditions"][0]["message"], "patched");
}

#[tokio::test]
async fn a_group_and_version_has_an_api_service_as_long_as_a_definition_wants_it() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, definition(schema())).await;
    let mut other = definition(schema());
    other["metadata"]["name"] = "others.a.io".into();
    other["spec"]["names"] = json!({"plural": "others", "kind": "Other"});
    let unserved = json!({"name": "v2", "served": false, "storage": false,
        "schema": {"openAPIV3Schema": schema()}});
    let versions = other["spec"]["versions"].as_array_mut().expect("a list");
    versions.push(unserved);
    establish(&admin, other).await;
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    let path = format!("{services}/v1.a.io");
    let spec = json!({"group": "a.io", "version": "v1", "groupPriorityMinimum": 1000,
        "versionPriority": 100});
    let right = |it: &Answer| it.status == 200 && it.json()["spec"] == spec;
    let found = answers(&admin, &path, right).await.json();
    let labels = json!({"kube-aggregator.kubernetes.io/automanaged": "true"});
    assert_eq!(found["metadata"]["labels"], labels);
    let manager = &found["metadata"]["managedFields"][0]["manager"];
    assert_eq!(*manager, "kube-apiserver");
    let available = condition(&found, "Available");
    assert_eq!(
        (&available["status"], &available["reason"]),
        (&json!("True"), &json!("Local"))
    );
    assert_eq!(admin.get(&format!("{services}/v2.a.io")).await.status, 404);
    // It is kept.
    let patch = json!({"spec": {"versionPriority": 7}});
    admin.merge(&path, patch).await.expect(200);
    answers(&admin, &path, right).await;
    admin.delete(&path).await.expect(200);
    answers(&admin, &path, right).await;
    let cluster = cluster.restarted().await;
    let admin = cluster.admin();
    answers(&admin, &path, right).await;
    // The last one takes it along.
    let tabs = format!("{DEFINITIONS}/tabs.a.io");
    admin.delete(&tabs).await.expect(200);
    gone(&admin, "tabs.a.io").await;
    answers(&admin, &path, right).await;
    let others = format!("{DEFINITIONS}/others.a.io");
    admin.delete(&others).await.expect(200);
    answers(&admin, &path, |it| it.status == 404).await;
}
