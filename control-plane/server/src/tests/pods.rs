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
    // Who replaces the list without them takes none away.
    let one = json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}});
    let changed = admin.merge(&format!("{PODS}/p"), one).await.expect(200);
    assert_eq!(
        changed["spec"]["tolerations"].as_array().map(Vec::len),
        Some(3)
    );
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
async fn pods_find_the_server() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let made = admin.create(PODS, pod("p")).await;
    let volume = &made["spec"]["volumes"][0];
    let name = volume["name"].as_str().expect("a name");
    assert!(
        name.starts_with("kube-api-access-") && name.len() == 21,
        "{name}"
    );
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]})
    );
    assert_eq!(
        made["spec"]["containers"][0]["volumeMounts"],
        json!([{"name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}])
    );
    // The pod decides, then its account.
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let shy = json!({"metadata": {"name": "shy"}, "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "s"}]});
    admin.create(accounts, shy).await;
    for (account, own, mounts) in [
        ("shy", None, false),
        ("shy", Some(true), true),
        ("default", Some(false), false),
    ] {
        let mut pod = pod(&format!("{account}-{}", own.map_or(0, i32::from)));
        pod["spec"]["serviceAccountName"] = json!(account);
        if let Some(own) = own {
            pod["spec"]["automountServiceAccountToken"] = json!(own);
        }
        let made = admin.create(PODS, pod).await;
        assert_eq!(
            made["spec"].get("volumes").is_some(),
            mounts,
            "{account} {own:?}"
        );
        let secrets = if account == "shy" {
            json!([{"name": "s"}])
        } else {
            Value::Null
        };
        assert_eq!(made["spec"]["imagePullSecrets"], secrets);
    }
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
    let mut wrong = binding.clone();
    wrong["target"]["kind"] = json!("ReplicaSet");
    admin.post(&path, &wrong).await.refused(
        422,
        "Invalid",
        "Binding \"p\" is invalid: target.kind: Unsupported value: \"ReplicaSet\": supported values: \"Node\", \"<empty>\"",
    );
    wrong = binding.clone();
    wrong["metadata"]["namespace"] = json!("other");
    admin.post(&path, &wrong).await.expect(400);
    let waits = json!({"status": {"nominatedNodeName": "n1"}});
    let waiting = admin.merge(&format!("{PODS}/p/status"), waits).await;
    assert_eq!(waiting.expect(200)["status"]["nominatedNodeName"], "n1");
    let bound = admin.post(&path, &binding).await.expect(201);
    assert_eq!(
        bound,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
    );
    let read = admin.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(read["spec"]["nodeName"], "n1");
    assert_eq!(read["status"].get("nominatedNodeName"), None);
    let condition = &read["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    let refused = admin.post(&path, &binding).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"",
    );
    assert_eq!(refused["details"]["kind"], "pods/binding");
    admin
        .post(
            "/api/v1/namespaces/default/bindings",
            &json!({"metadata": {"name": "zz"}, "target": {"name": "n1"}}),
        )
        .await
        .expect(404);
}

#[tokio::test]
async fn labels_come_with_the_node() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let zone = "topology.kubernetes.io/zone";
    let labels = json!({zone: "z", "topology.kubernetes.io/region": "r", "rack": "1"});
    let node = json!({"metadata": {"name": "n1", "labels": labels}});
    admin.create("/api/v1/nodes", node).await;
    let mut waiting = pod("p");
    waiting["metadata"]["labels"] = json!({"app": "a", zone: "mine"});
    let made = admin.create(PODS, waiting.clone()).await;
    assert_eq!(made["metadata"]["labels"], waiting["metadata"]["labels"]);
    let binding = json!({
        "metadata": {"name": "p", "labels": {"own": "yes"}},
        "target": {"kind": "Node", "name": "n1"},
    });
    let path = format!("{PODS}/p/binding");
    admin.post(&path, &binding).await.expect(201);
    let bound = admin.get(&format!("{PODS}/p")).await.expect(200);
    let expected =
        json!({"app": "a", "own": "yes", zone: "z", "topology.kubernetes.io/region": "r"});
    assert_eq!(bound["metadata"]["labels"], expected);
    // One that names its node itself, which may not be there.
    for (name, node, zone_of_node) in [("on", "n1", json!("z")), ("off", "n2", Value::Null)] {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!(node);
        let made = admin.create(PODS, pod).await;
        assert_eq!(made["metadata"]["labels"][zone], zone_of_node, "{name}");
    }
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
    let path = format!("{PODS}/p/eviction");
    // Who does not say which pod is meant has not said enough.
    admin.post(&path, &json!({})).await.refused(
        400,
        "BadRequest",
        "name in URL does not match name in Eviction object",
    );
    let answer = admin.post(&path, &eviction).await.expect(201);
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
    // Until it says a port it listens on the usual one.
    for (said, port) in [(0, 10250), (1, 1)] {
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": said}},
        }});
        let path = "/api/v1/nodes/n1/status";
        admin.merge(path, status).await.expect(200);
        let why = format!(
            "Internal error occurred: the node n1 at 127.0.0.1:{port} is not reachable: ..."
        );
        let log = admin.get(&format!("{PODS}/q/log")).await;
        log.refused(500, "InternalError", &why);
    }
}

