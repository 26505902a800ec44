//! The key that signs tokens: ECDSA P-256, `pki/sa.key`, made on first start.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::pki::{PkiError, kept_key};

const ALGORITHM: &str = "ES256";

/// Signs and checks.
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    /// By which the key is found among others: a hash of its public half.
    id: String,
    random: SystemRandom,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

impl SigningKey {
    /// The key kept in a folder; a new one when there is none.
    pub(crate) fn open(dir: &Path) -> Result<SigningKey, PkiError> {
        let path = dir.join("sa.key");
        let kept = kept_key(&path)?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            kept.serialized_der(),
            &random,
        )
        .map_err(|error| PkiError::Unusable {
            path,
            message: error.to_string(),
        })?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(
            rcgen::PublicKeyData::subject_public_key_info(&kept),
        ));
        Ok(SigningKey { pair, id, random })
    }

    /// The claims as a token.
    pub(crate) fn sign(&self, claims: &str) -> Option<String> {
        let header = json!({"alg": ALGORITHM, "kid": self.id}).to_string();
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(&self.random, token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// The claims of a token this key signed.
    pub(crate) fn verify(&self, token: &str) -> Option<Vec<u8>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != ALGORITHM || !header.kid.is_empty() && header.kid != self.id {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        URL_SAFE_NO_PAD.decode(claims).ok()
    }

    /// The public half as a JSON Web Key.
    pub(super) fn public(&self) -> Value {
        // An uncompressed point: a byte that says so, then both coordinates.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    pub(super) fn algorithm(&self) -> &'static str {
        ALGORITHM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_knows_its_tokens() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = SigningKey::open(dir.path()).expect("made");
        let token = key.sign(r#"{"a":1}"#).expect("signed");
        let again = SigningKey::open(dir.path()).expect("read");
        assert_eq!(again.verify(&token).as_deref(), Some(&br#"{"a":1}"#[..]));
        assert_eq!(key.public(), again.public());
        let other = SigningKey::open(tempfile::tempdir().expect("a folder").path()).expect("made");
        assert_eq!(other.verify(&token), None);
        let mut parts: Vec<&str> = token.split('.').collect();
        let forged = URL_SAFE_NO_PAD.encode(r#"{"a":2}"#);
        parts[1] = &forged;
        assert_eq!(key.verify(&parts.join(".")), None);
        for nonsense in ["", "a", "a.b", "a.b.c", "...."] {
            assert_eq!(key.verify(nonsense), None, "{nonsense}");
        }
        std::fs::write(dir.path().join("sa.key"), "nonsense").expect("written");
        assert!(SigningKey::open(dir.path()).is_err());
    }
}
