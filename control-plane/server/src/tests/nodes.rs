//! What agents may read: what the pods on their nodes name, and nothing else of users'.

use serde_json::{Value, json};

use super::{Client, Cluster, PODS};
use crate::UserInfo;

const CORE: &str = "/api/v1/namespaces/default";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

fn pod(name: &str, node: &str, spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    if !node.is_empty() {
        pod["spec"]["nodeName"] = json!(node);
    }
    let spec = spec.as_object().cloned().unwrap_or_default();
    pod["spec"].as_object_mut().expect("a spec").extend(spec);
    pod
}

async fn refused(client: &Client, path: &str, who: &str, what: &str, why: &str) {
    let message = format!("{what} is forbidden: User \"system:node:{who}\" cannot {why}");
    client.get(path).await.refused(403, "Forbidden", &message);
}

/// Every way a pod names secrets, configmaps and claims.
fn full() -> Value {
    json!({
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{
            "name": "c", "image": "i",
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "k"}}},
            ],
        }],
        "initContainers": [{
            "name": "i", "image": "i",
            "envFrom": [{"secretRef": {"name": "from"}}, {"configMapRef": {"name": "from"}}],
        }],
        "volumes": [
            {"name": "s", "secret": {"secretName": "volume"}},
            {"name": "m", "configMap": {"name": "volume"}},
            {"name": "p", "projected": {"sources": [
                {"secret": {"name": "projected"}}, {"configMap": {"name": "projected"}}]}},
            {"name": "f", "csi": {"driver": "d.example.com", "nodePublishSecretRef": {"name": "csi"}}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}}},
        ],
        "resourceClaims": [{"name": "r", "resourceClaimName": "device"}],
    })
}

#[tokio::test]
async fn a_node_reads_what_its_pods_name() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let other = cluster.client(UserInfo::node("n2"));
    let mut paths = vec![format!("{CORE}/serviceaccounts/default")];
    for (kind, names) in [
        (
            "secrets",
            &["pull", "env", "from", "volume", "projected", "csi"][..],
        ),
        ("configmaps", &["env", "from", "volume", "projected"][..]),
        ("persistentvolumeclaims", &["claim", "p-own"][..]),
    ] {
        paths.extend(names.iter().map(|name| format!("{CORE}/{kind}/{name}")));
    }
    paths.push("/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/device".to_owned());
    for path in &paths {
        agent.get(path).await.expect(403);
    }
    // A pod that is nowhere yet gives nobody anything.
    admin.create(PODS, pod("p", "", full())).await;
    agent.get(&paths[1]).await.expect(403);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    admin
        .post(&format!("{PODS}/p/binding"), &binding)
        .await
        .expect(201);
    for path in &paths {
        // What it names need not be there.
        let status = agent.get(path).await.status;
        assert!(matches!(status.as_u16(), 200 | 404), "{path}: {status}");
        other.get(path).await.expect(403);
    }
    // Watched by name, and not otherwise.
    let named = format!("{CORE}/secrets?fieldSelector=metadata.name%3Denv");
    agent.get(&named).await.expect(200);
    refused(
        &agent,
        &format!("{CORE}/secrets"),
        "n1",
        "secrets",
        "list resource \"secrets\" in API group \"\" in the namespace \"default\": No Object name found",
    )
    .await;
    refused(
        &agent,
        "/api/v1/secrets?fieldSelector=metadata.name%3Denv",
        "n1",
        "secrets \"env\"",
        "list resource \"secrets\" in API group \"\" at the cluster scope: can only read namespaced object of this type",
    )
    .await;
    refused(
        &agent,
        &format!("{CORE}/secrets/unnamed"),
        "n1",
        "secrets \"unnamed\"",
        "get resource \"secrets\" in API group \"\" in the namespace \"default\": no relationship found between node 'n1' and this object",
    )
    .await;
    agent
        .delete(&format!("{CORE}/secrets/env"))
        .await
        .expect(403);
    admin
        .delete(&format!("{PODS}/p?gracePeriodSeconds=0"))
        .await
        .expect(200);
    for path in &paths {
        agent.get(path).await.expect(403);
    }
}

