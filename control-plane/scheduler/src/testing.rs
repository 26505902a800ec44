//! Small clusters to test with.

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use crate::filter::{Candidate, refusal};
use crate::pod::{BoundPod, PodKey};
use crate::snapshot::Snapshot;

/// `nodes` are labels by name. `pods` are as for [`pod`], each with the node it is `on`. Namespace `far` has the label `tier=far`.
pub(crate) fn cluster(nodes: &Value, pods: &Value) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, labels) in nodes.as_object().expect("labels by name") {
        let node = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": labels.get("taint").map(|key| json!({"taints": [{"key": key, "effect": "NoSchedule"}]})),
            "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "10"},
                       "conditions": [{"type": "Ready", "status": "True"}]},
        });
        snapshot.node_applied(&serde_json::from_value(node).expect("a node"));
    }
    let far = json!({"metadata": {"name": "far", "labels": {"tier": "far"}}});
    let far = serde_json::from_value(far).expect("a namespace");
    snapshot.namespaces.event(Event::Apply(far));
    for (at, one) in pods.as_array().expect("pods").iter().enumerate() {
        let mut pod = pod(one);
        pod.metadata.name.get_or_insert(format!("pod-{at}"));
        let node = one["on"].as_str().expect("the node").to_string();
        snapshot.pod_bound(PodKey::of(&pod), BoundPod::on(node, &pod));
    }
    snapshot
}

/// `labels`, `namespace`, `name`, `ending` and `priority` of a pod, the rest of its spec, and its status.
pub(crate) fn pod(short: &Value) -> Pod {
    let mut spec = short.get("spec").cloned().unwrap_or(json!({}));
    if spec.get("containers").is_none() {
        spec["containers"] = json!([]);
    }
    spec["priority"] = short.get("priority").cloned().unwrap_or(json!(0));
    let namespace = short["namespace"].as_str().unwrap_or("n");
    let ending = short.get("ending").map(|_| "2026-01-01T00:00:00Z");
    let metadata = json!({"name": short.get("name"), "namespace": namespace, "uid": short.get("name"),
        "labels": short.get("labels"), "deletionTimestamp": ending});
    let pod = json!({"metadata": metadata, "spec": spec, "status": short.get("status")});
    serde_json::from_value(pod).expect("a pod")
}

/// Why each node refuses the pod, in the order of their names.
pub(crate) fn refusals(snapshot: &Snapshot, pod: &Pod) -> Vec<String> {
    let candidate = Candidate::new(pod, snapshot).expect("its volumes are there");
    let reasons = |node| refusal(&candidate, node).map(|refusal| refusal.reasons.join(", "));
    snapshot
        .nodes()
        .map(|node| reasons(node).unwrap_or_default())
        .collect()
}
