//! Impersonation: acting as another user. Each thing claimed (name, groups, uid, extra values) must be allowed to whoever
//! asks, by the verb `impersonate`.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use sampan_api::status::Status;

use crate::api::{Api, Result};
use crate::authz::{Attributes, Object, What, decide, forbidden_object};
use crate::request::percent_decode;
use crate::tokens::{account, groups as account_groups};
use crate::user::{AUTHENTICATED, UNAUTHENTICATED, UserInfo};

const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// What the headers claim.
#[derive(Default)]
struct Claimed {
    name: String,
    groups: Vec<String>,
    uid: String,
    extra: Vec<(String, Vec<String>)>,
}

/// The user to act as, when `Impersonate-*` headers say so.
pub(crate) async fn impersonate(
    api: &Api,
    user: Arc<UserInfo>,
    headers: &HeaderMap,
) -> Result<Arc<UserInfo>> {
    let Some(claimed) = Claimed::read(headers)? else {
        return Ok(user);
    };
    for object in claimed.objects() {
        let asked = Attributes {
            verb: "impersonate",
            what: What::Resource(object.clone()),
        };
        let decision = decide(api, &user, &asked).await?;
        if !decision.allowed {
            return Err(forbidden_object(
                &user,
                "impersonate",
                &object,
                &decision.reason,
            ));
        }
    }
    let target = claimed.user();
    tracing::info!(user = user.name, target = target.name, groups = ?target.groups, "acting as another");
    Ok(Arc::new(target))
}

impl Claimed {
    /// `None` without any of the headers.
    fn read(headers: &HeaderMap) -> Result<Option<Claimed>> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let mut claimed = Claimed {
            name: first("impersonate-user"),
            groups: headers
                .get_all("impersonate-group")
                .iter()
                .map(text)
                .collect(),
            uid: first("impersonate-uid"),
            extra: Vec::new(),
        };
        let key = |name: &HeaderName| {
            let key = name.as_str().strip_prefix(EXTRA)?;
            Some(percent_decode(key).into_owned())
        };
        for (name, value) in headers {
            let Some(key) = key(name) else {
                continue;
            };
            let value = text(value);
            match claimed.extra.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => claimed.extra.push((key, vec![value])),
            }
        }
        if !claimed.name.is_empty() {
            return Ok(Some(claimed));
        }
        if claimed.groups.is_empty() && claimed.uid.is_empty() && claimed.extra.is_empty() {
            return Ok(None);
        }
        Err(Status::bad_request(
            "requested impersonation of groups, uid or extra without impersonating a user",
        ))
    }

    /// What must be allowed.
    fn objects(&self) -> Vec<Object<'_>> {
        let plain = |resource, name| Object {
            resource,
            name,
            ..Object::default()
        };
        let mut objects = vec![match account(&self.name) {
            Some((namespace, name)) => Object {
                namespace,
                ..plain("serviceaccounts", name)
            },
            None => plain("users", &self.name),
        }];
        objects.extend(self.groups.iter().map(|group| plain("groups", group)));
        for (key, values) in &self.extra {
            objects.extend(values.iter().map(|value| Object {
                group: AUTHENTICATION,
                subresource: key,
                ..plain("userextras", value)
            }));
        }
        if !self.uid.is_empty() {
            objects.push(Object {
                group: AUTHENTICATION,
                ..plain("uids", &self.uid)
            });
        }
        objects
    }

    fn user(self) -> UserInfo {
        let mut groups = self.groups;
        if groups.is_empty()
            && let Some((namespace, _)) = account(&self.name)
        {
            groups.extend(account_groups(namespace));
        }
        let is = |group: &str| groups.iter().any(|one| one == group);
        let everybody = if self.name == UserInfo::anonymous().name {
            (!is(UNAUTHENTICATED)).then_some(UNAUTHENTICATED)
        } else {
            (!is(AUTHENTICATED) && !is(UNAUTHENTICATED)).then_some(AUTHENTICATED)
        };
        groups.extend(everybody.map(str::to_owned));
        UserInfo {
            name: self.name,
            uid: self.uid,
            groups,
            extra: self.extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(headers: &[(&'static str, &'static str)]) -> Result<Option<Claimed>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Claimed::read(&map)
    }

    #[test]
    fn headers_say_who() {
        assert!(claimed(&[("accept", "x")]).expect("fine").is_none());
        assert_eq!(
            claimed(&[("impersonate-group", "g")])
                .err()
                .expect("refused")
                .code,
            400
        );
        let alice = claimed(&[
            ("impersonate-user", "alice"),
            ("impersonate-group", "dev"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-acme.com%2fproject", "p1"),
            ("impersonate-extra-acme.com%2fproject", "p2"),
        ]);
        let alice = alice.expect("fine").expect("somebody");
        let asked: Vec<String> = alice
            .objects()
            .iter()
            .map(|object| format!("{}/{}/{}", object.resource, object.subresource, object.name))
            .collect();
        assert_eq!(
            asked,
            [
                "users//alice",
                "groups//dev",
                "userextras/acme.com/project/p1",
                "userextras/acme.com/project/p2",
                "uids//7"
            ]
        );
        let alice = alice.user();
        assert_eq!(alice.groups, ["dev", AUTHENTICATED]);
        assert_eq!(alice.extra[0].1, ["p1", "p2"]);
    }

    #[test]
    fn accounts_bring_their_groups() {
        let user = |name| {
            claimed(&[("impersonate-user", name)])
                .expect("fine")
                .expect("somebody")
        };
        let account = user("system:serviceaccount:ns:default");
        assert_eq!(
            (
                account.objects()[0].resource,
                account.objects()[0].namespace
            ),
            ("serviceaccounts", "ns")
        );
        assert_eq!(
            account.user().groups,
            [
                "system:serviceaccounts",
                "system:serviceaccounts:ns",
                AUTHENTICATED
            ]
        );
        assert_eq!(user("system:anonymous").user().groups, [UNAUTHENTICATED]);
    }
}