#[tokio::test]
async fn two_pods_name_one_object_and_both_count() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let names = json!({"imagePullSecrets": [{"name": "s"}]});
    for name in ["a", "b"] {
        admin.create(PODS, pod(name, "n1", names.clone())).await;
    }
    let secret = format!("{CORE}/secrets/s");
    agent.get(&secret).await.expect(404);
    admin
        .delete(&format!("{PODS}/a?gracePeriodSeconds=0"))
        .await
        .expect(200);
    agent.get(&secret).await.expect(404);
    // A pod of the same name elsewhere takes nothing along.
    admin
        .delete(&format!("{PODS}/b?gracePeriodSeconds=0"))
        .await
        .expect(200);
    admin.create(PODS, pod("b", "n2", names)).await;
    agent.get(&secret).await.expect(403);
    cluster
        .client(UserInfo::node("n2"))
        .get(&secret)
        .await
        .expect(404);
}

#[tokio::test]
async fn volumes_and_their_secrets_follow_claims() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let claim = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]);
    admin
        .create(PODS, pod("p", "n1", json!({"volumes": claim})))
        .await;
    let volume = |claim: &str| {
        json!({
            "metadata": {"name": "v"},
            "spec": {
                "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"],
                "claimRef": {"namespace": "default", "name": claim},
                "csi": {
                    "driver": "d.example.com", "volumeHandle": "h",
                    "nodeStageSecretRef": {"namespace": "default", "name": "stage"},
                    "controllerPublishSecretRef": {"namespace": "default", "name": "publish"},
                },
            },
        })
    };
    admin.create(VOLUMES, volume("claim")).await;
    agent.get(&format!("{VOLUMES}/v")).await.expect(200);
    agent
        .get(&format!("{CORE}/secrets/stage"))
        .await
        .expect(404);
    agent
        .get(&format!("{CORE}/secrets/publish"))
        .await
        .expect(403);
    admin.delete(&format!("{VOLUMES}/v")).await.expect(200);
    let unused = json!({"metadata": {"finalizers": null}});
    admin
        .merge(&format!("{VOLUMES}/v"), unused)
        .await
        .expect(200);
    agent
        .get(&format!("{CORE}/secrets/stage"))
        .await
        .expect(403);
    let mut other = volume("another");
    other["metadata"]["name"] = json!("w");
    admin.create(VOLUMES, other).await;
    agent.get(&format!("{VOLUMES}/w")).await.expect(403);
    agent
        .get(&format!("{CORE}/secrets/stage"))
        .await
        .expect(403);
}

/// What a pod names can grow by ephemeral containers.
#[tokio::test]
async fn ephemeral_containers_count() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    admin.create(PODS, pod("p", "n1", json!({}))).await;
    let secret = format!("{CORE}/secrets/s");
    agent.get(&secret).await.expect(403);
    let patch = json!({"spec": {"ephemeralContainers": [{
        "name": "e", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]}});
    let kind = [("content-type", "application/strategic-merge-patch+json")];
    admin
        .send(
            "PATCH",
            &format!("{PODS}/p/ephemeralcontainers"),
            &kind,
            patch.to_string(),
        )
        .await
        .expect(200);
    agent.get(&secret).await.expect(404);
}

/// Settings of guests come from ConfigMaps that annotations name, also later.
#[tokio::test]
async fn annotations_name_settings() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let mut named = pod("p", "n1", json!({}));
    named["metadata"]["annotations"] = json!({"sampan.dev/wasi-config": "env, configmap/a"});
    admin.create(PODS, named).await;
    let map = |name: &str| format!("{CORE}/configmaps/{name}");
    agent.get(&map("a")).await.expect(404);
    agent.get(&map("b")).await.expect(403);
    let more = json!({"metadata": {"annotations": {"sampan.dev/wasi-config.c": "configmap/b"}}});
    let path = format!("{PODS}/p");
    admin.merge(&path, more).await.expect(200);
    agent.get(&map("b")).await.expect(404);
    // What is not named any more is not read any more.
    let none = json!({"metadata": {"annotations": null}});
    admin.merge(&path, none).await.expect(200);
    agent.get(&map("a")).await.expect(403);
    agent.get(&map("b")).await.expect(403);
}

