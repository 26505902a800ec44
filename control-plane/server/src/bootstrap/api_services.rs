//! An APIService for each group and version this server serves itself, with upstream's order of preference.

use sampan_api::resource::resources;
use serde_json::{Value, json};

/// Group, and the priority of the group among all.
const GROUPS: [(&str, i64); 20] = [
    ("", 18000),
    ("apps", 17800),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("autoscaling", 17500),
    ("batch", 17400),
    ("certificates.k8s.io", 17300),
    ("networking.k8s.io", 17200),
    ("policy", 17100),
    ("rbac.authorization.k8s.io", 17000),
    ("storage.k8s.io", 16800),
    ("apiextensions.k8s.io", 16700),
    ("admissionregistration.k8s.io", 16700),
    ("scheduling.k8s.io", 16600),
    ("coordination.k8s.io", 16500),
    ("node.k8s.io", 16300),
    ("discovery.k8s.io", 16200),
    ("resource.k8s.io", 16200),
    ("flowcontrol.apiserver.k8s.io", 16100),
];

/// One per group and version, but for the group of the APIServices themselves, as upstream.
pub(super) fn objects() -> Vec<Value> {
    let mut seen = Vec::new();
    let mut objects = Vec::new();
    for row in resources() {
        let known = GROUPS.iter().find(|(group, _)| *group == row.group);
        if let Some((group, priority)) = known
            && !seen.contains(&(row.group, row.version))
        {
            seen.push((row.group, row.version));
            objects.push(object(group, row.version, *priority));
        }
    }
    objects
}

fn object(group: &str, version: &str, priority: i64) -> Value {
    let version_priority = match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io" | "resource.k8s.io", _) => 21,
        _ => 15,
    };
    let mut spec = json!({
        "version": version, "groupPriorityMinimum": priority, "versionPriority": version_priority,
    });
    if !group.is_empty() {
        spec["group"] = json!(group);
    }
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {
            "name": format!("{version}.{group}"),
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
        },
        "spec": spec,
    })
}
