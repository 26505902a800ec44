//! What the agent of a node may do: read what its pods need, and write only what is its own.
//!
//! As upstream, objects with content of users' are read by name, and only those that a pod of the node names (`graph`).
//! Looser than upstream, for our own agent: it reads namespaces, whose labels and uid count for their pods; it follows
//! all PersistentVolumes, because it removes the folders of its own; and getting a pod that is not there is answered with 404,
//! which is how it learns that one is gone.

mod graph;

use super::{Attributes, Decision, Object, What};
use crate::api::{Api, Result};
use crate::read::find;
use crate::user::UserInfo;
use graph::{Kind, Thing};
use sampan_api::resource::find as find_resource;
use sampan_api::status::Status;

pub(crate) use graph::{Relations, SETTINGS};

/// Where agents keep their heartbeats.
const LEASES: &str = "kube-node-lease";

/// What a question comes to: yes, or no and why.
type Opinion = std::result::Result<(), String>;

pub(super) async fn decide(api: &Api, node: &str, asked: &Attributes<'_>) -> Result<Decision> {
    let What::Resource(object) = &asked.what else {
        return Ok(Decision::no_opinion(""));
    };
    if node.is_empty() {
        let why = format!("unknown node for user {:?}", UserInfo::node(node).name);
        return Ok(Decision::no_opinion(why));
    }
    Ok(match opinion(api, node, asked.verb, object).await? {
        Ok(()) => Decision::allow(""),
        Err(why) => Decision::no_opinion(why),
    })
}

async fn opinion(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    let reads = matches!(verb, "get" | "list" | "watch");
    let changes = matches!(verb, "update" | "patch");
    Ok(match (object.group, object.resource, object.subresource) {
        ("", "secrets", _) => readable(api, node, verb, object, Kind::Secret).await?,
        ("", "configmaps", _) => readable(api, node, verb, object, Kind::ConfigMap).await?,
        ("", "serviceaccounts", _) => account(api, node, verb, object).await?,
        ("", "persistentvolumeclaims", "status") if changes => {
            named(api, node, object, Kind::Claim).await?
        }
        ("", "persistentvolumeclaims", "status") => no("can only get/update/patch this type"),
        ("", "persistentvolumeclaims", _) => one(api, node, verb, object, Kind::Claim).await?,
        ("resource.k8s.io", "resourceclaims", _) => {
            one(api, node, verb, object, Kind::ResourceClaim).await?
        }
        ("", "persistentvolumes", "") => volume(api, node, verb, object).await?,
        ("storage.k8s.io", "volumeattachments", _) => attachment(api, node, verb, object).await?,
        ("", "nodes", _) => own_node(node, verb, object),
        ("", "pods", _) => pod(api, node, verb, object).await?,
        ("coordination.k8s.io", "leases", "") => {
            // Heartbeats keep the graph warm: its history is short.
            drop(api.relations.now(api).await?);
            lease(node, verb, object)
        }
        ("storage.k8s.io", "csinodes", _) => csi_node(node, verb, object),
        ("resource.k8s.io", "resourceslices", _) => slice(api, node, verb, object).await?,
        ("" | "events.k8s.io", "events", "") => when(verb == "create" || changes),
        ("storage.k8s.io", "csidrivers", "")
        | ("node.k8s.io", "runtimeclasses", "")
        | ("", "services", "") => when(reads),
        ("", "namespaces" | "endpoints", "") => when(verb == "get"),
        ("certificates.k8s.io", "certificatesigningrequests", "") => {
            when(verb == "create" || reads)
        }
        ("certificates.k8s.io", "certificatesigningrequests", "selfnodeclient")
        | ("authentication.k8s.io", "tokenreviews", "")
        | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "") => {
            when(verb == "create")
        }
        _ => no(""),
    })
}

fn no(why: impl Into<String>) -> Opinion {
    Err(why.into())
}

fn when(allowed: bool) -> Opinion {
    if allowed { Ok(()) } else { no("") }
}

fn unrelated(node: &str) -> Opinion {
    no(format!(
        "no relationship found between node '{node}' and this object"
    ))
}

