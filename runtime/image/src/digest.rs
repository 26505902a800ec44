//! Content digests: `sha256:` and 64 hexadecimal digits, checked once, where outside text enters.
//!
//! Only sha256 is spoken. It is the algorithm every registry must offer, and one algorithm means
//! that one piece of content has one name in the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";

/// The sha256 digest of some bytes, in its text form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// An algorithm other than sha256.
    #[error("unsupported digest algorithm in {0:?}: only sha256 is supported")]
    Algorithm(String),
    /// Not `algorithm:hex`, or the wrong number of digits.
    #[error("invalid digest {0:?}: want sha256: and 64 lower-case hexadecimal digits")]
    Form(String),
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The text form, `sha256:...`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits alone: the blob's file name.
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The digest with these 64 digits, as blobs are named on disk.
    pub(crate) fn from_hex(hex: &str) -> Result<Digest, DigestError> {
        format!("{PREFIX}{hex}").parse()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let Some(hex) = text.strip_prefix(PREFIX) else {
            let known = text
                .split_once(':')
                .is_some_and(|(algorithm, _)| !algorithm.is_empty());
            let shown = shorten(text);
            return Err(if known {
                DigestError::Algorithm(shown)
            } else {
                DigestError::Form(shown)
            });
        };
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != 64 || !hex.bytes().all(digit) {
            return Err(DigestError::Form(shorten(text)));
        }
        Ok(Digest(text.to_owned()))
    }
}

/// Error texts carry at most this much of a hostile input.
fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest and a length in the making.
#[derive(Clone)]
pub(crate) struct Hasher {
    sha256: Sha256,
    bytes: u64,
}

impl Hasher {
    pub(crate) fn new() -> Hasher {
        Hasher {
            sha256: Sha256::new(),
            bytes: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes went in so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(format!("{PREFIX}{}", hex::encode(self.sha256.finalize())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_whole_lower_case_sha256() {
        let good = Digest::of(b"");
        assert_eq!(
            good.as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(good.as_str().parse::<Digest>(), Ok(good.clone()));
        assert_eq!(good.hex().len(), 64);
        for bad in [
            "",
            "sha256:",
            "sha256:abc",
            &good.as_str().to_uppercase(),
            "abc",
            ":abc",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(matches!(
            "sha512:00".parse::<Digest>(),
            Err(DigestError::Algorithm(_))
        ));
        let traversal = format!("sha256:../../{}", "a".repeat(58));
        assert!(traversal.parse::<Digest>().is_err());
    }
}
