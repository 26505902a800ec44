//! Server-side apply: what is made, what is refused, and in which words.

use super::*;

/// The query every apply needs.
fn by(manager: &str) -> String {
    format!("?fieldManager={manager}")
}

impl Client {
    pub(super) async fn apply(&self, path: &str, manager: &str, config: &Value) -> Answer {
        self.apply_text(&format!("{path}{}", by(manager)), &config.to_string())
            .await
    }

    async fn apply_text(&self, path: &str, body: &str) -> Answer {
        let content_type = [("content-type", "application/apply-patch+yaml")];
        self.send("PATCH", path, &content_type, body.to_owned())
            .await
    }
}

/// Managers and the fields they own, by name: without times, and not in their order.
pub(super) fn owners(object: &Value) -> Value {
    let list = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let brief = |entry: Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or("").to_owned();
        let who = [text("manager"), text("operation"), text("subresource")].join(" ");
        (who.trim_end().to_owned(), entry["fieldsV1"].clone())
    };
    let mut list: Vec<(String, Value)> = list.into_iter().map(brief).collect();
    list.sort_by(|(a, _), (b, _)| a.cmp(b));
    json!(list)
}

#[tokio::test]
async fn a_configuration_creates_and_changes_and_conflicts() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/s");
    let config = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"k": value}});
    let created = admin.apply(&path, "m1", &config("1")).await.expect(201);
    let time = created["metadata"]["managedFields"][0]["time"].clone();
    assert_eq!(
        created["metadata"]["managedFields"],
        json!([{
            "manager": "m1", "operation": "Apply", "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:k": {}}},
        }])
    );
    assert_eq!(time, created["metadata"]["creationTimestamp"]);
    // Again: the same version, whatever the clock says.
    let again = admin.apply(&path, "m1", &config("1")).await.expect(200);
    assert_eq!(again, created);
    let refused = admin.apply(&path, "m2", &config("2")).await.expect(409);
    assert_eq!(
        refused,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Apply failed with 1 conflict: conflict with \"m1\": .data.k", "reason": "Conflict",
            "details": {"causes": [{
                "reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.k",
            }]},
            "code": 409,
        })
    );
    let forced = admin
        .apply(&path, "m2&force=true", &config("2"))
        .await
        .expect(200);
    assert_eq!(forced["data"]["k"], "2");
    assert_eq!(
        owners(&forced),
        json!([["m2 Apply", {"f:data": {"f:k": {}}}]])
    );
    // Who agrees owns the field too, which is a new version.
    let shared = admin.apply(&path, "m1", &config("2")).await.expect(200);
    assert!(version(&shared) > version(&forced));
    assert_eq!(owners(&shared).as_array().map(Vec::len), Some(2));
    // What nobody applies any more goes.
    let empty = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}});
    let left = admin.apply(&path, "m1", &empty).await.expect(200);
    assert_eq!(left["data"]["k"], "2");
    let left = admin.apply(&path, "m2", &empty).await.expect(200);
    assert_eq!(left["data"], Value::Null);
    assert_eq!(owners(&left), json!([]));
}

#[tokio::test]
async fn bodies_in_yaml_and_in_any_order() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let path = format!("{PODS}/p");
    let body = "
kind: Pod
apiVersion: v1
metadata: {name: p, labels: {a: 'yes'}}
spec:
  containers:
  - name: c
    image: app:v1
    ports: [{containerPort: 80}]
    resources: {requests: {cpu: 0.5}}
";
    let applied = admin
        .apply_text(&format!("{path}?fieldManager=m"), body)
        .await
        .expect(201);
    assert_eq!(
        applied["spec"]["containers"][0]["resources"]["requests"]["cpu"],
        "500m"
    );
    assert_eq!(
        owners(&applied),
        json!([["m Apply", {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                ".": {}, "f:image": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                "f:resources": {"f:requests": {"f:cpu": {}}},
            }}},
        }]])
    );
    // What the server writes in its own way is still what was asked for.
    let again = admin
        .apply_text(&format!("{path}?fieldManager=m"), body)
        .await
        .expect(200);
    assert_eq!(again, applied);
    let twice = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {b: one, b: two}}\n";
    let path = format!("{path}?fieldManager=n&fieldValidation=");
    let warned = admin
        .apply_text(&format!("{path}Warn&dryRun=All"), twice)
        .await;
    warned.expect(200);
    assert_eq!(
        warned.header("warning"),
        "299 - \"line 3: key \\\"b\\\" already set in map\""
    );
    let strict = admin.apply_text(&format!("{path}Strict"), twice).await;
    strict.refused(
        400,
        "BadRequest",
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 3: key \"b\" already set in map",
    );
    let no_map = admin.apply_text(&format!("{path}Warn"), "- a\n").await;
    no_map.refused(400, "BadRequest", "error decoding YAML: ...");
}

