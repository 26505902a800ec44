//! Who owns which part of an object: what a create starts with, and what an update may not touch.

mod alpha;
mod certificate;
mod claim;
mod daemon_set;
mod generation;
mod job;
mod pod;
mod service;

use serde_json::{Value, json};

use crate::object::{self, get, items, items_mut, remove, set};
use crate::resource::Resource;

use super::definition;

pub(super) use daemon_set::TEMPLATE_GENERATION;
pub use generation::bumps_generation;
pub use service::checks_health;

/// The finalizer that keeps a namespace until it is empty.
const NAMESPACE_FINALIZER: &str = "kubernetes";

/// Gives a new object the status and the parts of the spec that only the server writes. Its name,
/// uid and time of creation are there already.
pub fn prepare_create(resource: &Resource, value: &mut Value) {
    if resource.is_custom() {
        if resource.has_status() {
            remove(value, "status");
        }
        return;
    }
    alpha::forget(resource, value, None);
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::create(value),
        ("", "Namespace") => {
            let mut finalizers = items(value, "spec.finalizers").to_vec();
            if !finalizers.iter().any(|one| one == NAMESPACE_FINALIZER) {
                finalizers.push(NAMESPACE_FINALIZER.into());
            }
            set(value, "spec.finalizers", finalizers);
        }
        ("", "PersistentVolumeClaim") => claim::sources(value, None),
        ("", "ServiceAccount") => secret_names(value),
        ("", "LimitRange") if object::name(value).is_empty() => {
            let uid = object::uid(value).to_owned();
            set(value, "metadata.name", uid);
        }
        ("apps", "DaemonSet") => daemon_set::create(value),
        ("batch", "Job") => job::create(value),
        ("certificates.k8s.io", "CertificateSigningRequest") => certificate::create(value),
        ("discovery.k8s.io", "EndpointSlice") => forget_topology(value, None),
        // Counted from its first change on.
        ("storage.k8s.io", "CSIDriver") => {
            remove(value, "metadata.generation");
        }
        _ => {}
    }
    // A kubelet registers its node together with what it found out about it, and a new pod's
    // status says more than where it begins.
    if resource.has_status() && !matches!(resource.kind, "Node" | "Pod") {
        let status = initial_status(resource, value);
        set(value, "status", status);
    }
}

/// What endpoints said of their place before they had fields for it stays only where it is already.
fn forget_topology(slice: &mut Value, old: Option<&Value>) {
    const TOPOLOGY: &str = "deprecatedTopology";
    let has = |endpoint: &Value| get(endpoint, TOPOLOGY).is_some();
    if old.is_some_and(|old| items(old, "endpoints").iter().any(has)) {
        return;
    }
    for endpoint in object::items_mut(slice, "endpoints") {
        remove(endpoint, TOPOLOGY);
    }
}

/// What is true of a new object. Counts that a reader may expect to find are there.
fn initial_status(resource: &Resource, value: &Value) -> Value {
    match resource.kind {
        "Namespace" => json!({"phase": "Active"}),
        "Service" | "Ingress" => json!({"loadBalancer": {}}),
        "PersistentVolumeClaim" => json!({"phase": "Pending"}),
        "PersistentVolume" => json!({"phase": "Pending",
            "lastPhaseTransitionTime": object::creation_timestamp(value)}),
        "ReplicaSet" | "ReplicationController" => json!({"replicas": 0}),
        "StatefulSet" => json!({"replicas": 0, "availableReplicas": 0}),
        "DaemonSet" => json!({"currentNumberScheduled": 0, "numberMisscheduled": 0,
            "desiredNumberScheduled": 0, "numberReady": 0}),
        "HorizontalPodAutoscaler" => json!({"desiredReplicas": 0}),
        "PodDisruptionBudget" => json!({"disruptionsAllowed": 0, "currentHealthy": 0,
            "desiredHealthy": 0, "expectedPods": 0}),
        "VolumeAttachment" => json!({"attached": false}),
        "CustomResourceDefinition" => definition::initial_status(value),
        _ => json!({}),
    }
}

/// Metadata that only the server writes. What a client sends for it is not looked at.
const SYSTEM_METADATA: [&str; 2] = ["metadata.creationTimestamp", "metadata.generation"];
/// The same, where a client that says something else is told that it cannot be.
const FIXED_METADATA: [&str; 3] = [
    // A precondition, and the server's to check.
    "metadata.uid",
    "metadata.deletionTimestamp",
    "metadata.deletionGracePeriodSeconds",
];

/// Takes over from `old` what an update of the object itself may not change.
pub fn prepare_update(resource: &Resource, new: &mut Value, old: &Value) {
    carry_metadata(new, old);
    if resource.has_status() {
        carry(new, old, "status");
    }
    alpha::forget(resource, new, Some(old));
    match (resource.group, resource.kind) {
        ("", "Namespace") => carry(new, old, "spec.finalizers"),
        ("", "Service") => service::update(new, old),
        ("", "PersistentVolumeClaim") => claim::sources(new, Some(old)),
        ("", "ServiceAccount") => secret_names(new),
        ("apps", "DaemonSet") => daemon_set::update(new, old),
        ("batch", "Job") => job::labels(new),
        ("discovery.k8s.io", "EndpointSlice") => forget_topology(new, Some(old)),
        // Who asked for a certificate, and for which, is settled when it is asked for.
        ("certificates.k8s.io", "CertificateSigningRequest") => carry(new, old, "spec"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::note_storage(new),
        _ => {}
    }
}

/// Takes over from `old` all but the status and the metadata, as a write to `/status` may.
pub fn prepare_status_update(resource: &Resource, new: &mut Value, old: &Value) {
    if resource.is_custom() {
        return carry_all_but_status(new, old);
    }
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
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::status_update(new, old),
        ("apps", "Deployment") => carry(new, old, "metadata.labels"),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificate::status_update(new, old);
        }
        _ => {}
    }
    if KEEP_METADATA.contains(&resource.kind) {
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            carry(new, old, &format!("metadata.{field}"));
        }
    }
}

/// Kinds whose status is written without touching the metadata.
const KEEP_METADATA: [&str; 6] = [
    "FlowSchema",
    "PriorityLevelConfiguration",
    "ResourceClaim",
    "ServiceCIDR",
    "ValidatingAdmissionPolicy",
    "VolumeAttachment",
];

/// A ServiceAccount refers to Secrets of its own namespace: by name, and by nothing else.
fn secret_names(account: &mut Value) {
    for secret in items_mut(account, "secrets") {
        *secret = match get(secret, "name").cloned() {
            Some(name) => json!({"name": name}),
            None => json!({}),
        };
    }
}

/// The status of a custom resource is written without any of its metadata.
fn carry_all_but_status(new: &mut Value, old: &Value) {
    let status = remove(new, "status");
    let managed = remove(new, "metadata.managedFields");
    let version = get(new, "metadata.resourceVersion").cloned();
    new.clone_from(old);
    for (path, value) in [
        ("metadata.managedFields", managed),
        ("metadata.resourceVersion", version),
        ("status", status),
    ] {
        match value {
            Some(value) => set(new, path, value),
            None => {
                remove(new, path);
            }
        }
    }
}

fn carry_metadata(new: &mut Value, old: &Value) {
    for path in SYSTEM_METADATA {
        carry(new, old, path);
    }
    for path in FIXED_METADATA {
        if object::is_empty(new, path) {
            carry(new, old, path);
        }
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