/// Whether a pod of the node names the object.
async fn named(api: &Api, node: &str, object: &Object<'_>, kind: Kind) -> Result<Opinion> {
    if object.name.is_empty() {
        return Ok(no("No Object name found"));
    }
    let thing = Thing::new(kind, object.namespace, object.name);
    if api.relations.now(api).await?.has(node, &thing) {
        return Ok(Ok(()));
    }
    Ok(unrelated(node))
}

/// Reads of one object, watching included.
async fn readable(
    api: &Api,
    node: &str,
    verb: &str,
    object: &Object<'_>,
    kind: Kind,
) -> Result<Opinion> {
    if !matches!(verb, "get" | "list" | "watch") {
        return Ok(no("can only read resources of this type"));
    }
    if !object.subresource.is_empty() {
        return Ok(no("cannot read subresource"));
    }
    if object.namespace.is_empty() {
        return Ok(no("can only read namespaced object of this type"));
    }
    named(api, node, object, kind).await
}

fn only_get(verb: &str, object: &Object<'_>) -> Opinion {
    if verb != "get" {
        return no("can only get individual resources of this type");
    }
    if !object.subresource.is_empty() {
        return no("cannot get subresource");
    }
    Ok(())
}

/// A get of one object.
async fn one(
    api: &Api,
    node: &str,
    verb: &str,
    object: &Object<'_>,
    kind: Kind,
) -> Result<Opinion> {
    match only_get(verb, object) {
        Ok(()) => named(api, node, object, kind).await,
        refused => Ok(refused),
    }
}

async fn account(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    let kind = Kind::ServiceAccount;
    if verb == "get" && object.subresource.is_empty() {
        return readable(api, node, verb, object, kind).await;
    }
    if verb != "create" || object.name.is_empty() {
        return Ok(no("can only create tokens for individual service accounts"));
    }
    if object.subresource != "token" {
        return Ok(no("can only create token subresource of serviceaccount"));
    }
    named(api, node, object, kind).await
}

/// A node keeps the folders of its volumes until they are deleted, and says then that they are gone.
async fn volume(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    match verb {
        "list" | "watch" => Ok(Ok(())),
        "get" if api.relations.now(api).await?.has_volume(node, object.name) => Ok(Ok(())),
        "get" | "update" | "patch" => {
            // One that is not there may be asked for.
            let spec = spec_of(api, "", object).await?;
            Ok(match spec.is_none_or(|spec| lies_on(&spec, node)) {
                true => Ok(()),
                false => unrelated(node),
            })
        }
        _ => Ok(unrelated(node)),
    }
}

async fn attachment(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    if let Err(why) = only_get(verb, object) {
        return Ok(no(why));
    }
    let spec = spec_of(api, "storage.k8s.io", object).await?;
    match spec.is_some_and(|spec| spec["nodeName"] == node) {
        true => Ok(Ok(())),
        false => Ok(unrelated(node)),
    }
}

fn own_node(node: &str, verb: &str, object: &Object<'_>) -> Opinion {
    let own = object.name == node;
    match (object.subresource, verb) {
        ("", "create") => Ok(()),
        ("" | "status", "update" | "patch") => when(own),
        ("", "get" | "list" | "watch") if own => Ok(()),
        ("", "get" | "list" | "watch") if object.name.is_empty() => no(format!(
            "node '{node}' cannot read all nodes, only its own Node object"
        )),
        ("", "get" | "list" | "watch") => no(format!(
            "node '{node}' cannot read '{}', only its own Node object",
            object.name
        )),
        _ => no(""),
    }
}

async fn pod(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    let selected = |field: &str| object.fields.and_then(|fields| fields.exact(field));
    Ok(match (object.subresource, verb) {
        ("", "list" | "watch") if selected("spec.nodeName") == Some(node) => Ok(()),
        ("", "list" | "watch") if object.name.is_empty() => {
            no("can only list/watch pods with spec.nodeName field selector")
        }
        ("", "get") if bound_to(api, node, object).await? => Ok(()),
        // A pod of that name may come on any node, and without a namespace it is many pods.
        ("", "list" | "watch")
            if !object.namespace.is_empty()
                && node_of(api, object).await?.is_some_and(|on| on == node) =>
        {
            Ok(())
        }
        ("", "get" | "list" | "watch") => unrelated(node),
        // Mirror pods of the node itself; admission looks at what is in them.
        ("", "create") => Ok(()),
        ("", "delete") | ("status", "update" | "patch") | ("eviction", "create") => {
            when(bound_to(api, node, object).await?)
        }
        _ => no(""),
    })
}

