//! The life of a namespace.

use super::*;

#[tokio::test]
async fn system_namespaces_are_there() {
    let cluster = Cluster::start().await;
    let list = cluster.admin().get("/api/v1/namespaces").await.expect(200);
    let names: Vec<&str> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["metadata"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
    cluster
        .admin()
        .delete("/api/v1/namespaces/default")
        .await
        .refused(
            403,
            "Forbidden",
            "namespaces \"default\" is forbidden: this namespace may not be deleted",
        );
}

#[tokio::test]
async fn deletion_is_finished_by_finalize() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin
        .create("/api/v1/namespaces", json!({"metadata": {"name": "ns"}}))
        .await;
    assert_eq!(
        created["metadata"]["labels"]["kubernetes.io/metadata.name"],
        "ns"
    );
    assert_eq!(
        (&created["spec"]["finalizers"], &created["status"]["phase"]),
        (&json!(["kubernetes"]), &json!("Active"))
    );
    let path = "/api/v1/namespaces/ns";
    let maps = format!("{path}/configmaps");
    admin.create(&maps, configmap("a")).await;
    let marked = admin.delete(path).await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused = admin.post(&maps, &configmap("b")).await;
    let status = refused.refused(
        403,
        "Forbidden",
        "configmaps \"b\" is forbidden: unable to create new content in namespace ns because it is being terminated",
    );
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    // Not even events are let in: what came after the last sweep would stay.
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Namespace", "name": "ns", "namespace": "ns"}});
    let refused = admin.post(&format!("{path}/events"), &event).await;
    let status = refused.expect(403);
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    // An update cannot take the finalizer away, only `finalize` can.
    let kept = admin
        .merge(path, json!({"spec": {"finalizers": []}}))
        .await
        .expect(200);
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]));
    let mut done = kept.clone();
    done["spec"] = json!({});
    admin
        .put(&format!("{path}/finalize"), &done)
        .await
        .expect(200);
    admin
        .get(path)
        .await
        .refused(404, "NotFound", "namespaces \"ns\" not found");
}

/// What waited in a line finds the namespace as it is then.
#[tokio::test]
async fn a_namespace_that_goes_meanwhile_lets_nothing_in() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/api/v1/namespaces/ns";
    let namespace = json!({"metadata": {"name": "ns"}});
    admin.create("/api/v1/namespaces", namespace).await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}});
    admin.create(&format!("{path}/resourcequotas"), quota).await;
    let api = cluster.server.api();
    let line = sampan_store::Key::new("resourcequotas", "ns/");
    let ends = tokio::time::Instant::now() + PATIENCE;
    let head = api.lines.head(&line, ends).await.expect("nobody before");
    let (maps, map) = (format!("{path}/configmaps"), configmap("a"));
    let meanwhile = async {
        // Time enough to get in line.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        admin.delete(path).await.expect(200);
        drop(head);
    };
    let (answer, ()) = futures::join!(admin.post(&maps, &map), meanwhile);
    answer.refused(
        403,
        "Forbidden",
        "configmaps \"a\" is forbidden: unable to create new content in namespace ns because it is being terminated",
    );
}
