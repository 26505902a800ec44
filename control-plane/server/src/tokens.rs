//! ServiceAccount tokens: signed here, believed here, and documented so that others can check them.
//!
//! A token is a JWT signed with a key of this server (`key`). What it says (`claims`) is compared with the store each time
//! it is shown: the account, and what the token is bound to, must still be the objects they were (`bound`).

mod bound;
mod claims;
mod documents;
mod key;
mod request;

use jiff::Timestamp;

pub(crate) use bound::holder;
pub(crate) use claims::{Claims, Reference, Subject};
pub(crate) use documents::{configuration, key_set};
pub(crate) use key::SigningKey;
pub(crate) use request::{PROJECTED_SECONDS, request};

/// Who says so. Pods reach the server under this name.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Clocks disagree by so many seconds.
const LEEWAY: i64 = 60;
/// Nothing we sign is longer.
const MAX_LENGTH: usize = 16 * 1024;

/// What a token says, if this server signed it and it is not out of date; else why it is not believed. `None`: it is
/// no token of this server's, and others may know it.
pub(crate) fn read(
    key: &SigningKey,
    token: &str,
    now: Timestamp,
) -> Option<Result<Claims, &'static str>> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let claims = Claims::parse(&key.verify(token)?)?;
    if claims.issuer != ISSUER {
        return None;
    }
    let now = now.as_second();
    Some(if claims.expires < now.saturating_sub(LEEWAY) {
        Err("service account token has expired")
    } else if claims.not_before > now.saturating_add(LEEWAY) {
        Err("service account token is not valid yet")
    } else {
        Ok(claims)
    })
}

/// The user an account is.
pub(crate) fn user_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Namespace and name of the account a user is.
pub(crate) fn account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user
        .strip_prefix("system:serviceaccount:")?
        .split_once(':')?;
    let valid = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
    valid.then_some((namespace, name))
}

/// The groups of every account of a namespace.
pub(crate) fn groups(namespace: &str) -> [String; 2] {
    [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
    ]
}
