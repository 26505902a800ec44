//! Create, read, update.

use super::*;

#[tokio::test]
async fn create_and_get() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    assert_eq!(
        (
            &created["kind"],
            &created["apiVersion"],
            &created["data"]["k"]
        ),
        (&json!("ConfigMap"), &json!("v1"), &json!("v"))
    );
    let metadata = &created["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["uid"].as_str().expect("a uid").len(), 36);
    let stamp = metadata["creationTimestamp"].as_str().expect("a time");
    assert!(stamp.len() == 20 && stamp.ends_with('Z'), "{stamp}");
    assert!(version(&created) > 0);
    let read = admin.get(&format!("{CONFIGMAPS}/a")).await;
    assert_eq!(read.expect(200), created);
    assert_eq!(read.header("content-type"), "application/json");
    assert_eq!(read.header("cache-control"), "no-cache, private");
    assert_eq!(read.header("audit-id").len(), 36);

    admin.post(CONFIGMAPS, &configmap("a")).await.refused(
        409,
        "AlreadyExists",
        "configmaps \"a\" already exists",
    );
    admin.get(&format!("{CONFIGMAPS}/zz")).await.refused(
        404,
        "NotFound",
        "configmaps \"zz\" not found",
    );
    let missing = admin
        .post("/api/v1/namespaces/nope/configmaps", &configmap("a"))
        .await;
    let status = missing.refused(404, "NotFound", "namespaces \"nope\" not found");
    assert_eq!(
        status["details"],
        json!({"name": "nope", "kind": "namespaces"})
    );
}

#[tokio::test]
async fn names() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let nameless = json!({"metadata": {}});
    let status = admin.post(CONFIGMAPS, &nameless).await.refused(
        422,
        "Invalid",
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
    );
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "FieldValueRequired"
    );
    admin.post(CONFIGMAPS, &configmap("A_b")).await.refused(
        422,
        "Invalid",
        "ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of...",
    );
    let generated = admin
        .create(CONFIGMAPS, json!({"metadata": {"generateName": "web-"}}))
        .await;
    let name = generated["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "kube-system"}});
    admin.post(CONFIGMAPS, &elsewhere).await.refused(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    );
}

#[tokio::test]
async fn update_checks_the_version() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let mut next = created.clone();
    next["data"]["k"] = json!("w");
    let updated = admin.put(&path, &next).await.expect(200);
    assert!(version(&updated) > version(&created));
    assert_eq!(updated["metadata"]["uid"], created["metadata"]["uid"]);
    admin.put(&path, &next).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
    );
    // Without a version the last writer wins; with the same content nothing is written.
    let same = json!({"metadata": {"name": "a"}, "data": {"k": "w"}});
    assert_eq!(admin.put(&path, &same).await.expect(200), updated);
    let foreign = json!({"metadata": {"name": "a", "uid": "123"}, "data": {}});
    admin.put(&path, &foreign).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: 123, UID in object meta: ...",
    );
    admin.put(&path, &configmap("b")).await.refused(
        400,
        "BadRequest",
        "the name of the object (b) does not match the name on the URL (a)",
    );
    admin
        .put(&format!("{CONFIGMAPS}/zz"), &configmap("zz"))
        .await
        .refused(404, "NotFound", "configmaps \"zz\" not found");
}

#[tokio::test]
async fn leases_are_created_by_update_and_need_a_version() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let created = admin.put(path, &lease).await.expect(201);
    let other = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "b"}});
    admin.put(path, &other).await.refused(
        422,
        "Invalid",
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    );
    assert_eq!(admin.get(path).await.expect(200), created);
}

/// Version 0 is no version.
#[tokio::test]
async fn a_new_object_may_name_version_0() {
    let cluster = Cluster::start().await;
    let mut map = configmap("a");
    map["metadata"]["resourceVersion"] = json!("0");
    let made = cluster.admin().create(CONFIGMAPS, map.clone()).await;
    assert!(version(&made) > 0);
    map["metadata"] = json!({"name": "b", "resourceVersion": "1"});
    cluster.admin().post(CONFIGMAPS, &map).await.expect(400);
}

#[tokio::test]
async fn dry_run_stores_nothing() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let dry = admin
        .post(&format!("{CONFIGMAPS}?dryRun=All"), &configmap("a"))
        .await
        .expect(201);
    assert!(dry["metadata"]["uid"].is_string() && dry["metadata"]["resourceVersion"].is_null());
    admin.get(&format!("{CONFIGMAPS}/a")).await.expect(404);
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    // What would fail fails.
    admin
        .post(&format!("{CONFIGMAPS}?dryRun=All"), &configmap("a"))
        .await
        .refused(409, "AlreadyExists", "configmaps \"a\" already exists");
    let path = format!("{CONFIGMAPS}/a");
    let dry = admin
        .merge(&format!("{path}?dryRun=All"), json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    assert_eq!(dry["data"]["k"], "w");
    admin
        .delete(&format!("{path}?dryRun=All"))
        .await
        .expect(200);
    assert_eq!(admin.get(&path).await.expect(200), created);
    admin.post(&format!("{CONFIGMAPS}?dryRun=foo"), &configmap("b")).await.refused(
        422,
        "Invalid",
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"foo\"]: supported values: \"All\"",
    );
}

