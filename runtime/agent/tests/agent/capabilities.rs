//! What containers can reach: told on the pod, and forbidden by their namespace.

use serde_json::json;

use crate::cluster::Cluster;

const TOLD: &str = "/metadata/annotations/sampan.dev~1capabilities";

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_told_on_the_pod() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    let told = json!("c=environment,stdio");
    cluster.until("p", TOLD, told.clone()).await;
    cluster.until("p", "/status/phase", json!("Running")).await;
    let writes = cluster.api.requests("PATCH pods/default/p/status");
    assert_eq!(writes, 1, "told with the status, not beside it");
    // Somebody writes something else: it is put right.
    let mut pod = cluster.get("p");
    *pod.pointer_mut(TOLD).unwrap() = json!("c=none");
    cluster.api.put("pods", pod);
    cluster.until("p", TOLD, told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_namespace_forbids_reaches_the_runtime() {
    let cluster = Cluster::new();
    let namespace = |labels| json!({"metadata": {"name": "default", "labels": labels}});
    let labels = json!({"forbid.sampan.dev/sockets": "true", "forbid.sampan.dev/random": "true"});
    cluster.api.put("namespaces", namespace(labels));
    let lie = json!({"sampan/forbidden-capabilities": "", "own": "stays"});
    let pod = json!({
        "metadata": {"name": "p", "namespace": "default", "annotations": lie},
        "spec": {"nodeName": "n1", "containers": [
            {"name": "c", "image": "app:v1", "args": ["run"]},
            {"name": "d", "image": "app:v1", "args": ["forbidden"]}]}
    });
    cluster.api.put("pods", pod);
    let reason = "/status/containerStatuses/1/state/waiting/reason";
    cluster
        .until("p", reason, json!("CreateContainerConfigError"))
        .await;
    cluster.event("Failed", "Error: not allowed").await;
    let annotations = cluster.runtime.sandbox_annotations("p");
    assert_eq!(
        annotations["sampan/forbidden-capabilities"],
        "random,sockets"
    );
    assert_eq!(annotations["own"], "stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_knowing_what_is_forbidden_nothing_starts() {
    let cluster = Cluster::new();
    cluster.api.break_requests(Some("GET namespaces//default"));
    cluster.pod("p", &["run"], json!({}));
    let text = "Failed to create pod sandbox: failed to read namespace \"default\"";
    cluster.event("FailedCreatePodSandBox", text).await;
    assert_eq!(cluster.runtime.counts(), (0, 0));
    cluster.api.break_requests(None);
    cluster.until("p", "/status/phase", json!("Running")).await;
}
