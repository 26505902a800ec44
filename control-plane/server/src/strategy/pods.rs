//! Pods: grace periods, labels of their nodes, and what is not supported.

use sampan_api::object;
use sampan_api::resource::find as find_resource;
use sampan_api::status::Status;
use serde_json::{Map, Value};

use crate::api::{Api, Result};
use crate::read::find;

/// Without a word about it, a pod has this long to stop.
const DEFAULT_GRACE: i64 = 30;
/// Where a container may want a command run in it, which no agent of ours can do yet.
const HANDLERS: [&str; 5] = [
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle.postStart",
    "lifecycle.preStop",
];

/// Labels of a node that its pods get.
const TOPOLOGY: [&str; 2] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// A new pod that names its node has its labels.
pub(super) async fn admit_topology(api: &Api, pod: &mut Value) -> Result<()> {
    let node = object::text(pod, "spec.nodeName");
    if !node.is_empty() {
        let labels = topology(api, node).await?;
        add_labels(pod, labels);
    }
    Ok(())
}

/// The labels that pods of a node get: none if the node is not there.
pub(super) async fn topology(api: &Api, node: &str) -> Result<Map<String, Value>> {
    let nodes = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let Some(found) = find(api, nodes, "", node).await? else {
        return Ok(Map::new());
    };
    let label = |key: &str| Some((key.to_owned(), found.object.label(key)?.into()));
    Ok(TOPOLOGY.into_iter().filter_map(label).collect())
}

/// Adds labels to an object, whatever it had under these names.
pub(super) fn add_labels(value: &mut Value, labels: Map<String, Value>) {
    if labels.is_empty() {
        return;
    }
    let mut merged = object::labels(value).cloned().unwrap_or_default();
    merged.extend(labels);
    object::set(value, "metadata.labels", merged);
}

/// What the pod asks for that no agent of ours does: better said than silently left out.
pub(super) fn warnings(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for list in ["containers", "initContainers"] {
        let containers = object::items(pod, &format!("spec.{list}"));
        for (index, container) in containers.iter().enumerate() {
            for handler in HANDLERS {
                if object::get(container, &format!("{handler}.exec")).is_some() {
                    warnings.push(format!(
                        "spec.{list}[{index}].{handler}.exec: not supported yet, it never succeeds"
                    ));
                }
            }
        }
    }
    warnings
}

/// The seconds a deletion gives a pod: none when there is nothing running.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let nothing_runs = object::text(pod, "spec.nodeName").is_empty()
        || matches!(object::text(pod, "status.phase"), "Succeeded" | "Failed");
    if nothing_runs {
        return 0;
    }
    let seconds = asked
        .or_else(|| object::int(pod, "spec.terminationGracePeriodSeconds"))
        .unwrap_or(DEFAULT_GRACE);
    // Upstream reads a negative period as "as little as possible".
    if seconds < 0 { 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_no_effect_is_told() {
        let pod = json!({"spec": {
            "containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 80}}},
                {"name": "b", "readinessProbe": {"exec": {}}, "lifecycle": {"preStop": {"exec": {}}}}],
        }});
        let expected = [
            "spec.containers[1].readinessProbe.exec: not supported yet, it never succeeds",
            "spec.containers[1].lifecycle.preStop.exec: not supported yet, it never succeeds",
        ];
        assert_eq!(warnings(&pod), expected);
        assert!(warnings(&json!({"spec": {"containers": [{"name": "a"}]}})).is_empty());
    }
}
