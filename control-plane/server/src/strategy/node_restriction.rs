//! What an agent may create, in the words of upstream's NodeRestriction: what bears its name, and pods that stand for
//! what runs on it anyway; what it may delete, and what it may change (`updates`).
//!
//! The authorizer looked at an object of that name before the body came, which is the agent's to send when it likes. What
//! counts is the object that is about to be changed.

mod updates;

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::object::Obj;
use crate::read::find;
use crate::user::UserInfo;

pub(crate) use updates::may_update;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// Looks at an object somebody wants to create. Only agents are restricted.
pub(crate) async fn may_create(
    api: &Api,
    user: &UserInfo,
    resource: &Resource,
    value: &Value,
) -> Result<()> {
    let name = object::name(value);
    let Some(node) = restricted(user, resource, name)? else {
        return Ok(());
    };
    let refused = match resource.bucket {
        "nodes" | "leases" if name != node => Some(format!(
            "node {node:?} is not allowed to modify {} {name:?}",
            resource.singular
        )),
        "nodes" => updates::new_node(node, value),
        "csinodes" if name != node => {
            Some("can only access CSINode with the same name as the requesting node".to_owned())
        }
        "resourceslices" if object::text(value, "spec.nodeName") != node => {
            Some(other_slice("create"))
        }
        "pods" => match pod(node, value) {
            Ok(owner_uid) => other_uid(api, node, owner_uid).await?,
            Err(why) => Some(why),
        },
        _ => None,
    };
    match refused {
        Some(why) => Err(Status::forbidden(resource, name, &why)),
        None => Ok(()),
    }
}

/// How an object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    Plain,
    Eviction,
}

/// Looks at an object somebody wants to delete. Only agents are restricted.
pub(crate) fn may_delete(
    user: &UserInfo,
    resource: &Resource,
    deleted: &Obj,
    how: Deletion,
) -> Result<()> {
    let name = deleted.name();
    let Some(node) = restricted(user, resource, name)? else {
        return Ok(());
    };
    let other = |object: &Obj| object.field("spec.nodeName") != Some(node);
    let refused = match (resource.bucket, how) {
        ("pods", Deletion::Plain) if other(deleted) => Some(format!(
            "node {node:?} can only delete pods with spec.nodeName set to itself"
        )),
        ("pods", Deletion::Eviction) if other(deleted) => Some(format!(
            "node {node} can only evict pods with spec.nodeName set to itself"
        )),
        ("resourceslices", _) if other(deleted) => Some(other_slice("delete")),
        _ => None,
    };
    match refused {
        Some(why) => Err(Status::forbidden(resource, name, &why)),
        None => Ok(()),
    }
}

fn other_slice(verb: &str) -> String {
    format!("can only {verb} ResourceSlice with the same NodeName as the requesting node")
}

/// The node whose agent the user is.
fn restricted<'a>(user: &'a UserInfo, resource: &Resource, name: &str) -> Result<Option<&'a str>> {
    match user.node_name() {
        Some("") => {
            let why = format!("could not determine node from user {:?}", user.name);
            Err(Status::forbidden(resource, name, &why))
        }
        node => Ok(node),
    }
}

/// Pods of an agent are mirror pods: owned by its node, and without a word that would give it what others own. The
/// owner's uid remains to be looked at.
fn pod<'a>(node: &str, pod: &'a Value) -> std::result::Result<&'a str, String> {
    let only = |what: &str| Err(format!("node {node:?} can only create pods with {what}"));
    if object::annotation(pod, MIRROR).is_none() {
        return Err(format!(
            "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
        ));
    }
    if object::text(pod, "spec.nodeName") != node {
        return only("spec.nodeName set to itself");
    }
    let owner = match object::items(pod, "metadata.ownerReferences") {
        [] => return only("an owner reference set to itself"),
        [owner] => owner,
        _ => return only("a single owner reference set to itself"),
    };
    let is = |field: &str, wanted: &str| object::text(owner, field) == wanted;
    if !is("apiVersion", "v1") || !is("kind", "Node") || !is("name", node) {
        return only("an owner reference set to itself");
    }
    if !object::flag(owner, "controller") {
        return only("a controller owner reference set to itself");
    }
    if object::flag(owner, "blockOwnerDeletion") {
        return Err(format!(
            "node {node:?} must not set blockOwnerDeletion on an owner reference"
        ));
    }
    match reference(pod) {
        Some(what) => Err(format!(
            "node {node:?} can not create pods that reference {what}"
        )),
        None => Ok(object::text(owner, "uid")),
    }
}

async fn other_uid(api: &Api, node: &str, uid: &str) -> Result<Option<String>> {
    let row = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let Some(found) = find(api, row, "", node).await? else {
        return Err(Status::not_found(row, node));
    };
    let found = found.object.uid();
    let why = format!("node {node} UID mismatch: expected {uid} got {found}");
    Ok((found != uid).then_some(why))
}

/// The first API object the pod would use.
fn reference(pod: &Value) -> Option<&'static str> {
    let spec = object::part(pod, "spec");
    if !object::is_empty(spec, "serviceAccountName") || !object::is_empty(spec, "serviceAccount") {
        return Some("serviceaccounts");
    }
    if !object::is_empty(spec, "imagePullSecrets")
        || holds(spec, &["secretKeyRef", "secretRef", "secretName"])
    {
        return Some("secrets");
    }
    if holds(spec, &["configMapKeyRef", "configMapRef"]) {
        return Some("configmaps");
    }
    if !object::is_empty(spec, "resourceClaims") {
        return Some("resourceclaims");
    }
    let volumes = object::items(spec, "volumes").iter();
    let projected = volumes
        .clone()
        .flat_map(|volume| object::items(volume, "projected.sources"));
    volumes.chain(projected).find_map(source)
}

/// The API object behind a volume, or behind one source of a projected one.
fn source(source: &Value) -> Option<&'static str> {
    const KINDS: [(&str, &str); 10] = [
        ("configMap", "configmaps (via volumes)"),
        ("secret", "secrets (via volumes)"),
        ("csi", "csidrivers (via CSI volumes)"),
        ("glusterfs", "endpoints (via glusterFS volumes)"),
        ("persistentVolumeClaim", "persistentvolumeclaims"),
        (
            "ephemeral",
            "persistentvolumeclaims (via ephemeral volumes)",
        ),
        ("azureFile", "secrets (via azureFile volumes)"),
        (
            "serviceAccountToken",
            "serviceaccounts (via projected volumes)",
        ),
        ("clusterTrustBundle", "clustertrustbundles"),
        ("podCertificate", "podcertificates"),
    ];
    let mut kinds = KINDS.iter();
    let found = kinds.find(|(field, _)| object::get(source, field).is_some());
    found.map(|(_, what)| *what)
}

/// Whether one of the fields is there, at any depth.
pub(super) fn holds(value: &Value, fields: &[&str]) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, value)| {
            fields.contains(&name.as_str()) && !value.is_null() || holds(value, fields)
        }),
        Value::Array(items) => items.iter().any(|item| holds(item, fields)),
        _ => false,
    }
}
