//! The difference between two statuses as a strategic merge patch, and whether it can wait.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

use super::conditions::PASSING;

/// Fields of a status the node does not write.
const FOREIGN: [&str; 5] = [
    "qosClass",
    "nominatedNodeName",
    "resourceClaimStatuses",
    "extendedResourceClaimStatus",
    "nodeAllocatableResourceClaimStatuses",
];

/// The `status` of a patch that turns `known` into `next`; none when nothing differs.
pub(crate) fn status_patch(known: &PodStatus, next: &PodStatus) -> Option<Value> {
    let (known, next) = (object(known), object(next));
    let mut patch = Map::new();
    for (field, value) in &next {
        if FOREIGN.contains(&field.as_str()) || known.get(field) == Some(value) {
            continue;
        }
        let old = known.get(field);
        let change = match field.as_str() {
            // Merged by type: conditions of others stay, whatever they are by now.
            "conditions" => changed_items(old, value),
            "podIPs" | "hostIPs" => Some(replaced_ips(old, value)),
            _ => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(field.clone(), change);
        }
    }
    for field in known.keys() {
        if !next.contains_key(field) && !FOREIGN.contains(&field.as_str()) {
            patch.insert(field.clone(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Whether a status says no more than that the pod is being made: it may be held back a moment.
pub(crate) fn is_only_creating(status: &PodStatus) -> bool {
    let creating = |reason: Option<&str>| {
        matches!(reason, Some("ContainerCreating" | "PodInitializing") | None)
    };
    status.phase.as_deref() == Some("Pending")
        && status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
            .flatten()
            .all(|container| {
                container.state.as_ref().is_some_and(|state| {
                    state
                        .waiting
                        .as_ref()
                        .is_some_and(|w| creating(w.reason.as_deref()))
                })
            })
}

fn object(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(map)) => map,
        // A status is a struct of plain data: it always is an object.
        _ => Map::new(),
    }
}

fn changed_items(old: Option<&Value>, new: &Value) -> Option<Value> {
    let none = Vec::new();
    let old = old.and_then(Value::as_array).unwrap_or(&none);
    let new = new.as_array().unwrap_or(&none);
    let changed: Vec<Value> = new
        .iter()
        .filter(|item| !old.contains(item))
        .map(|item| {
            let before = old.iter().find(|before| before["type"] == item["type"]);
            with_nulls(item, before)
        })
        .chain(old.iter().filter_map(|item| passed(item, new)))
        .collect();
    (!changed.is_empty()).then_some(Value::Array(changed))
}

/// Removes a condition of ours that is over.
fn passed(item: &Value, new: &[Value]) -> Option<Value> {
    let kind = item["type"].as_str()?;
    let over = PASSING.contains(&kind) && new.iter().all(|next| next["type"] != kind);
    over.then(|| json!({ "type": kind, "$patch": "delete" }))
}

/// A merged item keeps fields the patch does not name: those that went are named as null.
fn with_nulls(item: &Value, before: Option<&Value>) -> Value {
    let mut item = item.clone();
    if let (Some(map), Some(before)) = (item.as_object_mut(), before.and_then(Value::as_object)) {
        for field in before.keys() {
            if !map.contains_key(field) {
                map.insert(field.clone(), Value::Null);
            }
        }
    }
    item
}

fn replaced_ips(old: Option<&Value>, new: &Value) -> Value {
    let none = Vec::new();
    let old = old.and_then(Value::as_array).unwrap_or(&none);
    let new = new.as_array().unwrap_or(&none);
    let mut items: Vec<Value> = old
        .iter()
        .filter(|item| !new.contains(item))
        .map(|item| json!({ "ip": item["ip"], "$patch": "delete" }))
        .collect();
    items.extend(new.iter().cloned());
    Value::Array(items)
}
