//! What the agent of a node may do, and what not although roles or the node authorizer would let it.

use super::*;

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn an_agent_creates_what_is_its_own() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let node = |name: &str| json!({"metadata": {"name": name}});
    let created = agent.create(NODES, node("n1")).await;
    agent.post(NODES, &node("n2")).await.refused(
        403,
        "Forbidden",
        "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"",
    );
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    agent.post(leases, &node("n2")).await.expect(403);
    agent.create(leases, node("n1")).await;

    let mirror = json!({
        "metadata": {
            "name": "static-n1", "annotations": {"kubernetes.io/config.mirror": "x"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Node", "name": "n1", "controller": true,
                "uid": created["metadata"]["uid"],
            }],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    });
    let changed = |path: &str, value: Value| {
        let mut pod = mirror.clone();
        sampan_api::object::set(&mut pod, path, value);
        pod
    };
    let env = json!([{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]);
    for (pod, why) in [
        (
            changed("metadata.annotations", json!({})),
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods",
        ),
        (
            changed("spec.nodeName", json!("n2")),
            "node \"n1\" can only create pods with spec.nodeName set to itself",
        ),
        (
            changed("metadata.ownerReferences", json!([])),
            "node \"n1\" can only create pods with an owner reference set to itself",
        ),
        (
            changed("spec.serviceAccountName", json!("default")),
            "node \"n1\" can not create pods that reference serviceaccounts",
        ),
        (
            changed("spec.containers", env),
            "node \"n1\" can not create pods that reference secrets",
        ),
        (
            changed(
                "spec.volumes",
                json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
            ),
            "node \"n1\" can not create pods that reference persistentvolumeclaims",
        ),
    ] {
        let why = format!("pods \"static-n1\" is forbidden: {why}");
        agent.post(PODS, &pod).await.refused(403, "Forbidden", &why);
    }
    agent.create(PODS, mirror.clone()).await;
    // It evicts its own pods and no others.
    let mut other = changed("spec.nodeName", json!("n2"));
    other["metadata"] = json!({"name": "p"});
    admin.create(PODS, other).await;
    let evict = |name: &str| {
        let body =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        (format!("{PODS}/{name}/eviction"), body)
    };
    let (path, body) = evict("p");
    agent.post(&path, &body).await.expect(403);
    let (path, body) = evict("static-n1");
    agent.post(&path, &body).await.expect(201);
}

/// Nothing that would draw pods to it.
#[tokio::test]
async fn an_agent_does_not_choose_its_pods() {
    let cluster = Cluster::start().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let node = |labels: Value| json!({"metadata": {"name": "n1", "labels": labels}});
    let foreign = node(json!({
        "node-role.kubernetes.io/control-plane": "", "kubernetes.io/os": "linux", "own": "x",
        "x.node-restriction.kubernetes.io/trusted": "yes",
    }));
    agent.post(NODES, &foreign).await.refused(
        403,
        "Forbidden",
        "nodes \"n1\" is forbidden: node \"n1\" is not allowed to set the following labels: \
         node-role.kubernetes.io/control-plane, x.node-restriction.kubernetes.io/trusted",
    );
    let own = json!({
        "kubernetes.io/os": "linux", "node.kubernetes.io/x": "y", "a.kubelet.kubernetes.io/x": "y",
        "topology.kubernetes.io/zone": "z", "example.com/rack": "1",
    });
    agent.create(NODES, node(own)).await;
    let path = format!("{NODES}/n1");
    let taint = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
    admin.merge(&path, taint).await.expect(200);
    let role = json!({"metadata": {"labels": {"node-role.kubernetes.io/x": "", "own": "y"}}});
    admin.merge(&path, role.clone()).await.expect(200);

    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
    for (patch, why) in [
        (
            json!({"spec": {"taints": null}}),
            "node \"n1\" is not allowed to modify taints",
        ),
        (
            json!({"metadata": {"ownerReferences": owner}}),
            "node \"n1\" is not allowed to modify ownerReferences",
        ),
        (
            json!({"metadata": {"labels": {"node-role.kubernetes.io/x": null}}}),
            "is not allowed to modify labels: node-role.kubernetes.io/x",
        ),
        (
            json!({"metadata": {"labels": {"kubernetes.io/role": "x"}}}),
            "is not allowed to modify labels: kubernetes.io/role",
        ),
    ] {
        let why = format!("nodes \"n1\" is forbidden: {why}");
        for part in ["", "/status"] {
            // Status writes leave the spec alone.
            if !(part == "/status" && patch.get("spec").is_some()) {
                let path = format!("{path}{part}");
                let answer = agent.merge(&path, patch.clone()).await;
                answer.refused(403, "Forbidden", &why);
            }
        }
    }
    // What it leaves as it is does not matter.
    agent.merge(&path, role).await.expect(200);
    let labels = json!({"metadata": {"labels": {"own": "z", "kubernetes.io/arch": "wasm"}}});
    agent.merge(&path, labels).await.expect(200);
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let status = format!("{path}/status");
    agent.merge(&status, ready).await.expect(200);
}

/// Of pods and claims it tells how they are, and nothing else.
#[tokio::test]
async fn an_agent_writes_no_more_than_a_status() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("n1");
    bound["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    admin.create(PODS, bound).await;
    let status = format!("{PODS}/p/status");
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    agent.merge(&status, labels.clone()).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node \"n1\" cannot update labels through pod status",
    );
    let settings =
        json!({"metadata": {"annotations": {"sampan.dev/wasi-config.c": "configmap/x"}}});
    agent.merge(&status, settings).await.expect(403);
    let claims = json!({"status": {"resourceClaimStatuses": [{"name": "x"}]}});
    agent.merge(&status, claims).await.expect(403);
    let running = json!({"status": {"phase": "Running"}});
    agent.merge(&status, running).await.expect(200);

    let path = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = json!({
        "metadata": {"name": "c", "finalizers": ["example.com/keep"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    admin.create(path, claim).await;
    let status = format!("{path}/c/status");
    for patch in [
        labels,
        json!({"metadata": {"finalizers": null}}),
        json!({"status": {"phase": "Lost"}}),
    ] {
        agent.merge(&status, patch).await.refused(
            403,
            "Forbidden",
            "persistentvolumeclaims \"c\" is forbidden: node \"n1\" is not allowed to update fields \
             other than status.capacity and status.conditions",
        );
    }
    let capacity = json!({"status": {"capacity": {"storage": "1Gi"}}});
    agent.merge(&status, capacity).await.expect(200);
}