#[tokio::test]
async fn evictions_ask_the_budget() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    for name in ["a", "b", "c"] {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = json!({"app": "web"});
        pod["spec"]["nodeName"] = json!("n1");
        admin.create(PODS, pod).await;
        let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        admin
            .merge(&format!("{PODS}/{name}/status"), ready)
            .await
            .expect(200);
    }
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    admin
        .create(budgets, json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}))
        .await;
    let evict = |name: &str| {
        let body =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        (format!("{PODS}/{name}/eviction"), body)
    };
    let later = "Cannot evict pod as it would violate the pod's disruption budget.";
    let (path, body) = evict("a");
    let status = admin
        .post(&path, &body)
        .await
        .refused(429, "TooManyRequests", later);
    assert_eq!(
        status["details"]["causes"],
        json!([{"reason": "DisruptionBudget", "message": "The disruption budget web is still being processed by the server."}])
    );
    let counted = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "desiredHealthy": 2, "currentHealthy": 3, "expectedPods": 3}});
    admin
        .merge(&format!("{budgets}/web/status"), counted)
        .await
        .expect(200);
    // A dry run takes nothing.
    admin
        .post(&format!("{path}?dryRun=All"), &body)
        .await
        .expect(201);
    admin.post(&path, &body).await.expect(201);
    let budget = admin.get(&format!("{budgets}/web")).await.expect(200);
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["a"].is_string());
    let gone = admin.get(&format!("{PODS}/a")).await.expect(200);
    let conditions = gone["status"]["conditions"].as_array().expect("conditions");
    assert!(
        conditions.iter().any(
            |one| one["type"] == "DisruptionTarget" && one["reason"] == "EvictionByEvictionAPI"
        )
    );
    assert!(gone["metadata"]["deletionTimestamp"].is_string());
    let (path, body) = evict("b");
    let refused = admin.post(&path, &body).await;
    let status = refused.refused(429, "TooManyRequests", later);
    assert_eq!(
        status["details"]["causes"][0]["message"],
        "The disruption budget web needs 2 healthy pods and has 3 currently"
    );
    // A pod that is not ready disrupts nothing while enough are.
    let unready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    admin
        .merge(&format!("{PODS}/c/status"), unready)
        .await
        .expect(200);
    let (path, body) = evict("c");
    admin.post(&path, &body).await.expect(201);
}

#[tokio::test]
async fn what_is_odd_is_told() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let variables = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let hides = "299 - \"spec.containers[0].env[1]: hides previous definition of \\\"A\\\", which may be dropped when using apply\"";
    let mut odd = pod("odd");
    odd["spec"]["containers"][0]["env"] = variables;
    let answer = admin.post(PODS, &odd).await;
    answer.expect(201);
    assert_eq!(answer.header("warning"), hides);
    let mut same = pod("same");
    same["spec"]["terminationGracePeriodSeconds"] = json!(-1);
    let answer = admin.apply(&format!("{PODS}/same"), "me", &same).await;
    answer.expect(201);
    assert!(
        answer
            .header("warning")
            .contains("spec.terminationGracePeriodSeconds: must be >= 0")
    );
    assert_eq!(admin.post(PODS, &pod("plain")).await.header("warning"), "");
    // Not of what is refused, nor of what a pod has by its defaults.
    odd["metadata"]["name"] = json!("a_b");
    let refused = admin.post(PODS, &odd).await;
    refused.expect(422);
    assert_eq!(refused.header("warning"), "");
    let mut host = pod("host");
    host["spec"]["hostNetwork"] = json!(true);
    host["spec"]["containers"][0]["ports"] = json!([
        {"containerPort": 80, "hostIP": "10.0.0.1"}, {"containerPort": 80, "hostIP": "10.0.0.2"}]);
    let host = admin.post(PODS, &host).await;
    host.expect(201);
    assert_eq!(host.header("warning"), "");
    // Of a template, whenever something about it changes and however; of a pod not again.
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let mut set = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "odd"}, "spec": {
        "selector": {"matchLabels": {"app": "odd"}}, "template": {"metadata": odd["metadata"], "spec": odd["spec"]}}});
    set["spec"]["template"]["metadata"] = json!({"labels": {"app": "odd"}});
    let hides = hides.replace("spec.containers", "spec.template.spec.containers");
    let made = admin.post(path, &set).await;
    assert_eq!(made.header("warning"), hides);
    let path = format!("{path}/odd");
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(admin.merge(&path, label).await.header("warning"), "");
    let replicas = |count: i64| json!({"spec": {"replicas": count}});
    assert_eq!(
        admin.merge(&path, replicas(2)).await.header("warning"),
        hides
    );
    let scaled = admin.merge(&format!("{path}/scale"), replicas(3)).await;
    assert_eq!(scaled.header("warning"), hides);
    set["spec"]["replicas"] = json!(4);
    assert_eq!(admin.put(&path, &set).await.header("warning"), hides);
    let paused = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "odd"},
        "spec": {"paused": true}});
    let applied = admin.apply(&path, "me", &paused).await;
    applied.expect(200);
    assert_eq!(applied.header("warning"), hides);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let changed = admin.merge(&format!("{PODS}/odd"), label).await;
    changed.expect(200);
    assert_eq!(changed.header("warning"), "");
}
