//! Deletion: preconditions, finalizers, collections.

use super::*;

#[tokio::test]
async fn plain_objects_go_at_once() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let uid = created["metadata"]["uid"].as_str().expect("a uid");
    let path = format!("{CONFIGMAPS}/a");
    let wrong = json!({"preconditions": {"uid": "nope"}});
    admin.send("DELETE", &path, &[("content-type", "application/json")], wrong.to_string()).await.refused(
        409,
        "Conflict",
        &format!("Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (nope) does not match the UID in record ({uid}). The object might have been deleted and then recreated"),
    );
    let yaml = format!("kind: DeleteOptions\napiVersion: v1\npreconditions:\n  uid: {uid}\n");
    let gone = admin
        .send(
            "DELETE",
            &path,
            &[("content-type", "application/yaml")],
            yaml,
        )
        .await
        .expect(200);
    assert_eq!(
        gone,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
               "details": {"name": "a", "kind": "configmaps", "uid": uid}})
    );
    admin
        .delete(&path)
        .await
        .refused(404, "NotFound", "configmaps \"a\" not found");
    let bad = admin
        .send(
            "DELETE",
            &path,
            &[("content-type", "application/json")],
            r#"{"kind":"Pod"}"#,
        )
        .await;
    assert_eq!(bad.status.as_u16(), 400);
}

/// Who would delete an object by writing that it is being deleted is told that this is not the way.
#[tokio::test]
async fn the_time_of_a_deletion_is_not_written() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}/a");
    let marks =
        json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5});
    admin.merge(&path, json!({"metadata": marks})).await.refused(
        422,
        "Invalid",
        "ConfigMap \"a\" is invalid: [metadata.deletionTimestamp: Invalid value: \"2026-01-01T00:00:00Z\": field is immutable, metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable]",
    );
    // Who leaves the marks away does not take them away.
    let holds = json!({"metadata": {"finalizers": ["a.b/c"]}});
    admin.merge(&path, holds).await.expect(200);
    let marked = admin.delete(&path).await.expect(200);
    let unmarked = json!({"metadata": {"deletionTimestamp": null, "labels": {"a": "b"}}});
    let after = admin.merge(&path, unmarked).await.expect(200);
    let time = "deletionTimestamp";
    assert_eq!(after["metadata"][time], marked["metadata"][time]);
}

/// Some kinds answer with what is gone, as upstream; a dry run answers like the real thing.
#[tokio::test]
async fn what_a_deletion_answers_with() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let kinds = [
        (
            "/api/v1/namespaces/default/serviceaccounts",
            "v1",
            "ServiceAccount",
            true,
        ),
        (
            "/apis/storage.k8s.io/v1/csinodes",
            "storage.k8s.io/v1",
            "CSINode",
            true,
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            "networking.k8s.io/v1",
            "NetworkPolicy",
            false,
        ),
    ];
    for (path, version, kind, answered) in kinds {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"},
            "spec": if kind == "CSINode" { json!({"drivers": []}) } else { json!({}) }});
        admin.create(path, object).await;
        for dry_run in ["?dryRun=All", ""] {
            let gone = admin
                .delete(&format!("{path}/x{dry_run}"))
                .await
                .expect(200);
            let expect = if answered { kind } else { "Status" };
            assert_eq!(gone["kind"], expect, "{kind}");
        }
        let again = admin.get(&format!("{path}/x")).await;
        assert_eq!(again.status.as_u16(), 404);
    }
}

#[tokio::test]
async fn finalizers_are_waited_for() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut map = configmap("a");
    map["metadata"]["finalizers"] = json!(["example.com/hold"]);
    admin.create(CONFIGMAPS, map).await;
    let path = format!("{CONFIGMAPS}/a");
    let marked = admin.delete(&path).await.expect(200);
    assert_eq!(marked["kind"], "ConfigMap");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    // Deleting again changes nothing, and the mark cannot be taken away.
    assert_eq!(admin.delete(&path).await.expect(200), marked);
    let kept = admin
        .merge(&path, json!({"metadata": {"deletionTimestamp": null}}))
        .await
        .expect(200);
    assert_eq!(
        kept["metadata"]["deletionTimestamp"],
        marked["metadata"]["deletionTimestamp"]
    );
    // The update that empties the list removes the object.
    let mut events = admin
        .watch(&format!(
            "{CONFIGMAPS}?watch=1&resourceVersion={}",
            version(&kept)
        ))
        .await;
    admin
        .merge(&path, json!({"metadata": {"finalizers": null}}))
        .await
        .expect(200);
    assert_eq!(events.brief().await.0, "DELETED");
    admin.get(&path).await.expect(404);
}