#[tokio::test]
async fn status_and_spec_are_apart() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let mut new = pod("p");
    new["status"] = json!({"phase": "Running"});
    let created = admin.create(PODS, new).await;
    assert_eq!(created["status"]["phase"], "Pending");
    assert_eq!(created["metadata"]["generation"], 1);
    let path = format!("{PODS}/p");
    let patch = json!({"status": {"phase": "Running"}, "spec": {"activeDeadlineSeconds": 5}});
    let status = admin
        .merge(&format!("{path}/status"), patch.clone())
        .await
        .expect(200);
    assert_eq!(
        (
            &status["status"]["phase"],
            &status["spec"]["activeDeadlineSeconds"]
        ),
        (&json!("Running"), &Value::Null)
    );
    assert_eq!(status["metadata"]["generation"], 1);
    let spec = admin
        .merge(
            &path,
            json!({"status": {"phase": "Failed"}, "spec": {"activeDeadlineSeconds": 5}}),
        )
        .await
        .expect(200);
    assert_eq!(
        (
            &spec["status"]["phase"],
            &spec["spec"]["activeDeadlineSeconds"]
        ),
        (&json!("Running"), &json!(5))
    );
    assert_eq!(spec["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_is_refused_is_warned_of_too() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let map = |key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {key: "1"}, "foo": 1});
    let path = format!("{CONFIGMAPS}/a");
    admin.create(CONFIGMAPS, map("good")).await;
    let bad = map("not good");
    let add = |path: &str| json!({"op": "add", "path": path, "value": "1"});
    let operations = json!([add("/foo"), add("/data/not good")]);
    for answer in [
        admin.post(CONFIGMAPS, &bad).await,
        admin.put(&path, &bad).await,
        admin.patch(&path, "merge-patch", &bad).await,
        admin.patch(&path, "strategic-merge-patch", &bad).await,
        admin.patch(&path, "json-patch", &operations).await,
    ] {
        let warned = answer.headers.get("warning").cloned();
        let status = answer.expect(422);
        let expected = "299 - \"unknown field \\\"foo\\\"\"";
        assert_eq!(warned.expect("a warning"), expected, "{status}");
    }
}

#[tokio::test]
async fn warnings_are_shortened_when_they_are_many() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let map = |name: &str, fields: usize| {
        let mut map = json!({"metadata": {"name": name}});
        for field in 0..fields {
            map[format!("{field:x>1000}")] = 1.into();
        }
        map
    };
    for (name, fields, expected) in [("a", 2, (2, 1026)), ("b", 40, (16, 265))] {
        let answer = admin.post(CONFIGMAPS, &map(name, fields)).await;
        let warnings: Vec<_> = answer.headers.get_all("warning").iter().collect();
        assert_eq!((warnings.len(), warnings[0].len()), expected);
    }
}

/// Where nobody counts the versions of what is wanted, a client's own count stays.
#[tokio::test]
async fn generations_are_the_servers_where_it_counts() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let asked =
        |generation: i64| json!({"metadata": {"name": "a", "generation": generation}, "value": 1});
    let account = |generation: i64| json!({"metadata": {"name": "a", "generation": generation}});
    let class = admin.create(classes, asked(4)).await;
    assert_eq!(class["metadata"]["generation"], 1);
    let kept = admin.create(accounts, account(4)).await;
    assert_eq!(kept["metadata"]["generation"], 4);
    let path = format!("{accounts}/a");
    let same = admin.put(&path, &account(5)).await.expect(200);
    assert_eq!(same["metadata"]["generation"], 4);
    admin.delete(&path).await.expect(200);
    let why = "ServiceAccount \"a\" is invalid: metadata.generation: Invalid value: -4: must be greater than or equal to 0";
    let answer = admin.post(accounts, &account(-4)).await;
    answer.refused(422, "Invalid", why);
    let none = admin.create(accounts, account(0)).await;
    assert!(none["metadata"].get("generation").is_none());
}

#[tokio::test]
async fn events_of_both_groups_are_one() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let event = json!({
        "metadata": {"name": "e"}, "message": "hi", "reason": "R", "type": "Normal",
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    });
    admin
        .create("/api/v1/namespaces/default/events", event)
        .await;
    let other = admin
        .get("/apis/events.k8s.io/v1/namespaces/default/events/e")
        .await
        .expect(200);
    assert_eq!(
        (
            &other["apiVersion"],
            &other["note"],
            &other["regarding"]["name"]
        ),
        (&json!("events.k8s.io/v1"), &json!("hi"), &json!("p"))
    );
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let list = admin
        .get(&format!("{path}?fieldSelector=regarding.name%3Dp"))
        .await
        .expect(200);
    assert_eq!(list["items"].as_array().expect("items").len(), 1);
    let patch = json!({"metadata": {"labels": {"l": "1"}}});
    let patched = admin.merge(&format!("{path}/e"), patch).await.expect(200);
    assert_eq!(patched["note"], "hi");
    let core = admin
        .get("/api/v1/namespaces/default/events/e")
        .await
        .expect(200);
    assert_eq!(
        (&core["metadata"]["labels"]["l"], &core["message"]),
        (&json!("1"), &json!("hi"))
    );
}

/// Charts give all their objects the namespace of the release, those that are in none too.
#[tokio::test]
async fn what_is_in_no_namespace_may_name_one() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let (path, role) = (
        format!("{roles}/a"),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "a", "namespace": "release"}, "rules": []}),
    );
    let created = admin.post(roles, &role).await.expect(201);
    let json = [("content-type", "application/json")];
    let put = admin.send("PUT", &path, &json, role.to_string()).await;
    let patch = json!({"metadata": {"namespace": "release"}});
    let patched = admin.merge(&path, patch).await;
    let yaml = [("content-type", "application/apply-patch+yaml")];
    let applied = format!("{path}?fieldManager=m&force=true");
    let applied = admin.send("PATCH", &applied, &yaml, role.to_string()).await;
    for object in [
        created,
        put.expect(200),
        patched.expect(200),
        applied.expect(200),
    ] {
        assert_eq!(object["metadata"].get("namespace"), None);
        assert_eq!(object["metadata"]["name"], "a");
    }
}
