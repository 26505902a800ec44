//! What a namespace is told to be, and what is kept of it: only for one that is known, and as long as it lives.

use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE, eventually};

fn pod(namespace: &str, annotations: Value) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": namespace, "annotations": annotations},
        "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "app:v1", "args": ["run"]}]}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_with_its_namespace_and_not_before() {
    let mut cluster = Cluster::new();
    cluster
        .api
        .break_requests(Some("GET namespaces//unreadable"));
    for (name, uid) in [
        ("default", "of default"),
        ("default", "of an earlier one"),
        ("default", ""),
        ("gone", "1"),
        ("hidden", "1"),
        ("unreadable", "1"),
    ] {
        let pair = (name.to_owned(), uid.to_owned());
        cluster.data.0.lock().insert(pair);
    }
    cluster.restart(false).await;
    let asked = || cluster.api.requests("GET namespaces//unreadable");
    eventually(|| (asked() > 0).then_some(())).await.unwrap();
    let left: Vec<_> = cluster.data.0.lock().iter().cloned().collect();
    let left: Vec<_> = left.iter().map(|(n, u)| (&n[..], &u[..])).collect();
    let kept = [
        ("default", ""),
        ("default", "of default"),
        ("hidden", "1"),
        ("unreadable", "1"),
    ];
    assert_eq!(left, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_buckets_waits_until_their_owner_is_known() {
    let cluster = Cluster::new();
    let buckets = json!({"sampan.dev/wasi-keyvalue": "default", "sampan/namespace-uid": "a lie"});
    for (namespace, text) in [
        ("hidden", "this node may not read namespaces"),
        ("late", "failed to read namespace \"late\": there is none"),
    ] {
        cluster.api.put("pods", pod(namespace, buckets.clone()));
        cluster.event("FailedCreatePodSandBox", text).await;
    }
    assert_eq!(cluster.runtime.counts(), (0, 0));
    let late = json!({"metadata": {"name": "late", "uid": "known"}});
    cluster.api.put("namespaces", late);
    let running = || {
        let pod = cluster.api.get("pods", "late", "p").unwrap_or_default();
        (pod["status"]["phase"] == "Running").then_some(())
    };
    eventually(running).await.unwrap();
    let annotations = cluster.runtime.sandbox_annotations("p");
    assert_eq!(annotations["sampan/namespace-uid"], "known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_buckets_needs_no_owner() {
    let cluster = Cluster::new();
    let lie = json!({"sampan/namespace-uid": "a lie"});
    cluster.api.put("pods", pod("hidden", lie));
    let running = || {
        let pod = cluster.api.get("pods", "hidden", "p").unwrap_or_default();
        (pod["status"]["phase"] == "Running").then_some(())
    };
    eventually(running).await.unwrap();
    let annotations = cluster.runtime.sandbox_annotations("p");
    assert!(!annotations.contains_key("sampan/namespace-uid"));
}
