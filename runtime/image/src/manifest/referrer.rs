//! What a manifest refers to: signatures, attestations and the like name the manifest they are about.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::FetchError;
use crate::manifest::Descriptor;

/// The longest artifact type, as media types may have it.
const ARTIFACT_TYPE_MAX: usize = 255;

/// The side of a manifest that the referrers API shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Referrer {
    /// The manifest this one is about; it need not exist.
    pub(crate) subject: Option<Digest>,
    /// As the manifest says, else its config's media type; empty for an index that says nothing.
    pub(crate) artifact_type: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    config: Option<Config>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    media_type: String,
}

impl Referrer {
    /// Reads a manifest or index.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Referrer, FetchError> {
        let raw: Raw = serde_json::from_slice(bytes)
            .map_err(|error| FetchError::invalid(format!("manifest cannot be read: {error}")))?;
        let artifact_type = raw.artifact_type.filter(|text| !text.is_empty());
        let artifact_type = artifact_type
            .or(raw.config.map(|config| config.media_type))
            .unwrap_or_default();
        if artifact_type.len() > ARTIFACT_TYPE_MAX {
            return Err(FetchError::invalid(format!(
                "an artifact type has at most {ARTIFACT_TYPE_MAX} bytes"
            )));
        }
        Ok(Referrer {
            subject: raw.subject.map(|subject| subject.digest),
            artifact_type,
            annotations: raw.annotations.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_type_is_the_manifests_own_or_its_configs() {
        let digest = Digest::of(b"subject");
        let read = |value: serde_json::Value| Referrer::parse(value.to_string().as_bytes());
        let config = json!({"mediaType": "a/config", "digest": digest, "size": 2});
        let own = read(json!({"artifactType": "a/b", "config": config})).unwrap();
        assert_eq!((own.artifact_type.as_str(), own.subject), ("a/b", None));
        let subject = json!({"mediaType": "x/y", "digest": digest, "size": 7});
        let other = read(
            json!({"artifactType": "", "config": config, "subject": subject,
            "annotations": {"k": "v"}}),
        )
        .unwrap();
        assert_eq!(other.artifact_type, "a/config");
        assert_eq!(other.subject, Some(digest));
        assert_eq!(other.annotations["k"], "v");
        assert_eq!(read(json!({"manifests": []})).unwrap(), Referrer::default());
        assert!(read(json!({"subject": {"digest": "sha256:1", "size": 1}})).is_err());
        assert!(read(json!({"artifactType": "a".repeat(256)})).is_err());
    }
}
