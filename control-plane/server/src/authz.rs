//! Authorization: fixed rules for the identities this program makes itself. RBAC is not evaluated.
//!
//! `system:masters` may do everything. Scheduler and controllers may do what their work takes. An agent may read what
//! pods need, and write only its own node, its own lease, and pods bound to it. Everybody who is authenticated may read
//! discovery; everybody may ask for the version and for health.

use http::Method;
use http::request::Parts;
use sampan_api::status::{Details, Status};

use crate::api::{Api, Result};
use crate::read::find;
use crate::request::{ResourceTarget, Target};
use crate::user::{AUTHENTICATED, CONTROLLER_MANAGER, MASTERS, SCHEDULER, UserInfo};

/// Where agents keep their heartbeats.
const NODE_LEASES: &str = "kube-node-lease";

/// Lets the request pass, or 403 in upstream's words.
pub(crate) async fn authorize(
    api: &Api,
    user: &UserInfo,
    verb: &'static str,
    parts: &Parts,
    target: &Target,
) -> Result<()> {
    if user.in_group(MASTERS) {
        return Ok(());
    }
    let Target::Resource(target) = target else {
        return path(user, verb, &parts.method, parts.uri.path(), target);
    };
    let allowed = match user.name.as_str() {
        SCHEDULER => scheduler(verb, target),
        CONTROLLER_MANAGER => true,
        _ => match user.node_name() {
            Some(node) => agent(api, node, verb, target).await?,
            None => false,
        },
    };
    if allowed {
        return Ok(());
    }
    let ResourceTarget {
        resource,
        namespace,
        name,
        subresource,
        ..
    } = target;
    Err(Status::forbidden_access(
        &user.name,
        verb,
        resource,
        subresource,
        namespace,
        name,
    ))
}

fn path(user: &UserInfo, verb: &str, method: &Method, path: &str, target: &Target) -> Result<()> {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    let allowed = match target {
        Target::Version | Target::Health(_) => reading,
        _ => reading && user.in_group(AUTHENTICATED),
    };
    if allowed {
        Ok(())
    } else {
        Err(Status::forbidden_path(&user.name, verb, path))
    }
}

fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

fn scheduler(verb: &str, target: &ResourceTarget) -> bool {
    match (target.resource.bucket, target.subresource.as_str()) {
        ("secrets", _) => false,
        _ if reads(verb) => true,
        ("pods", "binding") | ("", "") => verb == "create",
        ("pods", "status") => matches!(verb, "patch" | "update"),
        ("pods", "") => verb == "delete",
        ("events", _) => matches!(verb, "create" | "patch" | "update"),
        ("leases", _) => {
            target.namespace == "kube-system" && matches!(verb, "create" | "update" | "patch")
        }
        _ => false,
    }
}

async fn agent(api: &Api, node: &str, verb: &str, target: &ResourceTarget) -> Result<bool> {
    let own_name = target.name == node;
    Ok(
        match (target.resource.bucket, target.subresource.as_str()) {
            ("nodes", "" | "status") => {
                reads(verb) || verb == "create" || own_name && matches!(verb, "update" | "patch")
            }
            ("leases", "") => {
                target.namespace == NODE_LEASES
                    && (verb == "create"
                        || own_name && matches!(verb, "get" | "update" | "patch" | "delete"))
            }
            ("pods", "") if reads(verb) => true,
            ("pods", "") if verb == "delete" => bound_to(api, node, target).await?,
            ("pods", "status") => reads(verb) || bound_to(api, node, target).await?,
            ("events", _) => matches!(verb, "create" | "patch" | "update"),
            (
                "configmaps" | "secrets" | "services" | "serviceaccounts" | "namespaces"
                | "runtimeclasses",
                "",
            ) => reads(verb),
            _ => false,
        },
    )
}

/// Whether the pod is bound to this node. One that is not there may be asked for: the answer is 404.
async fn bound_to(api: &Api, node: &str, target: &ResourceTarget) -> Result<bool> {
    let pod = find(api, target.resource, &target.namespace, &target.name).await?;
    Ok(pod.is_none_or(|pod| pod.object.field("spec.nodeName") == Some(node)))
}

/// 403 for a user who may not act as another.
pub(crate) fn impersonation_forbidden(user: &UserInfo, target: &str) -> Status {
    Status {
        code: 403,
        reason: "Forbidden",
        message: format!(
            "users \"{target}\" is forbidden: User \"{}\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            user.name
        ),
        details: Some(Box::new(Details {
            name: target.to_owned(),
            kind: "users".into(),
            ..Details::default()
        })),
        continue_token: None,
    }
}
