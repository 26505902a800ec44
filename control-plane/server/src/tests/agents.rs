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
    let csi_nodes = "/apis/storage.k8s.io/v1/csinodes";
    let csi_node = |name: &str| json!({"metadata": {"name": name}, "spec": {"drivers": []}});
    agent.post(csi_nodes, &csi_node("n2")).await.refused(
        403,
        "Forbidden",
        "csinodes.storage.k8s.io \"n2\" is forbidden: can only access CSINode with the same name as the requesting node",
    );
    agent.create(csi_nodes, csi_node("n1")).await;

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
    let extended = json!({"status": {"extendedResourceClaimStatus": {
        "resourceClaimName": "other", "requestMappings": []}}});
    agent.merge(&status, extended).await.refused(
        403,
        "Forbidden",
        "pods \"p\" is forbidden: node \"n1\" cannot update extended resource claim status",
    );
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

/// What a volume offers, and to whom, would draw pods to its node.
#[tokio::test]
async fn an_agent_says_of_its_volumes_only_that_they_are_gone() {
    const OURS: &str = "sampan.dev/local-volume";
    let cluster = Cluster::start().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let here = json!([{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]);
    let volume = json!({
        "metadata": {"name": "v", "finalizers": ["example.com/other", OURS]},
        "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": "local.sampan.dev", "volumeHandle": "v"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": here}]}},
        },
    });
    admin.create("/api/v1/persistentvolumes", volume).await;
    let path = "/api/v1/persistentvolumes/v";
    for patch in [
        json!({"spec": {"claimRef": {"namespace": "payments", "name": "data-db-0"}}}),
        json!({"spec": {"capacity": {"storage": "1Ti"}}}),
        json!({"spec": {"storageClassName": "fast"}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"metadata": {"finalizers": [OURS]}}),
        json!({"metadata": {"finalizers": ["example.com/other", OURS, "example.com/new"]}}),
    ] {
        agent.merge(path, patch).await.refused(
            403,
            "Forbidden",
            "persistentvolumes \"v\" is forbidden: node \"n1\" is not allowed to update fields \
             other than its finalizer \"sampan.dev/local-volume\"",
        );
    }
    let others = ["example.com/other", "kubernetes.io/pv-protection"];
    let gone = json!({"metadata": {"finalizers": others}});
    agent.merge(path, gone).await.expect(200);
}

#[tokio::test]
async fn an_agent_asks_for_certificates_in_its_own_name() {
    let cluster = Cluster::start().await;
    let agent = cluster.client(UserInfo::node("n1"));
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let request = |name: &str, signer: &str, node: &str| {
        let request = access::certificate_request(&format!("system:node:{node}"), "system:nodes");
        json!({"metadata": {"name": name}, "spec": {
            "request": request, "signerName": signer,
            "usages": ["digital signature", "server auth"]}})
    };
    for signer in [
        "kubernetes.io/kubelet-serving",
        "kubernetes.io/kube-apiserver-client-kubelet",
    ] {
        agent
            .post(requests, &request("a", signer, "n2"))
            .await
            .refused(
                403,
                "Forbidden",
                "certificatesigningrequests.certificates.k8s.io \"a\" is forbidden: \
             can only create a node CSR with CN=system:node:n1",
            );
    }
    let serving = "kubernetes.io/kubelet-serving";
    agent.create(requests, request("a", serving, "n1")).await;
    agent
        .create(requests, request("b", "example.com/other", "n2"))
        .await;
    // Others may ask for nodes.
    cluster
        .admin()
        .create(requests, request("c", serving, "n2"))
        .await;
}