fn lease(node: &str, verb: &str, object: &Object<'_>) -> Opinion {
    if !matches!(verb, "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a node lease");
    }
    if object.namespace != LEASES {
        return no(format!(
            "can only access leases in the {LEASES:?} system namespace"
        ));
    }
    if verb != "create" && object.name != node {
        return no("can only access node lease with the same name as the requesting node");
    }
    Ok(())
}

fn csi_node(node: &str, verb: &str, object: &Object<'_>) -> Opinion {
    if !matches!(verb, "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a CSINode");
    }
    if !object.subresource.is_empty() {
        return no("cannot authorize CSINode subresources");
    }
    if verb != "create" && object.name != node {
        return no("can only access CSINode with the same name as the requesting node");
    }
    Ok(())
}

/// Admission sees to it that a new slice names its node.
async fn slice(api: &Api, node: &str, verb: &str, object: &Object<'_>) -> Result<Opinion> {
    if !object.subresource.is_empty() {
        return Ok(no("cannot authorize ResourceSlice subresources"));
    }
    let selected = object
        .fields
        .and_then(|fields| fields.exact("spec.nodeName"));
    Ok(match verb {
        "create" => Ok(()),
        "get" | "update" | "patch" | "delete" => {
            if object.name.is_empty() {
                return Ok(no("No Object name found"));
            }
            // One that is not there may be asked for.
            match spec_of(api, "resource.k8s.io", object).await? {
                Some(spec) if spec["nodeName"] != node => unrelated(node),
                _ => Ok(()),
            }
        }
        "list" | "watch" | "deletecollection" if selected == Some(node) => Ok(()),
        "list" | "watch" | "deletecollection" => {
            no("can only list/watch/deletecollection resourceslices with nodeName field selector")
        }
        _ => no(
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
        ),
    })
}

/// The spec of the object, if it is there.
async fn spec_of(api: &Api, group: &str, object: &Object<'_>) -> Result<Option<serde_json::Value>> {
    let row = find_resource(group, "v1", object.resource).ok_or_else(Status::path_not_found)?;
    let found = find(api, row, object.namespace, object.name).await?;
    Ok(found.map(|found| {
        let mut value: serde_json::Value =
            serde_json::from_slice(&found.object.raw).unwrap_or_default();
        value["spec"].take()
    }))
}

/// Whether the pod is bound to this node. One that is not there may be asked for: the answer is 404.
async fn bound_to(api: &Api, node: &str, object: &Object<'_>) -> Result<bool> {
    Ok(node_of(api, object).await?.is_none_or(|on| on == node))
}

/// The node of a pod, empty if it has none yet; none if there is no such pod.
async fn node_of(api: &Api, object: &Object<'_>) -> Result<Option<String>> {
    let row = find_resource("", "v1", "pods").ok_or_else(Status::path_not_found)?;
    let pod = find(api, row, object.namespace, object.name).await?;
    let node = |pod: crate::object::Stored| pod.object.field("spec.nodeName").map(str::to_owned);
    Ok(pod.map(|pod| node(pod).unwrap_or_default()))
}

/// Whether a volume of this spec can be used on the node only.
pub(crate) fn lies_on(spec: &serde_json::Value, node: &str) -> bool {
    let terms = &spec["nodeAffinity"]["required"]["nodeSelectorTerms"];
    let terms = terms.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_here = |term: &serde_json::Value| {
        let expressions = term["matchExpressions"].as_array();
        expressions.into_iter().flatten().any(|wanted| {
            wanted["key"] == "kubernetes.io/hostname"
                && wanted["operator"] == "In"
                && wanted["values"] == serde_json::json!([node])
        })
    };
    !terms.is_empty() && terms.iter().all(is_here)
}
