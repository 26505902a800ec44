//! What an agent may change of what it may write to at all: nothing that would draw pods to its node, and of the status of
//! pods and claims only what a node knows.

use std::collections::BTreeSet;

use sampan_api::object;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use serde_json::{Map, Value};

use super::{other_slice, restricted};
use crate::api::Result;
use crate::authz::{SETTINGS, lies_on};
use crate::user::UserInfo;

/// Keeps a deleted volume until its node has removed the folder.
const FOLDER: &str = "sampan.dev/local-volume";
/// Labels below it are promises that nodes cannot make for themselves.
const PROMISES: &str = "node-restriction.kubernetes.io";
/// Of the labels Kubernetes gives a meaning, those that are an agent's to set; and whole namespaces of them.
const OWN_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const OWN_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Looks at a change. Only agents are restricted.
pub(crate) fn may_update(
    user: &UserInfo,
    resource: &Resource,
    part: &str,
    new: &Value,
    old: &Value,
) -> Result<()> {
    let Some(node) = restricted(user, resource, object::name(old))? else {
        return Ok(());
    };
    let refused = match (resource.bucket, part) {
        ("nodes", _) => own_node(node, new, old),
        ("pods", "status") => pod_status(node, new, old),
        ("persistentvolumeclaims", "status") => claim_status(node, new, old),
        ("persistentvolumes", _) => volume(node, new, old),
        ("resourceslices", _) if object::text(old, "spec.nodeName") != node => {
            Some(other_slice("update"))
        }
        _ => None,
    };
    match refused {
        Some(why) => Err(Status::forbidden(resource, object::name(old), &why)),
        None => Ok(()),
    }
}

/// What is wrong with the labels a new node brings.
pub(super) fn new_node(node: &str, value: &Value) -> Option<String> {
    let labels = foreign_labels(value, &Value::Null)?;
    Some(format!(
        "node {node:?} is not allowed to set the following labels: {labels}"
    ))
}

fn own_node(node: &str, new: &Value, old: &Value) -> Option<String> {
    if object::items(new, "spec.taints") != object::items(old, "spec.taints") {
        return Some(format!("node {node:?} is not allowed to modify taints"));
    }
    if object::owner_references(new) != object::owner_references(old) {
        return Some(format!(
            "node {node:?} is not allowed to modify ownerReferences"
        ));
    }
    let labels = foreign_labels(new, old)?;
    Some(format!("is not allowed to modify labels: {labels}"))
}

fn pod_status(node: &str, new: &Value, old: &Value) -> Option<String> {
    if object::text(old, "spec.nodeName") != node {
        return Some(format!(
            "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
        ));
    }
    if labels(new).ne(labels(old)) {
        return Some(format!(
            "node {node:?} cannot update labels through pod status"
        ));
    }
    // What a pod names there its node may read.
    let settings = |pod: &Value| -> Vec<(String, Value)> {
        let annotations = object::annotations(pod).into_iter().flatten();
        let named = annotations.filter(|(key, _)| key.starts_with(SETTINGS));
        named
            .map(|(key, list)| (key.clone(), list.clone()))
            .collect()
    };
    if settings(new) != settings(old) {
        return Some(format!(
            "node {node:?} cannot update annotation {SETTINGS:?} through pod status"
        ));
    }
    if object::items(new, "status.resourceClaimStatuses")
        != object::items(old, "status.resourceClaimStatuses")
    {
        return Some(format!(
            "node {node:?} cannot update resource claim statuses"
        ));
    }
    let extended = "status.extendedResourceClaimStatus";
    (object::get(new, extended) != object::get(old, extended))
        .then(|| format!("node {node:?} cannot update extended resource claim status"))
}

fn claim_status(node: &str, new: &Value, old: &Value) -> Option<String> {
    const KNOWN: [&str; 4] = [
        "status.capacity",
        "status.conditions",
        "status.allocatedResources",
        "status.allocatedResourceStatuses",
    ];
    (without(new, &KNOWN) != without(old, &KNOWN)).then(|| {
        format!(
            "node {node:?} is not allowed to update fields other than status.capacity and status.conditions"
        )
    })
}

/// A node says of a volume that its folder is gone, and nothing else: what a volume offers, and to whom, draws pods to it.
fn volume(node: &str, new: &Value, old: &Value) -> Option<String> {
    const FINALIZERS: [&str; 1] = ["metadata.finalizers"];
    if !lies_on(object::part(old, "spec"), node) {
        return Some(format!(
            "node {node:?} can only update volumes that lie on itself"
        ));
    }
    let left: Vec<&str> = object::finalizers(new).collect();
    let kept = object::finalizers(old).filter(|one| *one != FOLDER || left.contains(one));
    let only_that = kept.eq(left.iter().copied());
    (!only_that || without(new, &FINALIZERS) != without(old, &FINALIZERS)).then(|| {
        format!("node {node:?} is not allowed to update fields other than its finalizer {FOLDER:?}")
    })
}

/// What remains of an object without the fields, and without what every write changes.
fn without(value: &Value, fields: &[&str]) -> Value {
    let mut rest = value.clone();
    let always = ["metadata.resourceVersion", "metadata.managedFields"];
    for field in fields.iter().copied().chain(always) {
        object::remove(&mut rest, field);
    }
    rest
}

fn labels(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object::entries(value, "metadata.labels")
}

/// The labels that differ and are not an agent's to set, one after the other in their order.
fn foreign_labels(new: &Value, old: &Value) -> Option<String> {
    let none = Map::new();
    let of = |value| object::labels(value).unwrap_or(&none);
    let (new, old) = (of(new), of(old));
    let changed = |(key, _): &(&String, &Value)| new.get(*key) != old.get(*key);
    let foreign: BTreeSet<&str> = new
        .iter()
        .chain(old)
        .filter(changed)
        .map(|(key, _)| key.as_str())
        .filter(|key| is_foreign(key))
        .collect();
    let list: Vec<&str> = foreign.into_iter().collect();
    (!list.is_empty()).then(|| list.join(", "))
}

fn is_foreign(label: &str) -> bool {
    let namespace = label.split_once('/').map_or("", |(namespace, _)| namespace);
    let below = |domain: &str| {
        namespace
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if below(PROMISES) {
        return true;
    }
    let known = ["kubernetes.io", "k8s.io"].into_iter().any(below);
    let own = OWN_LABELS.contains(&label) || OWN_NAMESPACES.into_iter().any(below);
    known && !own
}