/// It is no node, and no other user's rules are its.
#[tokio::test]
async fn an_agent_of_no_node() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("")));
    admin.create(PODS, pod("p")).await;
    agent.get("/api/v1/pods?fieldSelector=spec.nodeName%3D").await.refused(
        403,
        "Forbidden",
        "pods is forbidden: User \"system:node:\" cannot list resource \"pods\" in API group \"\" \
         at the cluster scope: unknown node for user \"system:node:\"",
    );
    let binding = json!({
        "metadata": {"name": "b"},
        "subjects": [{"kind": "User", "name": "system:node:", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    admin.create(bindings, binding).await;
    let why = "could not determine node from user \"system:node:\"";
    let node = json!({"metadata": {"name": "n"}});
    let created = agent.post(NODES, &node).await;
    created.refused(
        403,
        "Forbidden",
        &format!("nodes \"n\" is forbidden: {why}"),
    );
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let merged = agent.merge(&format!("{PODS}/p"), labels).await;
    merged.refused(403, "Forbidden", &format!("pods \"p\" is forbidden: {why}"));
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let token = agent.post(path, &json!({})).await;
    let why = format!("serviceaccounts \"default\" is forbidden: {why}");
    token.refused(403, "Forbidden", &why);
}

/// The authorizer knows only what was there before the body, which an agent sends when it likes.
#[tokio::test]
async fn an_agent_may_not_hold_its_body_back() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    const SLICES: &str = "/apis/resource.k8s.io/v1/resourceslices";
    const VOLUMES: &str = "/api/v1/persistentvolumes";
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let volume = json!({
        "metadata": {"name": "p"},
        "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": "d.example.com", "volumeHandle": "v"},
        },
    });
    let slice = json!({
        "metadata": {"name": "p"},
        "spec": {
            "nodeName": "n2", "driver": "d.example.com",
            "pool": {"name": "n2", "generation": 1, "resourceSliceCount": 1},
        },
    });
    let mut elsewhere = pod("p");
    elsewhere["spec"]["nodeName"] = json!("n2");
    let finalizers = json!({"metadata": {"finalizers": []}});
    let pods = "pods \"p\" is forbidden: node";
    let slices = "resourceslices.resource.k8s.io \"p\" is forbidden: can only";
    let same = "ResourceSlice with the same NodeName as the requesting node";
    for (method, collection, part, body, object, why) in [
        ("DELETE", PODS, "", json!({}), &elsewhere,
         format!("{pods} \"n1\" can only delete pods with spec.nodeName set to itself")),
        ("POST", PODS, "/eviction", eviction, &elsewhere,
         format!("{pods} n1 can only evict pods with spec.nodeName set to itself")),
        ("PATCH", PODS, "/status", json!({"status": {"phase": "Failed"}}), &elsewhere,
         format!("{pods} \"n1\" can only update pod status for pods with spec.nodeName set to itself")),
        ("DELETE", SLICES, "", json!({}), &slice, format!("{slices} delete {same}")),
        ("PATCH", SLICES, "", finalizers.clone(), &slice, format!("{slices} update {same}")),
        ("PATCH", VOLUMES, "", finalizers, &volume,
         "persistentvolumes \"p\" is forbidden: node \"n1\" can only update volumes that lie on itself".to_owned()),
    ] {
        let path = format!("{collection}/p");
        let (authorized, seen) = tokio::sync::oneshot::channel();
        let (held, rest) = tokio::sync::oneshot::channel::<Bytes>();
        // Read for the first time once the request was authorized.
        let body_stream = futures::stream::once(async move {
            authorized.send(()).expect("the test waits");
            rest.await
        });
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let (path_of, headers) = (format!("{path}{part}"), [("content-type", kind)]);
        let request = agent.send(method, &path_of, &headers, Body::from_stream(body_stream));
        let meanwhile = async {
            seen.await.expect("the body is asked for");
            admin.create(collection, object.clone()).await;
            held.send(body.to_string().into()).expect("the request waits");
        };
        let (answer, ()) = futures::join!(request, meanwhile);
        answer.refused(403, "Forbidden", &why);
        admin.get(&path).await.expect(200);
        admin.delete(&format!("{path}?gracePeriodSeconds=0")).await.expect(200);
    }
}
