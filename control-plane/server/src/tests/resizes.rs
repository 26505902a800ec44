//! Resizes of pods that have their node.

use super::*;

#[tokio::test]
async fn a_node_resizes_as_a_whole_what_it_says_it_can() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let mut whole = pod("p");
    whole["spec"]["resources"] = json!({"requests": {"cpu": "1"}});
    admin.create(PODS, whole).await;
    let resize = |cpu: &str| json!({"spec": {"resources": {"requests": {"cpu": cpu}}}});
    let path = format!("{PODS}/p/resize");
    let resized = admin.merge(&path, resize("2")).await.expect(200);
    assert_eq!(resized["spec"]["resources"]["requests"]["cpu"], "2");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    admin.create(&format!("{PODS}/p/binding"), binding).await;
    admin.merge(&path, resize("3")).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node \"n1\" not found",
    );
    let nodes = "/api/v1/nodes";
    let allocatable = json!({"cpu": "4", "memory": "1Gi"});
    let node = json!({"metadata": {"name": "n1"}, "status": {"allocatable": allocatable}});
    admin.create(nodes, node).await;
    admin.merge(&path, resize("100000")).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: pod update requires features InPlacePodLevelResourcesVerticalScaling which are not available on node \"n1\"",
    );
    // Its containers are resized as ever, and nothing else changes the whole.
    let containers = json!([{"name": "c", "resources": {"requests": {"cpu": "500m"}}}]);
    let containers = json!({"spec": {"containers": containers}});
    let kind = "strategic-merge-patch";
    admin.patch(&path, kind, &containers).await.expect(200);
    admin
        .merge(&format!("{PODS}/p"), resize("3"))
        .await
        .expect(422);
    let declared =
        json!({"status": {"declaredFeatures": ["InPlacePodLevelResourcesVerticalScaling"]}});
    admin
        .merge(&format!("{nodes}/n1/status"), declared)
        .await
        .expect(200);
    admin.merge(&path, resize("3")).await.expect(200);
    // More than the node has is refused at once.
    let refused = admin.merge(&path, resize("5")).await;
    refused.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 5000, allocatable: 4000",
    );
}

#[tokio::test]
async fn a_pod_is_not_resized_beyond_its_node() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let nodes = "/api/v1/nodes";
    let labels = json!({"kubernetes.io/os": "linux"});
    let allocatable = json!({"cpu": "4", "memory": "1Gi"});
    let node = json!({"metadata": {"name": "n1", "labels": labels}, "status": {"allocatable": allocatable}});
    admin.create(nodes, node).await;
    let mut small = pod("p");
    let requests = json!({"cpu": "1", "memory": "1Mi"});
    small["spec"]["containers"][0]["resources"] = json!({"requests": requests});
    small["spec"]["nodeName"] = json!("n1");
    admin.create(PODS, small).await;
    let resize = |cpu: &str, memory: &str| {
        let resources = json!({"requests": {"cpu": cpu, "memory": memory}});
        json!({"spec": {"containers": [{"name": "c", "resources": resources}]}})
    };
    let path = format!("{PODS}/p/resize");
    let (admin, path, kind) = (&admin, &path, "strategic-merge-patch");
    let resized =
        async |cpu: &str, memory: &str| admin.patch(path, kind, &resize(cpu, memory)).await;
    let too_much = resized("4001m", "2Gi").await;
    let status = too_much.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node didn't have enough allocatable resources: \
         cpu, requested: 4001, allocatable: 4000; memory, requested: 2147483648, allocatable: 1073741824",
    );
    assert_eq!(
        status["details"]["causes"],
        json!([{"reason": "NodeCapacity"}])
    );
    resized("4", "1Gi").await.expect(200);
    let labels = json!({"metadata": {"labels": {"kubernetes.io/os": "windows"}}});
    admin
        .merge(&format!("{nodes}/n1"), labels)
        .await
        .expect(200);
    let other = resized("2", "1Gi").await;
    other.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: pod resize is only supported on linux nodes, node \"n1\" is \"windows\"",
    );
    // What changes nothing is no resize.
    resized("4", "1Gi").await.expect(200);
}
