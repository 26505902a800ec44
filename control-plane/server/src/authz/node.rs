//! What the agent of a node may do: read what its pods need, and write only what is its own.
//!
//! Secrets, ConfigMaps and claims may be read whoever they belong to: this is looser than upstream, which follows the
//! references of the node's pods.

use super::{Attributes, Decision, Object, What};
use crate::api::{Api, Result};
use crate::object::Stored;
use crate::read::{find, prefix, range_failed_now};
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_store::RangeRequest;

/// Where agents keep their heartbeats.
const LEASES: &str = "kube-node-lease";

pub(super) async fn decide(api: &Api, node: &str, asked: &Attributes<'_>) -> Result<Decision> {
    let What::Resource(object) = &asked.what else {
        return Ok(Decision::no_opinion(""));
    };
    let verb = asked.verb;
    let own = object.name == node;
    let reads = matches!(verb, "get" | "list" | "watch");
    let changes = matches!(verb, "update" | "patch");
    let allowed = match (object.group, object.resource, object.subresource) {
        ("", "nodes", "" | "status") => reads || verb == "create" || own && changes,
        ("coordination.k8s.io", "leases", "") => {
            if object.namespace != LEASES {
                let why = format!("can only access leases in the {LEASES:?} system namespace");
                return Ok(Decision::no_opinion(why));
            }
            verb == "create" || own && (changes || matches!(verb, "get" | "delete"))
        }
        ("", "pods", "") if reads => true,
        // Mirror pods of the node itself; admission looks at what is in them.
        ("", "pods", "") if verb == "create" => true,
        ("", "pods", "") if verb == "delete" => bound_to(api, node, object).await?,
        ("", "pods", "status") => reads || changes && bound_to(api, node, object).await?,
        ("", "pods", "eviction") => verb == "create" && bound_to(api, node, object).await?,
        ("", "serviceaccounts", "token") => {
            if verb != "create" || !runs(api, node, object).await? {
                let why = format!("no relationship found between node '{node}' and this object");
                return Ok(Decision::no_opinion(why));
            }
            true
        }
        ("" | "events.k8s.io", "events", "") => matches!(verb, "create" | "patch" | "update"),
        ("storage.k8s.io", "csinodes", "") => {
            verb == "create" || own && (changes || matches!(verb, "get" | "delete"))
        }
        ("storage.k8s.io", "volumeattachments", "") => verb == "get",
        ("storage.k8s.io", "csidrivers", "") | ("node.k8s.io", "runtimeclasses", "") => reads,
        ("resource.k8s.io", "resourceclaims", "") => verb == "get",
        // Admission sees to it that a new one names its node.
        ("resource.k8s.io", "resourceslices", "") => match verb {
            "list" | "watch" | "create" => true,
            "get" | "update" | "patch" | "delete" => published_by(api, node, object).await?,
            _ => false,
        },
        ("", "persistentvolumeclaims", "") => verb == "get",
        // A node keeps the folders of its volumes until they are deleted, and says then that they are gone.
        ("", "persistentvolumes", "") => reads || changes && lies_on(api, node, object).await?,
        ("", "persistentvolumeclaims", "status") => changes || verb == "get",
        ("", "configmaps" | "secrets" | "services" | "serviceaccounts" | "namespaces", "") => reads,
        ("certificates.k8s.io", "certificatesigningrequests", "") => verb == "create" || reads,
        ("certificates.k8s.io", "certificatesigningrequests", "selfnodeclient") => verb == "create",
        ("authentication.k8s.io", "tokenreviews", "")
        | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "") => {
            verb == "create"
        }
        _ => false,
    };
    Ok(if allowed {
        Decision::allow("")
    } else {
        Decision::no_opinion("")
    })
}

fn pods() -> Result<&'static Resource> {
    find_resource("", "v1", "pods").ok_or_else(Status::path_not_found)
}

/// Whether the pod is bound to this node. One that is not there may be asked for: the answer is 404.
async fn bound_to(api: &Api, node: &str, object: &Object<'_>) -> Result<bool> {
    let pod = find(api, pods()?, object.namespace, object.name).await?;
    Ok(pod.is_none_or(|pod| pod.object.field("spec.nodeName") == Some(node)))
}

/// Whether the slice of devices is the node's own. One that is not there may be asked for.
async fn published_by(api: &Api, node: &str, object: &Object<'_>) -> Result<bool> {
    let row = find_resource("resource.k8s.io", "v1", "resourceslices");
    let row = row.ok_or_else(Status::path_not_found)?;
    let Some(slice) = find(api, row, object.namespace, object.name).await? else {
        return Ok(true);
    };
    let value: serde_json::Value = serde_json::from_slice(&slice.object.raw).unwrap_or_default();
    Ok(value["spec"]["nodeName"] == node)
}

/// Whether the volume can be used on this node only.
async fn lies_on(api: &Api, node: &str, object: &Object<'_>) -> Result<bool> {
    let row = find_resource("", "v1", "persistentvolumes").ok_or_else(Status::path_not_found)?;
    let Some(volume) = find(api, row, object.namespace, object.name).await? else {
        return Ok(true);
    };
    let value: serde_json::Value = serde_json::from_slice(&volume.object.raw).unwrap_or_default();
    let terms = &value["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
    let terms = terms.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_here = |term: &serde_json::Value| {
        let expressions = term["matchExpressions"].as_array();
        expressions.into_iter().flatten().any(|wanted| {
            wanted["key"] == "kubernetes.io/hostname"
                && wanted["operator"] == "In"
                && wanted["values"] == serde_json::json!([node])
        })
    };
    Ok(!terms.is_empty() && terms.iter().all(is_here))
}

/// Whether a pod on this node runs as the account.
async fn runs(api: &Api, node: &str, account: &Object<'_>) -> Result<bool> {
    if account.namespace.is_empty() || account.name.is_empty() {
        return Ok(false);
    }
    let page = api
        .store
        .range(RangeRequest::all(prefix(pods()?, account.namespace)))
        .await
        .map_err(range_failed_now)?;
    Ok(page.entries.iter().any(|pod: &Stored| {
        pod.object.field("spec.nodeName") == Some(node)
            && pod.object.field("spec.serviceAccountName") == Some(account.name)
    }))
}