#[tokio::test]
async fn options_that_make_no_sense() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/s");
    let config = configmap("s");
    let refused = admin
        .apply_text(&path, &config.to_string())
        .await
        .expect(422);
    assert_eq!(
        refused,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            "reason": "Invalid",
            "details": {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [{
                "reason": "FieldValueRequired", "message": "Required value: is required for apply patch",
                "field": "fieldManager",
            }]},
            "code": 422,
        })
    );
    admin.create(CONFIGMAPS, configmap("s")).await;
    admin.merge(&format!("{path}?force=true"), json!({})).await.refused(
        422,
        "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
    );
    let long = "x".repeat(129);
    admin.post(&format!("{CONFIGMAPS}?fieldManager={long}"), &configmap("t")).await.refused(
        422,
        "Invalid",
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes",
    );
    admin.put(&format!("{path}?fieldManager=a%0Ab"), &config).await.refused(
        422,
        "Invalid",
        "UpdateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\nb\": invalid character U+000A (at position 1)",
    );
}

#[tokio::test]
async fn configurations_that_cannot_be_applied() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let check = async |path: &str, patch: Value, code: u16, reason: &str, message: &str| {
        let mut config = configmap("a");
        rfc7396(&mut config, &patch);
        admin
            .apply(path, "m", &config)
            .await
            .refused(code, reason, message);
    };
    let bad = "BadRequest";
    check(
        &path,
        json!({"kind": "Secret"}),
        400,
        bad,
        "invalid object type: /v1, Kind=Secret",
    )
    .await;
    check(
        &path,
        json!({"metadata": {"managedFields": []}}),
        400,
        bad,
        "metadata.managedFields must be nil",
    )
    .await;
    check(
        &path,
        json!({"bogus": 1}),
        400,
        bad,
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .bogus: field not declared in schema",
    )
    .await;
    check(
        &path,
        json!({"metadata": {"name": "b"}}),
        400,
        bad,
        "the name of the object (b) does not match...",
    )
    .await;
    check(
        &path,
        json!({"metadata": {"namespace": "b"}}),
        400,
        bad,
        "the namespace of the provided object...",
    )
    .await;
    check(
        &path,
        json!({"data": {"k": 1}}),
        400,
        bad,
        "failed to create typed patch object...",
    )
    .await;
    check(
        &path,
        json!({"data": {"k/": "1"}}),
        422,
        "Invalid",
        "ConfigMap \"a\" is invalid: ...",
    )
    .await;
    let modified =
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified...";
    check(
        &path,
        json!({"metadata": {"resourceVersion": "1"}}),
        409,
        "Conflict",
        modified,
    )
    .await;
    let uid = "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: x...";
    check(
        &path,
        json!({"metadata": {"uid": "x"}}),
        409,
        "Conflict",
        uid,
    )
    .await;
    // Nothing of it happened.
    assert_eq!(admin.get(&path).await.expect(200), created);
    let absent = format!("{CONFIGMAPS}/b");
    check(
        &absent,
        json!({"metadata": {"name": "b", "uid": "x"}}),
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"b\": uid mismatch: the provided object specified uid x, and no existing object was found",
    )
    .await;
    admin.get(&absent).await.expect(404);
    // A version says nothing where there is none.
    let named = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "resourceVersion": "9"}});
    admin.apply(&absent, "m", &named).await.expect(201);
    let fits = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "a", "uid": created["metadata"]["uid"], "resourceVersion": created["metadata"]["resourceVersion"],
    }, "data": {"k": "v"}});
    admin.apply(&path, "m", &fits).await.expect(200);
}

/// A merge patch, for bodies that differ a little.
fn rfc7396(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    for (key, patch) in patch {
        rfc7396(&mut value[key.as_str()], patch);
    }
}

#[tokio::test]
async fn nothing_is_stored_by_a_dry_run() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let dry = admin
        .apply(&path, "m&dryRun=All", &configmap("a"))
        .await
        .expect(201);
    assert_eq!(owners(&dry), json!([["m Apply", {"f:data": {"f:k": {}}}]]));
    admin.get(&path).await.expect(404);
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let dry = admin
        .apply(&path, "m&dryRun=All", &configmap("a"))
        .await
        .expect(200);
    assert_eq!(owners(&dry).as_array().map(Vec::len), Some(2));
    assert_eq!(admin.get(&path).await.expect(200), created);
}

