//! Static bearer tokens, as kube-apiserver's `--token-auth-file` has them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::user::UserInfo;

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

/// The tokens of a file.
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

    pub(super) fn find(&self, token: &str) -> Option<Arc<UserInfo>> {
        self.users.get(&hash(token)).cloned()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::AUTHENTICATED;

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
