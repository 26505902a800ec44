//! Who owns which part of an object: what a create starts with, and what an update may not touch.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::object::{self, get, is_empty, items, remove, set, text};
use crate::resource::Resource;

use super::qos_class;

/// The finalizer that keeps a namespace until it is empty.
const NAMESPACE_FINALIZER: &str = "kubernetes";

/// Gives a new object the status and the parts of the spec that only the server writes.
pub fn prepare_create(resource: &Resource, value: &mut Value) {
    match (resource.group, resource.kind) {
        ("", "Pod") => {
            let class = qos_class(value);
            set(
                value,
                "status",
                json!({"phase": "Pending", "qosClass": class}),
            );
        }
        ("", "Namespace") => {
            let mut finalizers = items(value, "spec.finalizers").to_vec();
            if !finalizers.iter().any(|one| one == NAMESPACE_FINALIZER) {
                finalizers.push(NAMESPACE_FINALIZER.into());
            }
            set(value, "spec.finalizers", finalizers);
            set(value, "status", json!({"phase": "Active"}));
        }
        ("", "Service") => set(value, "status", json!({"loadBalancer": {}})),
        // A kubelet registers its node together with what it found out about it.
        ("", "Node") => {}
        _ if resource.has_status() => {
            remove(value, "status");
        }
        _ => {}
    }
}

/// Metadata that only the server writes. What a client sends for it is not looked at.
const SYSTEM_METADATA: [&str; 4] = [
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.generation",
];

/// Takes over from `old` what an update of the object itself may not change.
pub fn prepare_update(resource: &Resource, new: &mut Value, old: &Value) {
    carry_metadata(new, old);
    if resource.has_status() {
        carry(new, old, "status");
    }
    match (resource.group, resource.kind) {
        ("", "Namespace") => carry(new, old, "spec.finalizers"),
        ("", "Service") => carry_allocations(new, old),
        _ => {}
    }
}

/// Takes over from `old` all but the status and the metadata, as a write to `/status` may.
pub fn prepare_status_update(resource: &Resource, new: &mut Value, old: &Value) {
    carry_metadata(new, old);
    let fields: Vec<String> = [&*new, old]
        .iter()
        .filter_map(|value| value.as_object())
        .flat_map(|map| map.keys().cloned())
        .filter(|key| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"))
        .collect();
    for field in fields {
        carry(new, old, &field);
    }
    if (resource.group, resource.kind) == ("", "Pod") {
        carry(new, old, "metadata.ownerReferences");
        if is_empty(new, "status.qosClass") && !is_empty(old, "status.qosClass") {
            carry(new, old, "status.qosClass");
        }
    }
}

fn carry_metadata(new: &mut Value, old: &Value) {
    for path in SYSTEM_METADATA {
        carry(new, old, path);
    }
    // A uid that is there is a precondition, and the server's to check.
    if object::uid(new).is_empty() {
        carry(new, old, "metadata.uid");
    }
}

/// Makes `path` of `new` what it is in `old`.
fn carry(new: &mut Value, old: &Value, path: &str) {
    match get(old, path) {
        Some(value) => set(new, path, value.clone()),
        None => {
            remove(new, path);
        }
    }
}

/// A client that replaces a service need not know the addresses and ports it was given.
fn carry_allocations(new: &mut Value, old: &Value) {
    let kind = text(new, "spec.type").to_owned();
    let has_address = |kind: &str| matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer");
    let has_node_ports = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    let old_kind = text(old, "spec.type");
    if has_address(&kind) && has_address(old_kind) && is_empty(new, "spec.clusterIP") {
        carry(new, old, "spec.clusterIP");
        carry(new, old, "spec.clusterIPs");
    }
    if !(has_node_ports(&kind) && has_node_ports(old_kind)) {
        return;
    }
    let given = |port: &Value| object::int(port, "nodePort").unwrap_or(0);
    let identity = |port: &Value| {
        let number = object::int(port, "port").unwrap_or(0);
        (number, text(port, "protocol").to_owned())
    };
    let ports = items(old, "spec.ports").iter();
    let before: HashMap<_, i64> = ports.map(|port| (identity(port), given(port))).collect();
    let mut taken: HashSet<i64> = items(new, "spec.ports").iter().map(given).collect();
    for port in object::items_mut(new, "spec.ports") {
        let number = before.get(&identity(port)).copied().unwrap_or(0);
        if given(port) == 0 && number != 0 && taken.insert(number) {
            set(port, "nodePort", number);
        }
    }
}
