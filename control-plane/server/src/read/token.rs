//! The continue token: where a list goes on, and as of when. Opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_api::status::Status;
use sampan_store::Revision;
use serde::{Deserialize, Serialize};

use crate::api::Result;

const VERSION: u8 = 1;

/// A place in a list.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    /// The state the list shows; `None` after it expired: go on with what is there now.
    pub(super) revision: Option<Revision>,
    /// The path of the last key already given.
    pub(super) start: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    rv: i64,
    start: String,
}

impl Token {
    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |Revision(revision)| {
            i64::try_from(revision).unwrap_or(-1)
        });
        let wire = Wire {
            v: VERSION,
            rv,
            start: self.start.clone(),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    pub(super) fn decode(text: &str) -> Result<Token> {
        let refuse = |why: &str| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| refuse(&error.to_string()))?;
        let wire: Wire =
            serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
        if wire.v != VERSION {
            return Err(refuse("it was made by another release"));
        }
        let revision = match wire.rv {
            -1 => None,
            0 => return Err(refuse("it names no revision")),
            revision => Some(Revision(
                u64::try_from(revision).map_err(|_| refuse("its revision is negative"))?,
            )),
        };
        Ok(Token {
            revision,
            start: wire.start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_garbage() {
        for revision in [None, Some(Revision(7))] {
            let token = Token {
                revision,
                start: "default/a".into(),
            };
            assert_eq!(Token::decode(&token.encode()).expect("own token"), token);
        }
        for bad in [
            "",
            "x",
            "%%%",
            "eyJ2Ijo5fQ",
            &URL_SAFE_NO_PAD.encode(r#"{"v":1,"rv":0,"start":""}"#),
        ] {
            assert_eq!(Token::decode(bad).expect_err(bad).code, 400);
        }
    }
}
