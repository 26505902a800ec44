//! Authentication: client certificate, then bearer token, then anonymous; and impersonation.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sampan_api::status::Status;
use sha2::{Digest, Sha256};

use crate::api::Result;
use crate::tls::Peer;
use crate::user::{AUTHENTICATED, MASTERS, UNAUTHENTICATED, UserInfo};

/// The token file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It could not be read.
    #[error("reading {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// A line is not `token,user,uid[,"group1,group2"]`.
    #[error("{path}, line {line}: expected token,user,uid[,\"group1,group2\"]")]
    Line { path: String, line: usize },
}

/// Static bearer tokens, as kube-apiserver's `--token-auth-file` has them.
#[derive(Default)]
pub(crate) struct Tokens {
    /// By hash, so that a lookup's duration says nothing about a stored token.
    users: HashMap<[u8; 32], Arc<UserInfo>>,
}

impl Tokens {
    /// Reads the file; without one there are no tokens.
    pub(crate) fn load(path: &Path) -> std::result::Result<Tokens, TokenFileError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                Tokens::parse(&text).map_err(|line| TokenFileError::Line { path: name, line })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tokens::default()),
            Err(source) => Err(TokenFileError::Read { path: name, source }),
        }
    }

    fn parse(text: &str) -> std::result::Result<Tokens, usize> {
        let mut users = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut parts = line.splitn(4, ',').map(str::trim);
            let (Some(token), Some(name), Some(uid)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(at + 1);
            };
            if token.is_empty() || name.is_empty() {
                return Err(at + 1);
            }
            let groups = parts.next().unwrap_or("").trim_matches('"');
            let groups = groups
                .split(',')
                .map(str::trim)
                .filter(|group| !group.is_empty());
            let mut user = UserInfo::new(name, groups.map(str::to_owned));
            uid.clone_into(&mut user.uid);
            users.insert(hash(token), Arc::new(user));
        }
        Ok(Tokens { users })
    }

    fn find(&self, token: &str) -> Option<Arc<UserInfo>> {
        self.users.get(&hash(token)).cloned()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who asks. A refused credential is an error even though nobody at all would be `system:anonymous`.
pub(crate) fn authenticate(
    peer: &Peer,
    headers: &HeaderMap,
    tokens: &Tokens,
) -> Result<Arc<UserInfo>> {
    if let Peer::User(user) = peer {
        return Ok(user.clone());
    }
    if let Some(token) = bearer(headers) {
        return tokens.find(token).ok_or_else(Status::unauthorized);
    }
    match peer {
        Peer::Refused(reason) => {
            tracing::debug!(%reason, "client certificate refused");
            Err(Status::unauthorized())
        }
        _ => Ok(Arc::new(UserInfo::anonymous())),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The user to act as, when `Impersonate-*` headers say so. Reserved to `system:masters`.
pub(crate) fn impersonate(user: Arc<UserInfo>, headers: &HeaderMap) -> Result<Arc<UserInfo>> {
    let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let target = headers.get("impersonate-user").and_then(text);
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(text)
        .collect();
    let uid = headers
        .get("impersonate-uid")
        .and_then(text)
        .unwrap_or_default();
    let extra = extra(headers);
    let Some(name) = target.filter(|name| !name.is_empty()) else {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(user);
        }
        return Err(Status::bad_request(
            "requested impersonation of groups, uid or extra without impersonating a user"
                .to_owned(),
        ));
    };
    if !user.in_group(MASTERS) {
        return Err(crate::authz::impersonation_forbidden(&user, &name));
    }
    let mut groups = groups;
    if let Some(account) = name.strip_prefix("system:serviceaccount:")
        && let Some((namespace, _)) = account.split_once(':')
        && groups.is_empty()
    {
        groups = vec![
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}"),
        ];
    }
    let everybody = if name == "system:anonymous" {
        UNAUTHENTICATED
    } else {
        AUTHENTICATED
    };
    if !groups.iter().any(|group| group == everybody) {
        groups.push(everybody.to_owned());
    }
    Ok(Arc::new(UserInfo {
        name,
        uid,
        groups,
        extra,
    }))
}

fn extra(headers: &HeaderMap) -> Vec<(String, Vec<String>)> {
    let mut extra: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in headers {
        let (Some(key), Ok(value)) = (
            name.as_str().strip_prefix("impersonate-extra-"),
            value.to_str(),
        ) else {
            continue;
        };
        match extra.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.to_owned()),
            None => extra.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_files() {
        let tokens =
            Tokens::parse("# people\nabc,alice,u1,\"dev,ops\"\n\ndef,bob,u2\n").expect("parses");
        let alice = tokens.find("abc").expect("alice");
        assert_eq!((alice.name.as_str(), alice.uid.as_str()), ("alice", "u1"));
        assert_eq!(alice.groups, ["dev", "ops", AUTHENTICATED]);
        assert_eq!(tokens.find("def").expect("bob").groups, [AUTHENTICATED]);
        assert!(tokens.find("nope").is_none());
        for bad in ["abc", "abc,alice", ",alice,u", "abc,,u"] {
            assert!(Tokens::parse(bad).is_err(), "{bad}");
        }
    }
}
