//! What upstream's default admission plugins add to a new pod: ServiceAccount, Priority and
//! DefaultTolerationSeconds. The token volume is the server's, because its name is random.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::object::{self, get, int, is_empty, items, set, set_default, text};

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

/// Adds what a RuntimeClass says of where its pods run (`scheduling`). Fails with the label of nodes that the pod wants to
/// have another value.
pub fn class_scheduling(pod: &mut Value, scheduling: &Value) -> Result<(), String> {
    const SELECTOR: &str = "spec.nodeSelector";
    if !is_empty(scheduling, "nodeSelector") {
        let own = get(pod, SELECTOR).and_then(Value::as_object);
        let mut merged = own.cloned().unwrap_or_default();
        for (label, value) in object::entries(scheduling, "nodeSelector") {
            if merged.entry(label).or_insert_with(|| value.clone()) != value {
                return Err(label.to_owned());
            }
        }
        set(pod, SELECTOR, merged);
    }
    let own = items(pod, "spec.tolerations");
    let mut known: HashSet<_> = own.iter().map(toleration_identity).collect();
    let added = items(scheduling, "tolerations").iter();
    let added = added.filter(|one| known.insert(toleration_identity(one)));
    let all: Vec<Value> = own.iter().chain(added).cloned().collect();
    set(pod, "spec.tolerations", all);
    Ok(())
}

/// What makes a toleration the one it is. An absent text and an empty one are the same.
pub(crate) fn toleration_identity(toleration: &Value) -> ([&str; 4], Option<i64>) {
    let texts = ["key", "operator", "value", "effect"].map(|field| text(toleration, field));
    (texts, int(toleration, "tolerationSeconds"))
}

/// Whether a toleration already speaks of that taint, so that the pod's author has decided.
fn tolerates(toleration: &Value, taint: &str) -> bool {
    let key = get(toleration, "key").and_then(Value::as_str).unwrap_or("");
    let effect = text(toleration, "effect");
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_say_where_pods_run() {
        let toleration = |key: &str| json!({"key": key, "operator": "Exists"});
        let class = json!({"nodeSelector": {"a": "1", "b": "2"},
            "tolerations": [toleration("x"), toleration("y")]});
        let mut pod = json!({"spec": {"nodeSelector": {"b": "2", "c": "3"},
            "tolerations": [{"operator": "Exists", "key": "y", "value": ""}]}});
        assert_eq!(class_scheduling(&mut pod, &class), Ok(()));
        assert_eq!(
            pod["spec"],
            json!({"nodeSelector": {"a": "1", "b": "2", "c": "3"}, "tolerations": [
                {"operator": "Exists", "key": "y", "value": ""}, toleration("x")]})
        );
        let mut pod = json!({"spec": {"nodeSelector": {"b": "3"}}});
        assert_eq!(class_scheduling(&mut pod, &class), Err("b".to_owned()));
    }

    #[test]
    fn many_labels_and_tolerations() {
        const MANY: usize = 25_000;
        let scheduling = |prefix: &str| {
            let toleration = |at: usize| json!({"key": format!("{prefix}{at}")});
            let labels = (0..MANY).map(|at| (format!("{prefix}{at}"), json!("")));
            json!({"nodeSelector": labels.collect::<Value>(),
                "tolerations": (0..MANY).map(toleration).collect::<Value>()})
        };
        let mut pod = json!({"spec": scheduling("a")});
        assert_eq!(class_scheduling(&mut pod, &scheduling("b")), Ok(()));
        assert_eq!(items(&pod, "spec.tolerations").len(), 2 * MANY);
        assert_eq!(object::entries(&pod, "spec.nodeSelector").count(), 2 * MANY);
    }
}