#[tokio::test]
async fn parts_are_applied_too() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let created = admin.create(PODS, pod("p")).await;
    let status = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"nodeName": "nowhere"},
        "status": {"conditions": [{"type": "Custom", "status": "True"}]},
    });
    let path = format!("{PODS}/p/status");
    let applied = admin.apply(&path, "m", &status).await.expect(200);
    assert_eq!(applied["status"]["conditions"][0]["type"], "Custom");
    assert_eq!(applied["spec"], created["spec"]);
    // The spec was out of reach, so it is not owned.
    assert_eq!(
        owners(&applied)[0],
        json!(["m Apply status", {
            "f:status": {"f:conditions": {"k:{\"type\":\"Custom\"}": {".": {}, "f:status": {}, "f:type": {}}}},
        }])
    );
    // And neither does a writer of the object own the status.
    let mut whole = status.clone();
    whole["spec"] = json!({"containers": [{"name": "c", "image": "app:v2"}]});
    let forced = admin
        .apply(&format!("{PODS}/p"), "n&force=true", &whole)
        .await
        .expect(200);
    assert_eq!(forced["spec"]["containers"][0]["image"], "app:v2");
    let fields = &owners(&forced)[1];
    assert_eq!(fields[0], "n Apply");
    assert_eq!(fields[1]["f:status"], Value::Null);
    admin
        .apply(&format!("{PODS}/zz/status"), "m", &status)
        .await
        .expect(404);
}

#[tokio::test]
async fn the_number_of_replicas_is_owned_through_scale() {
    const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    });
    let path = format!("{DEPLOYMENTS}/d");
    let scale = format!("{path}/scale");
    admin.apply(&path, "m", &deployment).await.expect(201);
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let scaled = |n: usize| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": n}});
    let refused = admin.apply(&scale, "s", &scaled(2)).await;
    refused.refused(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"m\": .spec.replicas",
    );
    admin
        .apply(&scale, "s&force=true", &scaled(2))
        .await
        .expect(200);
    let read = admin.get(&path).await.expect(200);
    assert_eq!(read["spec"]["replicas"], 2);
    assert_eq!(owners(&read)[1], json!(["s Apply scale", replicas]));
    assert_eq!(owners(&read)[0][1]["f:spec"]["f:replicas"], Value::Null);
    // As kubectl does it.
    let patched = admin
        .merge(
            &format!("{scale}?fieldManager=kubectl"),
            json!({"spec": {"replicas": 3}}),
        )
        .await
        .expect(200);
    assert_eq!(
        patched["metadata"]["managedFields"],
        Value::Null,
        "a scale shows no managers"
    );
    let read = admin.get(&path).await.expect(200);
    let owners = owners(&read);
    let list = owners.as_array().expect("a list");
    assert!(
        list.contains(&json!(["kubectl Update scale", replicas])),
        "{owners}"
    );
    assert_eq!(list.len(), 2);
    let refused = admin.apply(&path, "m", &deployment).await;
    refused.refused(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas",
    );
}

#[tokio::test]
async fn who_may_not_create_creates_nothing_by_other_means() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "update"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]},
        ],
    });
    admin.create(&format!("{RBAC}/roles"), role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"}],
    });
    admin.create(&format!("{RBAC}/rolebindings"), binding).await;
    let user = [
        ("impersonate-user", "u"),
        ("content-type", "application/apply-patch+yaml"),
    ];
    let path = format!("{CONFIGMAPS}/a?fieldManager=m");
    let config = configmap("a").to_string();
    let refused = admin.send("PATCH", &path, &user, config.clone()).await;
    refused.refused(
        403,
        "Forbidden",
        "configmaps \"a\" is forbidden: User \"u\" cannot create resource...",
    );
    admin.create(CONFIGMAPS, configmap("a")).await;
    admin.send("PATCH", &path, &user, config).await.expect(200);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}});
    let user = [
        ("impersonate-user", "u"),
        ("content-type", "application/json"),
    ];
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let refused = admin.send("PUT", path, &user, lease.to_string()).await;
    refused.refused(
        403,
        "Forbidden",
        "leases.coordination.k8s.io \"l\" is forbidden: User \"u\" cannot create resource...",
    );
}