#[tokio::test]
async fn a_mirror_pod_gives_nothing() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let projected =
        |source: Value| json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]});
    for (spec, why) in [
        (
            json!({"serviceAccountName": "default"}),
            "reference service accounts",
        ),
        (
            json!({"imagePullSecrets": [{"name": "s"}]}),
            "reference secrets",
        ),
        (
            projected(json!({"secret": {"name": "s"}})),
            "reference secrets",
        ),
        (
            json!({"volumes": [{"name": "v", "csi": {"driver": "d.example.com", "nodePublishSecretRef": {"name": "s"}}}]}),
            "reference secrets",
        ),
        (
            projected(json!({"serviceAccountToken": {"path": "t"}})),
            "use ServiceAccountToken volume projections",
        ),
    ] {
        let mut mirror = pod("p", "n1", spec);
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        let why = format!("pods \"p\" is forbidden: a mirror pod may not {why}");
        admin
            .post(PODS, &mirror)
            .await
            .refused(403, "Forbidden", &why);
    }
    // What is stored all the same counts for nothing.
    let map = json!({"volumes": [{"name": "v", "configMap": {"name": "m"}}]});
    let mut mirror = pod("p", "n1", map);
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    admin.create(PODS, mirror).await;
    let agent = cluster.client(UserInfo::node("n1"));
    agent.get(&format!("{CORE}/configmaps/m")).await.expect(403);
}

#[tokio::test]
async fn nodes_and_pods_are_its_own() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    for name in ["n1", "n2"] {
        admin.create(PODS, pod(name, name, json!({}))).await;
        admin
            .create("/api/v1/nodes", json!({"metadata": {"name": name}}))
            .await;
    }
    agent.get("/api/v1/nodes/n1").await.expect(200);
    agent
        .get("/api/v1/nodes?fieldSelector=metadata.name%3Dn1")
        .await
        .expect(200);
    agent.get(&format!("{PODS}/n1")).await.expect(200);
    agent
        .get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
        .await
        .expect(200);
    agent
        .get(&format!("{PODS}?fieldSelector=metadata.name%3Dn1"))
        .await
        .expect(200);
    for (path, what, why) in [
        (
            "/api/v1/nodes",
            "nodes",
            "list resource \"nodes\" in API group \"\" at the cluster scope: node 'n1' cannot read all nodes, only its own Node object",
        ),
        (
            "/api/v1/nodes/n2",
            "nodes \"n2\"",
            "get resource \"nodes\" in API group \"\" at the cluster scope: node 'n1' cannot read 'n2', only its own Node object",
        ),
        (
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2",
            "pods",
            "list resource \"pods\" in API group \"\" at the cluster scope: can only list/watch pods with spec.nodeName field selector",
        ),
        (
            "/api/v1/namespaces/default/pods/n2",
            "pods \"n2\"",
            "get resource \"pods\" in API group \"\" in the namespace \"default\": no relationship found between node 'n1' and this object",
        ),
        // Of every namespace.
        (
            "/api/v1/pods?fieldSelector=metadata.name%3Dn2",
            "pods \"n2\"",
            "list resource \"pods\" in API group \"\" at the cluster scope: no relationship found between node 'n1' and this object",
        ),
        // It may come on any node.
        (
            "/api/v1/namespaces/default/pods?watch=true&fieldSelector=metadata.name%3Dgone",
            "pods \"gone\"",
            "watch resource \"pods\" in API group \"\" in the namespace \"default\": no relationship found between node 'n1' and this object",
        ),
    ] {
        refused(&agent, path, "n1", what, why).await;
    }
    agent.get(&format!("{PODS}/gone")).await.expect(404);
}

/// A review answers as the request would be.
#[tokio::test]
async fn reviews_look_at_selectors() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let allowed = |selector: Value| {
        let admin = &admin;
        async move {
            let review = json!({"spec": {
                "user": "system:node:n1", "groups": ["system:nodes"],
                "resourceAttributes": {"verb": "list", "resource": "pods", "fieldSelector": selector},
            }});
            admin.post(REVIEWS, &review).await.expect(201)["status"]["allowed"] == true
        }
    };
    assert!(allowed(json!({"rawSelector": "spec.nodeName=n1"})).await);
    assert!(!allowed(json!({"rawSelector": "spec.nodeName=n2"})).await);
    let wanted = |operator: &str| json!({"requirements": [{"key": "spec.nodeName", "operator": operator, "values": ["n1"]}]});
    assert!(allowed(wanted("In")).await);
    assert!(!allowed(wanted("NotIn")).await);
}

/// Pods that were there before the server are known.
#[tokio::test]
async fn a_restart_reads_the_graph_again() {
    let cluster = Cluster::with_account().await;
    let names = json!({"imagePullSecrets": [{"name": "s"}]});
    cluster.admin().create(PODS, pod("p", "n1", names)).await;
    let cluster = cluster.restarted().await;
    let agent = cluster.client(UserInfo::node("n1"));
    agent.get(&format!("{CORE}/secrets/s")).await.expect(404);
    agent.get(&format!("{CORE}/secrets/t")).await.expect(403);
}
