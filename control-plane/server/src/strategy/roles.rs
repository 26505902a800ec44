//! Roles and bindings: nobody gives what he does not have.

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::authz::{Attributes, GROUP, Object, Rule, What, decide, rules_for, uncovered};
use crate::user::{MASTERS, UserInfo};

/// Refuses a role or binding by which a user would give more than his own rights.
pub(super) async fn admit(
    api: &Api,
    user: &UserInfo,
    resource: &Resource,
    new: &Value,
    old: Option<&Value>,
) -> Result<()> {
    if user.in_group(MASTERS) || old.is_some_and(|old| only_collected(new, old)) {
        return Ok(());
    }
    let (namespace, name) = (object::namespace(new), object::name(new));
    let refuse = |why: String| Err(Status::forbidden(resource, name, &why));
    if resource.plural.ends_with("bindings") {
        let (kind, role) = (
            object::text(new, "roleRef.kind"),
            object::text(new, "roleRef.name"),
        );
        let plural = if kind == "Role" {
            "roles"
        } else {
            "clusterroles"
        };
        if may(api, user, "bind", plural, namespace, role).await? {
            return Ok(());
        }
        let tables = api.policy.tables(api).await?;
        let Some(rules) = tables.rules(kind, namespace, role) else {
            let row = find_resource(GROUP, "v1", plural).ok_or_else(Status::path_not_found)?;
            return Err(Status::not_found(row, role));
        };
        return match missing(api, user, namespace, rules).await? {
            Some(why) => refuse(why),
            None => Ok(()),
        };
    }
    let known = if old.is_some() { name } else { "" };
    if may(api, user, "escalate", resource.plural, namespace, known).await? {
        return Ok(());
    }
    if let Some(why) = missing(api, user, namespace, &Rule::all(new)).await? {
        return refuse(why);
    }
    let gathers = |role: &Value| !object::is_empty(role, "aggregationRule.clusterRoleSelectors");
    if (gathers(new) || old.is_some_and(gathers))
        && missing(api, user, namespace, &Rule::everything())
            .await?
            .is_some()
    {
        return refuse("must have cluster-admin privileges to use the aggregationRule".to_owned());
    }
    Ok(())
}

async fn may(
    api: &Api,
    user: &UserInfo,
    verb: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<bool> {
    let what = What::Resource(Object {
        group: GROUP,
        resource,
        namespace,
        name,
        ..Object::default()
    });
    Ok(decide(api, user, &Attributes { verb, what }).await?.allowed)
}

/// What of the rules the user does not have, in upstream's words.
async fn missing(
    api: &Api,
    user: &UserInfo,
    namespace: &str,
    wanted: &[Rule],
) -> Result<Option<String>> {
    /// More would not be read.
    const MAX_SHOWN: usize = 100;
    const MAX_BYTES: usize = 64 * 1024;
    let (held, _, errors) = rules_for(api, user, namespace).await?;
    let missing = uncovered(&held, wanted);
    if missing.is_empty() {
        return Ok(None);
    }
    let mut bytes = 0;
    let shown: Vec<String> = missing
        .iter()
        .take(MAX_SHOWN)
        .map(Rule::to_string)
        .take_while(|part| {
            let fits = bytes <= MAX_BYTES;
            bytes += part.len();
            fits
        })
        .collect();
    let groups: Vec<String> = user
        .groups
        .iter()
        .map(|group| format!("{group:?}"))
        .collect();
    let mut why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        shown.join("\n")
    );
    if !errors.is_empty() {
        why.push_str(&format!("; resolution errors: [{errors}]"));
    }
    Ok(Some(why))
}

/// Whether an update touches only what the garbage collector writes.
fn only_collected(new: &Value, old: &Value) -> bool {
    let rest = |value: &Value| {
        let mut value = value.clone();
        for field in [
            "finalizers",
            "ownerReferences",
            "managedFields",
            "resourceVersion",
        ] {
            object::remove(&mut value, &format!("metadata.{field}"));
        }
        value
    };
    rest(new) == rest(old)
}
