//! Pods: admission, binding, graceful deletion.

use super::*;

#[tokio::test]
async fn admission() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut other = pod("q");
    other["spec"]["serviceAccountName"] = json!("builder");
    let refused = admin.post(PODS, &other).await;
    let status = refused.refused(
        403,
        "Forbidden",
        "pods \"q\" is forbidden: error looking up service account default/builder: serviceaccount \"builder\" not found",
    );
    assert_eq!(status["details"], json!({"name": "q", "kind": "pods"}));
    // The default account of a new namespace is on its way: the pod waits for it.
    let account = json!({"metadata": {"name": "default"}});
    let new = pod("p");
    let (created, _) = tokio::join!(
        admin.post(PODS, &new),
        admin.create("/api/v1/namespaces/default/serviceaccounts", account),
    );
    let created = created.expect(201);
    let spec = &created["spec"];
    assert_eq!(
        (
            &spec["serviceAccountName"],
            &spec["serviceAccount"],
            &spec["priority"]
        ),
        (&json!("default"), &json!("default"), &json!(0))
    );
    assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (
            &spec["restartPolicy"],
            &spec["schedulerName"],
            &spec["dnsPolicy"]
        ),
        (
            &json!("Always"),
            &json!("default-scheduler"),
            &json!("ClusterFirst")
        )
    );
    assert_eq!(
        created["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );

    let mut classed = pod("r");
    classed["spec"]["runtimeClassName"] = json!("wasm");
    admin.post(PODS, &classed).await.refused(
        403,
        "Forbidden",
        "pods \"r\" is forbidden: pod rejected: RuntimeClass \"wasm\" not found",
    );
    let class = json!({"metadata": {"name": "wasm"}, "handler": "wasm", "overhead": {"podFixed": {"memory": "1Mi"}}});
    admin
        .create("/apis/node.k8s.io/v1/runtimeclasses", class)
        .await;
    let created = admin.create(PODS, classed).await;
    assert_eq!(created["spec"]["overhead"]["memory"], "1Mi");
    admin
        .post(PODS, &json!({"metadata": {"name": "x"}, "spec": {}}))
        .await
        .refused(
            422,
            "Invalid",
            "Pod \"x\" is invalid: spec.containers: Required value",
        );
}

#[tokio::test]
async fn binding() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    let path = format!("{PODS}/p/binding");
    let wrong = json!({"metadata": {"name": "p", "uid": "other"}, "target": {"name": "n1"}});
    admin.post(&path, &wrong).await.expect(409);
    admin
        .post(&path, &json!({"metadata": {"name": "p"}, "target": {}}))
        .await
        .expect(422);
    let bound = admin.post(&path, &binding).await.expect(201);
    assert_eq!(
        bound,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
    );
    let read = admin.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(read["spec"]["nodeName"], "n1");
    let condition = &read["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    admin.post(&path, &binding).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"",
    );
    admin
        .post(
            "/api/v1/namespaces/default/bindings",
            &json!({"metadata": {"name": "zz"}, "target": {"name": "n1"}}),
        )
        .await
        .expect(404);
}

#[tokio::test]
async fn graceful_deletion() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let path = format!("{PODS}/p");
    // Nothing runs: gone at once, and the answer is the pod.
    let created = admin.create(PODS, pod("p")).await;
    let gone = admin.delete(&path).await.expect(200);
    assert_eq!(
        (&gone["kind"], &gone["metadata"]["uid"]),
        (&json!("Pod"), &created["metadata"]["uid"])
    );
    admin.get(&path).await.expect(404);
    // Bound: it gets its grace period, a second deletion shortens it, and the agent ends it.
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("n1");
    let created = admin.create(PODS, bound).await;
    let marked = admin.delete(&path).await.expect(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(
        admin
            .delete(&format!("{path}?gracePeriodSeconds=60"))
            .await
            .expect(200),
        marked
    );
    let shorter = admin
        .delete(&format!("{path}?gracePeriodSeconds=5"))
        .await
        .expect(200);
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    assert!(
        shorter["metadata"]["deletionTimestamp"].as_str()
            < marked["metadata"]["deletionTimestamp"].as_str()
    );
    let options =
        |uid: &Value| json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}).to_string();
    let json = [("content-type", "application/json")];
    admin
        .send("DELETE", &path, &json, options(&json!("another")))
        .await
        .expect(409);
    let agent = cluster.client(UserInfo::node("n1"));
    agent
        .send("DELETE", &path, &json, options(&created["metadata"]["uid"]))
        .await
        .expect(200);
    admin.get(&path).await.expect(404);
}

#[tokio::test]
async fn eviction_deletes() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let answer = admin
        .post(&format!("{PODS}/p/eviction"), &eviction)
        .await
        .expect(201);
    assert_eq!(answer["status"], "Success");
    admin.get(&format!("{PODS}/p")).await.expect(404);
}

#[tokio::test]
async fn logs_need_a_container_and_a_node() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let mut two = pod("p");
    two["spec"]["containers"] =
        json!([{"name": "a", "image": "i:v1"}, {"name": "b", "image": "i:v1"}]);
    admin.create(PODS, two).await;
    let path = format!("{PODS}/p/log");
    admin.get(&path).await.refused(
        400,
        "BadRequest",
        "a container name must be specified for pod p, choose one of: [a b]",
    );
    admin.get(&format!("{path}?container=x")).await.refused(
        400,
        "BadRequest",
        "container x is not valid for pod p",
    );
    admin
        .get(&format!("{path}?container=a&tailLines=-1"))
        .await
        .expect(422);
    let empty = admin.get(&format!("{path}?container=a")).await;
    assert_eq!((empty.status.as_u16(), empty.bytes.len()), (200, 0));
    let mut bound = pod("q");
    bound["spec"]["nodeName"] = json!("n1");
    admin.create(PODS, bound).await;
    admin
        .get(&format!("{PODS}/q/log"))
        .await
        .refused(404, "NotFound", "nodes \"n1\" not found");
    admin
        .create("/api/v1/nodes", json!({"metadata": {"name": "n1"}}))
        .await;
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }});
    admin
        .merge("/api/v1/nodes/n1/status", status)
        .await
        .expect(200);
    admin.get(&format!("{PODS}/q/log")).await.refused(
        500,
        "InternalError",
        "Internal error occurred: the node n1 at 127.0.0.1:1 is not reachable: ...",
    );
}
