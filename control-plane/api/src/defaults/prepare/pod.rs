//! Pods: where they begin, and what their agent may not take back.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::defaults::qos_class;
use crate::object::{self, get, get_mut, int, is_empty, items, items_mut, set, text};

use super::carry;

const LISTS: [&str; 2] = [
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
];

/// No label is longer than this, by far.
const MAX_LABEL: usize = 1 << 10;

pub(super) fn create(pod: &mut Value) {
    let mut status = json!({"phase": "Pending", "qosClass": qos_class(pod)});
    if !is_empty(pod, "spec.schedulingGates") {
        let condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": object::creation_timestamp(pod),
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        });
        set(&mut status, "conditions", vec![condition]);
    }
    set(pod, "status", status);
    match_label_keys(pod);
}

/// Terms that compare a label of the pod by its key alone get the value the pod has.
fn match_label_keys(pod: &mut Value) {
    let labels = get(pod, "metadata.labels").cloned().unwrap_or_default();
    for kind in ["podAffinity", "podAntiAffinity"] {
        for list in LISTS {
            for item in items_mut(pod, &format!("spec.affinity.{kind}.{list}")) {
                let term = if item.get("podAffinityTerm").is_some() {
                    get_mut(item, "podAffinityTerm")
                } else {
                    Some(item)
                };
                if let Some(term) = term {
                    select(term, "matchLabelKeys", "In", &labels);
                    select(term, "mismatchLabelKeys", "NotIn", &labels);
                }
            }
        }
    }
    for constraint in items_mut(pod, "spec.topologySpreadConstraints") {
        select(constraint, "matchLabelKeys", "In", &labels);
    }
}

fn select(term: &mut Value, keys: &str, operator: &str, labels: &Value) {
    if get(term, "labelSelector").is_none() {
        return;
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let more: Vec<Value> = items(term, keys)
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|key| {
            let value = labels.get(key)?;
            // Validation refuses such a label where it is; and of a key that is there again, it need not see more than that.
            let times = seen.entry(key).or_default();
            *times += 1;
            if *times > 2 || value.as_str().is_none_or(|text| text.len() > MAX_LABEL) {
                return None;
            }
            Some(json!({"key": key, "operator": operator, "values": [value]}))
        })
        .collect();
    if more.is_empty() {
        return;
    }
    let mut all = items(term, "labelSelector.matchExpressions").to_vec();
    all.extend(more);
    set(term, "labelSelector.matchExpressions", all);
}

pub(super) fn status_update(new: &mut Value, old: &Value) {
    carry(new, old, "metadata.ownerReferences");
    if is_empty(new, "status.qosClass") && !is_empty(old, "status.qosClass") {
        carry(new, old, "status.qosClass");
    }
    observed_generations(new, old);
}

/// An agent that does not know of generations does not erase those that others have seen.
fn observed_generations(new: &mut Value, old: &Value) {
    let seen = |value: &Value| int(value, "observedGeneration").unwrap_or(0);
    if int(new, "status.observedGeneration").unwrap_or(0) == 0 {
        carry(new, old, "status.observedGeneration");
    }
    let mut before: HashMap<&str, Vec<i64>> = HashMap::new();
    for condition in items(old, "status.conditions").iter().rev() {
        let generations = before.entry(text(condition, "type")).or_default();
        generations.push(seen(condition));
    }
    for condition in items_mut(new, "status.conditions") {
        let generation = before
            .get_mut(text(condition, "type"))
            .and_then(Vec::pop)
            .unwrap_or(0);
        if seen(condition) == 0 && generation != 0 {
            set(condition, "observedGeneration", generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(label: &str, constraints: Vec<Value>) -> Value {
        json!({"metadata": {"labels": {"a": label}}, "spec": {"topologySpreadConstraints": constraints}})
    }

    #[test]
    fn a_key_that_is_there_again_stays_wrong() {
        let constraint = json!({"labelSelector": {}, "matchLabelKeys": vec!["a"; 100_000]});
        let mut pod = pod("1", vec![constraint]);
        match_label_keys(&mut pod);
        let found = &items(&pod, "spec.topologySpreadConstraints")[0];
        let expected = json!({"key": "a", "operator": "In", "values": ["1"]});
        assert_eq!(
            found["labelSelector"]["matchExpressions"],
            json!([expected, expected])
        );
    }

    #[test]
    fn what_is_no_label_is_not_copied_into_every_term() {
        let constraint = json!({"labelSelector": {}, "matchLabelKeys": ["a"]});
        let mut pod = pod(&"x".repeat(10_000), vec![constraint; 100]);
        let before = pod["spec"].clone();
        match_label_keys(&mut pod);
        assert_eq!(pod["spec"], before);
    }
}
