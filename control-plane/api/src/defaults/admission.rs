//! What upstream's default admission plugins add to a new pod: ServiceAccount, Priority and
//! DefaultTolerationSeconds. The token volume is the server's, because its name is random.

use serde_json::{Value, json};

use crate::object::{self, get, is_empty, items, set, set_default, text};

use super::template::mirror_service_account;
use super::within;

/// For how long a pod stays bound to a node that is not ready or not reachable.
const TOLERATION_SECONDS: i64 = 300;
/// The taints that say so.
const NODE_TROUBLES: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];
/// Priority classes that exist in every cluster.
const SYSTEM_PRIORITIES: [(&str, i64); 2] = [
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];

/// Completes a new pod. Run it after [`super::apply`] and before validation.
pub fn admission_pod(pod: &mut Value) {
    within(pod, "spec", |spec| {
        mirror_service_account(spec);
        if is_empty(spec, "serviceAccountName") {
            set(spec, "serviceAccountName", "default");
            mirror_service_account(spec);
        }
    });
    tolerations(pod);
    let class = text(pod, "spec.priorityClassName").to_owned();
    let system = SYSTEM_PRIORITIES.iter().find(|(name, _)| *name == class);
    set_default(
        pod,
        "spec.priority",
        system.map_or(0, |(_, priority)| *priority),
    );
    set_default(pod, "spec.preemptionPolicy", "PreemptLowerPriority");
}

/// How long a pod stays where there is trouble, unless it says so itself. Runs after updates, too: a client that sends a
/// pod without them takes none away.
pub fn tolerations(pod: &mut Value) {
    let mut list = items(pod, "spec.tolerations").to_vec();
    for taint in NODE_TROUBLES {
        if !list.iter().any(|toleration| tolerates(toleration, taint)) {
            list.push(json!({
                "key": taint,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": TOLERATION_SECONDS,
            }));
        }
    }
    object::set(pod, "spec.tolerations", list);
}

/// Whether a toleration already speaks of that taint, so that the pod's author has decided.
fn tolerates(toleration: &Value, taint: &str) -> bool {
    let key = get(toleration, "key").and_then(Value::as_str).unwrap_or("");
    let effect = text(toleration, "effect");
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}
