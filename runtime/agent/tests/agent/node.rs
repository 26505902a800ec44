//! Registration, heartbeats, and what happens when the API server fails.

use serde_json::json;

use crate::cluster::{Cluster, NODE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn registers_and_renews() {
    let cluster = Cluster::new();
    let node = eventually(|| cluster.api.get("nodes", "", NODE))
        .await
        .unwrap();
    assert_eq!(node["spec"]["podCIDR"], "127.64.0.0/18");
    let labels = &node["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/hostname"], NODE);
    for what in ["os", "arch"] {
        let old = &labels[format!("beta.kubernetes.io/{what}")];
        assert_eq!(old, &labels[format!("kubernetes.io/{what}")]);
        assert!(old.is_string());
    }
    let status = &node["status"];
    assert_eq!(status["capacity"]["pods"], "10k");
    assert_eq!(
        status["nodeInfo"]["containerRuntimeVersion"],
        "sampan://1.2.3"
    );
    assert!(
        status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert_eq!(
        status["images"],
        json!([{"names": ["app:v1"], "sizeBytes": 7}])
    );
    assert_eq!(
        status["addresses"][0],
        json!({"type": "InternalIP", "address": "127.0.0.1"})
    );
    let lease = || cluster.api.get("leases", "kube-node-lease", NODE);
    let lease = eventually(lease).await.unwrap();
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
    assert_eq!(
        lease["metadata"]["ownerReferences"][0]["uid"],
        node["metadata"]["uid"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_comes_back() {
    let cluster = Cluster::new();
    let first = eventually(|| cluster.api.get("nodes", "", NODE))
        .await
        .unwrap();
    // Deletion is seen by the watch: it must be open.
    eventually(|| (cluster.api.requests("GET nodes//") >= 2).then_some(()))
        .await
        .unwrap();
    cluster.api.delete("nodes", "", NODE, 0);
    let again = eventually(|| {
        let node = cluster.api.get("nodes", "", NODE)?;
        (node["metadata"]["uid"] != first["metadata"]["uid"]).then_some(())
    });
    assert!(again.await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_writes_nothing() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    cluster.until("p", "/status/phase", json!("Running")).await;
    eventually(|| cluster.api.get("leases", "kube-node-lease", NODE))
        .await
        .unwrap();
    cluster.event("Started", "").await;
    let quiet = cluster.api.requests("PATCH");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(cluster.api.requests("PATCH"), quiet);
}
