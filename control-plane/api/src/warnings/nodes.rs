//! Labels of nodes that have other names by now, where nodes are selected by them.

use serde_json::Value;

use super::Told;
use crate::names;
use crate::object::{entries, items, part, text};

/// What is said of a label of nodes that is going; nothing of one that stays.
pub(super) fn deprecated(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => {
            "deprecated since v1.22; use Taints and Tolerations instead"
        }
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// A pod's selector, its affinity to nodes and what it spreads over. `at` is where the pod is, with its dot.
pub(super) fn look(told: &mut Told, at: &str, pod: &Value) {
    for (label, _) in entries(pod, "spec.nodeSelector") {
        if let Some(why) = deprecated(label) {
            told.add(format!("{at}spec.nodeSelector[{label}]: {why}"));
        }
    }
    let affinity = part(pod, "spec.affinity.nodeAffinity");
    let path = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    for (index, wanted) in items(affinity, path).iter().enumerate() {
        let path = format!("{at}spec.affinity.nodeAffinity.{path}[{index}]");
        term(told, wanted, false, &path);
    }
    let path = "preferredDuringSchedulingIgnoredDuringExecution";
    for (index, wanted) in items(affinity, path).iter().enumerate() {
        let path = format!("{at}spec.affinity.nodeAffinity.{path}[{index}].preference");
        term(told, part(wanted, "preference"), true, &path);
    }
    let spread = items(pod, "spec.topologySpreadConstraints");
    for (index, constraint) in spread.iter().enumerate() {
        let path = format!("{at}spec.topologySpreadConstraints[{index}]");
        let key = text(constraint, "topologyKey");
        if let Some(why) = deprecated(key) {
            told.add(format!("{path}.topologyKey: {key} is {why}"));
        }
        told.selector(constraint, &path);
    }
}

/// A selector of labels.
pub(super) fn selector(told: &mut Told, selector: &Value, path: &str) {
    term(told, selector, false, path);
    for (label, _) in entries(selector, "matchLabels") {
        if let Some(why) = deprecated(label) {
            told.add(format!("{path}.matchLabels.{label}: {why}"));
        }
    }
}

pub(super) fn term(told: &mut Told, term: &Value, values_count: bool, path: &str) {
    for (index, expression) in items(term, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let key = text(expression, "key");
        if let Some(why) = deprecated(key) {
            told.add(format!("{path}.key: {key} is {why}"));
        }
        // Validation refuses those of terms that are required.
        let values = items(expression, "values").iter().enumerate();
        for (index, value) in values.filter(|_| values_count) {
            let value = value.as_str().unwrap_or("");
            for why in names::label_value(value) {
                told.add(format!("{path}.values[{index}]: {value} is invalid, {why}"));
            }
        }
    }
}
