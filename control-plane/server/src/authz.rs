//! Authorization: who may do what.
//!
//! Three opinions in upstream's order; the first that allows decides. `system:masters` may do everything. A node may do
//! what the agent of that node needs (`node`). Everybody else may do what roles bound to them say (`rbac`). What nobody
//! allows is refused.

mod cover;
mod node;
mod rbac;
mod rule;

use http::request::Parts;
use sampan_api::selector::FieldSelector;
use sampan_api::status::Status;

pub(crate) use cover::uncovered;
pub(crate) use node::{Relations, SETTINGS, lies_on};
pub(crate) use rbac::{GROUP, Policy};
pub(crate) use rule::Rule;

use crate::api::{Api, Result};
use crate::request::{Query, ResourceTarget, Target, Unserved};
use crate::user::{MASTERS, UserInfo};

/// What somebody wants to do: upstream's `authorizer.Attributes`.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) what: What<'a>,
}

/// To what.
#[derive(Clone, Debug)]
pub(crate) enum What<'a> {
    Resource(Object<'a>),
    /// A path that is no object's.
    Path(&'a str),
}

/// An object, a collection, or a part of an object. The names need not be those of anything that is served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    /// Empty: cluster scope or all namespaces.
    pub(crate) namespace: &'a str,
    /// Empty: any.
    pub(crate) name: &'a str,
    /// What a collection is narrowed to.
    pub(crate) fields: Option<&'a FieldSelector>,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// Why; may be empty.
    pub(crate) reason: String,
}

impl Decision {
    fn allow(reason: impl Into<String>) -> Decision {
        Decision {
            allowed: true,
            reason: reason.into(),
        }
    }

    fn no_opinion(reason: impl Into<String>) -> Decision {
        Decision {
            allowed: false,
            reason: reason.into(),
        }
    }
}

/// Whether a user may.
pub(crate) async fn decide(api: &Api, user: &UserInfo, asked: &Attributes<'_>) -> Result<Decision> {
    if user.in_group(MASTERS) {
        return Ok(Decision::allow(""));
    }
    let mut reasons = String::new();
    if let Some(node) = user.node_name() {
        let decision = node::decide(api, node, asked).await?;
        if decision.allowed {
            return Ok(decision);
        }
        reasons = decision.reason;
    }
    let mut decision = api.policy.tables(api).await?.decide(user, asked);
    if !decision.allowed && !reasons.is_empty() {
        let rest = std::mem::replace(&mut decision.reason, reasons);
        if !rest.is_empty() {
            decision.reason.push('\n');
            decision.reason.push_str(&rest);
        }
    }
    Ok(decision)
}

/// Lets the request pass, or 403 in upstream's words.
pub(crate) async fn authorize(
    api: &Api,
    user: &UserInfo,
    verb: &'static str,
    parts: &Parts,
    query: &Query,
    target: &Target,
) -> Result<()> {
    if user.in_group(MASTERS) {
        return Ok(());
    }
    let Target::Resource(target) = target else {
        let path = parts.uri.path();
        if matches!(target, Target::Unknown | Target::Stream(_))
            && let Some(asked) = Unserved::parse(&parts.method, path, query)
        {
            return authorize_unserved(api, user, &asked).await;
        }
        let what = What::Path(path);
        let decision = decide(api, user, &Attributes { verb, what }).await?;
        if decision.allowed {
            return Ok(());
        }
        let status = Status::forbidden_path(&user.name, verb, path);
        return Err(with_reason(status, &decision.reason));
    };
    // Of what is written, a selector tells nothing.
    let fields = match verb {
        "list" | "watch" | "deletecollection" => selector(target, query),
        _ => None,
    };
    // A list or watch of the one object that a selector names counts as a request about that object.
    let selected = (fields.as_ref())
        .filter(|_| verb != "deletecollection")
        .and_then(|fields| fields.exact("metadata.name"));
    let name = selected.unwrap_or(&target.name);
    authorize_target(api, user, verb, target, name, fields.as_ref()).await
}

async fn authorize_unserved(api: &Api, user: &UserInfo, asked: &Unserved) -> Result<()> {
    let object = Object {
        group: &asked.group,
        resource: &asked.resource,
        subresource: &asked.subresource,
        namespace: &asked.namespace,
        name: &asked.name,
        fields: None,
    };
    let (verb, what) = (asked.verb, What::Resource(object.clone()));
    let decision = decide(api, user, &Attributes { verb, what }).await?;
    if decision.allowed {
        return Ok(());
    }
    Err(forbidden_object(user, verb, &object, &decision.reason))
}

/// Lets somebody create an object by another verb, or 403.
pub(crate) async fn authorize_creation(
    api: &Api,
    user: &UserInfo,
    target: &ResourceTarget,
) -> Result<()> {
    authorize_target(api, user, "create", target, &target.name, None).await
}

async fn authorize_target(
    api: &Api,
    user: &UserInfo,
    verb: &str,
    target: &ResourceTarget,
    name: &str,
    fields: Option<&FieldSelector>,
) -> Result<()> {
    let what = What::Resource(Object {
        group: target.resource.group,
        resource: target.resource.plural,
        subresource: &target.subresource,
        // A namespace is itself what its requests are about.
        namespace: match target.resource.plural {
            "namespaces" => &target.name,
            _ => &target.namespace,
        },
        name,
        fields,
    });
    let decision = decide(
        api,
        user,
        &Attributes {
            verb,
            what: what.clone(),
        },
    )
    .await?;
    if decision.allowed {
        return Ok(());
    }
    Err(forbidden(user, verb, target, &what, &decision.reason))
}

/// The field selector of a collection, where it can be read.
fn selector(target: &ResourceTarget, query: &Query) -> Option<FieldSelector> {
    if !target.name.is_empty() {
        return None;
    }
    FieldSelector::parse(query.get("fieldSelector")?).ok()
}

fn forbidden(
    user: &UserInfo,
    verb: &str,
    target: &ResourceTarget,
    what: &What<'_>,
    reason: &str,
) -> Status {
    let What::Resource(object) = what else {
        return Status::forbidden_path(&user.name, verb, "");
    };
    let status = Status::forbidden_access(
        &user.name,
        verb,
        target.resource,
        &target.subresource,
        object.namespace,
        object.name,
    );
    with_reason(status, reason)
}

fn with_reason(mut status: Status, reason: &str) -> Status {
    if !reason.is_empty() {
        status.message.push_str(": ");
        status.message.push_str(reason);
    }
    status
}

/// 403 for somebody who may not act on something that is no served resource: users, groups, signers.
pub(crate) fn forbidden_object(
    user: &UserInfo,
    verb: &str,
    object: &Object<'_>,
    reason: &str,
) -> Status {
    let Object {
        group,
        resource,
        subresource,
        namespace,
        name,
        ..
    } = *object;
    let status = Status::forbidden_named(
        &user.name,
        verb,
        (group, resource, subresource),
        namespace,
        name,
    );
    with_reason(status, reason)
}

/// The rules that hold for a user in a namespace, and whether more may hold than can be listed.
pub(crate) async fn rules_for(
    api: &Api,
    user: &UserInfo,
    namespace: &str,
) -> Result<(Vec<Rule>, bool, String)> {
    let (rules, errors) = api.policy.tables(api).await?.rules_for(user, namespace);
    let mut complaints = errors;
    let node = user.node_name().is_some();
    if node {
        let why = "node authorizer does not support user rule resolution";
        complaints.insert(0, why.to_owned());
    }
    Ok((rules, node, complaints.join(", ")))
}
