//! From what a token says to who shows it, if what it speaks of is still there.

use std::sync::Arc;

use jiff::Timestamp;
use sampan_api::resource::find as find_resource;
use sampan_api::time;

use super::{Claims, LEEWAY, Reference, groups, user_name};
use crate::api::Api;
use crate::object::Stored;
use crate::read::find;
use crate::user::UserInfo;

const INVALIDATED: &str = "service account token has been invalidated";

/// The user a token stands for, or why it stands for nobody any more.
pub(crate) async fn holder(api: &Api, claims: &Claims) -> Result<Arc<UserInfo>, String> {
    let subject = &claims.subject;
    let (namespace, account) = (&subject.namespace, &subject.account);
    let name = &account.name;
    let found = look_up(api, "serviceaccounts", namespace, name)
        .await?
        .ok_or_else(|| format!("serviceaccounts {name:?} not found"))?;
    if *found.object.uid() != *account.uid {
        let (found, said) = (found.object.uid(), &account.uid);
        return Err(format!(
            "service account UID ({found}) does not match claim ({said})"
        ));
    }
    if is_deleted(&found) {
        return Err(format!(
            "service account {namespace}/{name} has been deleted"
        ));
    }
    if let Some(secret) = &subject.secret {
        alive(api, "secrets", namespace, secret).await?;
    }
    match (&subject.pod, &subject.node) {
        (Some(pod), _) => alive(api, "pods", namespace, pod).await?,
        (None, Some(node)) => alive(api, "nodes", "", node).await?,
        (None, None) => {}
    }
    let mut user = UserInfo::new(user_name(namespace, name), groups(namespace));
    user.uid.clone_from(&account.uid);
    user.extra = extra(claims);
    Ok(Arc::new(user))
}

/// What the user knows about its token, for audits and for restrictions by node.
fn extra(claims: &Claims) -> Vec<(String, Vec<String>)> {
    let mut extra = Vec::new();
    let mut add = |key: &str, value: String| {
        extra.push((format!("authentication.kubernetes.io/{key}"), vec![value]));
    };
    if !claims.id.is_empty() {
        add("credential-id", format!("JTI={}", claims.id));
    }
    for (kind, reference) in [("node", &claims.subject.node), ("pod", &claims.subject.pod)] {
        if let Some(reference) = reference {
            add(&format!("{kind}-name"), reference.name.clone());
            if !reference.uid.is_empty() {
                add(&format!("{kind}-uid"), reference.uid.clone());
            }
        }
    }
    extra
}

async fn alive(
    api: &Api,
    plural: &str,
    namespace: &str,
    reference: &Reference,
) -> Result<(), String> {
    let Some(found) = look_up(api, plural, namespace, &reference.name).await? else {
        return Err(INVALIDATED.to_owned());
    };
    if *found.object.uid() != *reference.uid {
        let (kind, found, said) = (
            found.object.resource.singular,
            found.object.uid(),
            &reference.uid,
        );
        return Err(format!(
            "{kind} UID ({found}) does not match service account {kind} ref claim ({said})"
        ));
    }
    if is_deleted(&found) {
        return Err(INVALIDATED.to_owned());
    }
    Ok(())
}

/// Marked for deletion, and its time is over.
fn is_deleted(found: &Stored) -> bool {
    found
        .object
        .deletion()
        .and_then(time::parse)
        .is_some_and(|at| at.as_second() < Timestamp::now().as_second() - LEEWAY)
}

async fn look_up(
    api: &Api,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Stored>, String> {
    let resource = find_resource("", "v1", plural).ok_or("not served")?;
    find(api, resource, namespace, name)
        .await
        .map_err(|status| status.message)
}