#[tokio::test]
async fn propagation_policies_become_finalizers() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        let name = policy.to_lowercase();
        admin.create(CONFIGMAPS, configmap(&name)).await;
        let path = format!("{CONFIGMAPS}/{name}?propagationPolicy={policy}");
        let marked = admin.delete(&path).await.expect(200);
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
    }
    admin.create(CONFIGMAPS, configmap("c")).await;
    admin
        .delete(&format!("{CONFIGMAPS}/c?propagationPolicy=Sideways"))
        .await
        .expect(422);
    let background = admin
        .delete(&format!("{CONFIGMAPS}/c?propagationPolicy=Background"))
        .await
        .expect(200);
    assert_eq!(background["status"], "Success");
}

#[tokio::test]
async fn collections_go_by_selector() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for name in ["a", "b", "c"] {
        let mut map = configmap(name);
        map["metadata"]["labels"] = json!({"keep": if name == "b" { "yes" } else { "no" }});
        admin.create(CONFIGMAPS, map).await;
    }
    let deleted = admin
        .delete(&format!("{CONFIGMAPS}?labelSelector=keep%3Dno"))
        .await
        .expect(200);
    assert_eq!(
        (
            deleted["kind"].as_str(),
            deleted["items"].as_array().map(Vec::len)
        ),
        (Some("ConfigMapList"), Some(2))
    );
    let left = admin.get(CONFIGMAPS).await.expect(200);
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
    admin.delete("/api/v1/namespaces").await.refused(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
}

/// What Jobs and ReplicationControllers own outlives them unless the client says otherwise, as older clients expect.
#[tokio::test]
async fn jobs_leave_their_pods_behind() {
    const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let job = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}})
    };
    for name in ["a", "b"] {
        admin.create(JOBS, job(name)).await;
    }
    let answer = admin.delete(&format!("{JOBS}/a")).await;
    assert!(
        answer
            .header("warning")
            .contains("child pods are preserved by default when jobs are deleted")
    );
    let pending = answer.expect(200);
    assert_eq!(pending["metadata"]["finalizers"], json!(["orphan"]));
    let answer = admin
        .delete(&format!("{JOBS}/b?propagationPolicy=Background"))
        .await;
    assert_eq!(answer.header("warning"), "");
    assert_eq!(answer.expect(200)["status"], "Success");
}

/// A namespace is marked with a time and nothing else.
#[tokio::test]
async fn namespaces_have_no_grace_period() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin
        .create("/api/v1/namespaces", json!({"metadata": {"name": "n"}}))
        .await;
    let marked = admin.delete("/api/v1/namespaces/n").await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"].get("deletionGracePeriodSeconds"), None);
}

/// A name stays taken while its object waits for finalizers, and the update that takes the last one away is answered with
/// what it made of the object.
#[tokio::test]
async fn a_name_is_taken_until_the_object_is_gone() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut held = configmap("a");
    held["metadata"]["finalizers"] = json!(["example.com/f"]);
    admin.create(CONFIGMAPS, held).await;
    let path = format!("{CONFIGMAPS}/a");
    let new = configmap("a");
    let again = || admin.post(CONFIGMAPS, &new);
    let why = "configmaps \"a\" already exists";
    again().await.refused(409, "AlreadyExists", why);
    admin.delete(&path).await.expect(200);
    let why = format!("object is being deleted: {why}");
    again().await.refused(409, "AlreadyExists", &why);
    let nothing = json!({"metadata": {"finalizers": null}});
    let last = admin.merge(&path, nothing).await.expect(200);
    assert_eq!(last["metadata"].get("finalizers"), None);
    assert!(last["metadata"]["deletionTimestamp"].is_string());
    admin.get(&path).await.expect(404);
    again().await.expect(201);
}
