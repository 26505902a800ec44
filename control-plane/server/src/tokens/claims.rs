//! What a token says.

use serde::{Deserialize, Serialize};

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "aud")]
    pub(crate) audiences: Vec<String>,
    #[serde(rename = "exp")]
    pub(crate) expires: i64,
    #[serde(rename = "iat")]
    pub(crate) issued: i64,
    #[serde(rename = "iss")]
    pub(crate) issuer: String,
    #[serde(rename = "jti", default)]
    pub(crate) id: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) subject: Subject,
    #[serde(rename = "nbf")]
    pub(crate) not_before: i64,
    #[serde(rename = "sub")]
    pub(crate) user: String,
}

/// The account, and what the token lives as long as.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Reference>,
    #[serde(rename = "serviceaccount")]
    pub(crate) account: Reference,
    #[serde(rename = "warnafter", skip_serializing_if = "Option::is_none")]
    pub(crate) warn_after: Option<i64>,
}

/// An object, and which one of that name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
}

impl Claims {
    pub(super) fn parse(bytes: &[u8]) -> Option<Claims> {
        serde_json::from_slice(bytes).ok()
    }
}
