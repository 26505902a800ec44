//! Manifests, indexes and configs of the OCI image specification (and Docker's equal ones): reading them
//! from outside bytes, choosing a platform, and telling how an image carries its module.
//!
//! Pure: bytes in, decisions out. Which bytes to fetch next is the pull's business.

mod kind;
mod platform;
mod referrer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::FetchError;
use crate::image::RunConfig;
use crate::limits::{INDEX_ENTRIES, Limits};

pub(crate) use kind::{Compression, Kind, kind};
pub(crate) use platform::choose;
pub(crate) use referrer::Referrer;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(crate) const WASM_LAYER: &str = "application/wasm";
pub(crate) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Everything that may stand behind a tag, in the order we like to get it.
pub(crate) const MANIFEST_TYPES: [&str; 4] =
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// A pointer to content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    /// Foreign layers live elsewhere; a registry need not have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) urls: Option<Vec<String>>,
}

/// What an entry of an index is built for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
}

/// One image: a config and its layers, bottom first.
#[derive(Clone, Debug)]
pub(crate) struct ImageManifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// What stands behind a tag or digest.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    Image(ImageManifest),
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads a manifest or index. `declared` is the media type the place gave, empty when it gave none.
    pub(crate) fn parse(bytes: &[u8], declared: &str) -> Result<Document, FetchError> {
        let raw: RawDocument = serde_json::from_slice(bytes)
            .map_err(|error| FetchError::invalid(format!("manifest cannot be read: {error}")))?;
        let inner = raw.media_type.as_deref().unwrap_or_default();
        // Parameters such as "; charset=utf-8" say nothing here.
        let declared = declared.split(';').next().unwrap_or_default().trim();
        let known = |media_type: &str| MANIFEST_TYPES.contains(&media_type);
        if known(declared) && !inner.is_empty() && inner != declared {
            return Err(FetchError::invalid(format!(
                "manifest is declared as {declared} but calls itself {inner}"
            )));
        }
        let media_type = if inner.is_empty() { declared } else { inner };
        if raw.schema_version != 2 || (!inner.is_empty() && !known(inner)) {
            return Err(FetchError::invalid(format!(
                "unsupported manifest: schema version {}, media type {media_type:?}",
                raw.schema_version
            )));
        }
        let index = matches!(media_type, OCI_INDEX | DOCKER_INDEX);
        let image = matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST);
        match (raw.config, raw.layers, raw.manifests) {
            (Some(config), Some(layers), None) if !index => {
                Ok(Document::Image(ImageManifest { config, layers }))
            }
            (None, None, Some(entries)) if !image => {
                if entries.len() > INDEX_ENTRIES {
                    return Err(FetchError::TooLarge(format!(
                        "the index has {} entries, at most {INDEX_ENTRIES} are allowed",
                        entries.len()
                    )));
                }
                Ok(Document::Index(entries))
            }
            // A document that could be read both ways means two things to two readers.
            _ => Err(FetchError::invalid(
                "manifest must have either config and layers, or manifests",
            )),
        }
    }
}

/// The media type to serve a document under: as declared, else as it calls itself, else as it looks.
pub(crate) fn served_type(document: &Document, bytes: &[u8], declared: &str) -> &'static str {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        media_type: Option<String>,
    }
    let inner = serde_json::from_slice::<Named>(bytes)
        .ok()
        .and_then(|named| named.media_type);
    let declared = declared.split(';').next().map(str::trim);
    let known = |text: &str| MANIFEST_TYPES.into_iter().find(|known| *known == text);
    let looks = match document {
        Document::Image(_) => OCI_MANIFEST,
        Document::Index(_) => OCI_INDEX,
    };
    declared
        .and_then(known)
        .or_else(|| inner.as_deref().and_then(known))
        .unwrap_or(looks)
}

impl ImageManifest {
    /// Whether everything the manifest announces is within the limits. Nothing larger than announced
    /// is ever stored, so this bounds the download.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), FetchError> {
        let too_large = |text| Err(FetchError::TooLarge(text));
        if self.layers.len() > limits.layers {
            let (count, most) = (self.layers.len(), limits.layers);
            return too_large(format!("{count} layers, at most {most} are allowed"));
        }
        if self.config.size > limits.manifest_bytes {
            let (size, most) = (self.config.size, limits.manifest_bytes);
            return too_large(format!(
                "config of {size} bytes, at most {most} are allowed"
            ));
        }
        let mut total = 0_u64;
        for layer in &self.layers {
            if layer.size > limits.layer_bytes {
                let (size, most) = (layer.size, limits.layer_bytes);
                return too_large(format!("layer of {size} bytes, at most {most} are allowed"));
            }
            total = total.saturating_add(layer.size);
        }
        if total > limits.image_bytes {
            let most = limits.image_bytes;
            return too_large(format!(
                "layers of {total} bytes, at most {most} are allowed"
            ));
        }
        Ok(())
    }
}

/// An image config as far as running needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile {
    pub(crate) run: RunConfig,
    /// Digests of the unpacked layers, bottom first.
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct RawConfigFile {
    config: Option<RawRunConfig>,
    rootfs: Option<RawRootfs>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRunConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Option<Vec<Digest>>,
}

impl ConfigFile {
    pub(crate) fn parse(bytes: &[u8]) -> Result<ConfigFile, FetchError> {
        let raw: RawConfigFile = serde_json::from_slice(bytes).map_err(|error| {
            FetchError::invalid(format!("image config cannot be read: {error}"))
        })?;
        let run = raw.config.unwrap_or_default();
        Ok(ConfigFile {
            run: RunConfig {
                entrypoint: run.entrypoint.unwrap_or_default(),
                cmd: run.cmd.unwrap_or_default(),
                env: run.env.unwrap_or_default(),
                working_dir: run.working_dir.unwrap_or_default(),
                user: run.user.unwrap_or_default(),
            },
            diff_ids: raw
                .rootfs
                .and_then(|rootfs| rootfs.diff_ids)
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
