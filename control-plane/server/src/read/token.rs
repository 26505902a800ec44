//! The continue token: where a list goes on, and as of when. Opaque to clients.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_api::status::Status;
use sampan_store::Revision;
use serde::{Deserialize, Serialize};

use crate::api::Result;

const VERSION: u8 = 2;
/// How long a token is good for, once the state it belongs to is no longer the present one. The history may well reach
/// further back where little is written; but clients have to know that tokens expire, and upstream's do after that time.
const LIFETIME: Duration = Duration::from_secs(300);

/// A place in a list.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    /// The state the list shows; `None` after it expired: go on with what is there now.
    pub(super) revision: Option<Revision>,
    /// The path of the last key already given.
    pub(super) start: String,
    /// When it was made, in seconds since 1970.
    made: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    rv: i64,
    start: String,
    made: u64,
}

impl Token {
    /// A token made now.
    pub(super) fn new(revision: Option<Revision>, start: String) -> Token {
        Token {
            revision,
            start,
            made: now(),
        }
    }

    /// Whether it is too old to go on with the state it belongs to, when `current` is the present one.
    pub(super) fn expired(&self, current: Revision) -> bool {
        let old = now().saturating_sub(self.made) >= LIFETIME.as_secs();
        old && self.revision.is_some_and(|revision| revision != current)
    }

    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |Revision(revision)| {
            i64::try_from(revision).unwrap_or(-1)
        });
        let wire = Wire {
            v: VERSION,
            rv,
            start: self.start.clone(),
            made: self.made,
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    pub(super) fn decode(text: &str) -> Result<Token> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| refused(&format!(": {error}")))?;
        let wire: Wire =
            serde_json::from_slice(&bytes).map_err(|error| refused(&format!(": {error}")))?;
        if wire.v != VERSION {
            return Err(refused(": server does not recognize this encoded version"));
        }
        if wire.start.is_empty() {
            return Err(refused(": encoded start key empty"));
        }
        let revision = match wire.rv {
            0 => return Err(refused(": incorrect encoded start resourceVersion")),
            // Negative: the newest.
            revision => u64::try_from(revision).ok().map(Revision),
        };
        Ok(Token {
            revision,
            start: wire.start,
            made: wire.made,
        })
    }
}

fn refused(why: &str) -> Status {
    Status::bad_request(format!(
        "invalid continue token: continue key is not valid{why}"
    ))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_garbage() {
        for revision in [None, Some(Revision(7))] {
            let token = Token::new(revision, "default/a".into());
            assert_eq!(Token::decode(&token.encode()).expect("own token"), token);
        }
        let wire = |json: &str| URL_SAFE_NO_PAD.encode(json);
        for bad in [
            "",
            "x",
            "%%%",
            "eyJ2Ijo5fQ",
            &wire(r#"{"v":2,"rv":0,"start":"a","made":1}"#),
            &wire(r#"{"v":2,"rv":1,"start":"","made":1}"#),
            &wire(r#"{"v":1,"rv":1,"start":"a","made":1}"#),
            &wire(r#"{"v":2,"rv":1,"start":"a"}"#),
        ] {
            let status = Token::decode(bad).expect_err(bad);
            assert_eq!(status.code, 400);
            assert!(
                status
                    .message
                    .starts_with("invalid continue token: continue key is not valid: ")
            );
        }
    }

    #[test]
    fn expiry() {
        let mut token = Token::new(Some(Revision(7)), "a".into());
        assert!(!token.expired(Revision(8)));
        token.made -= LIFETIME.as_secs();
        assert!(token.expired(Revision(8)));
        // Nothing was written since: the old state is the present one.
        assert!(!token.expired(Revision(7)));
        token.revision = None;
        assert!(!token.expired(Revision(8)));
        token.revision = Some(Revision(7));
        token.made = u64::MAX;
        assert!(!token.expired(Revision(8)));
    }
}
