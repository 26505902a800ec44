//! Builds the CNCF Wasm artifact of a module: what `sampan push` sends.
//!
//! The same module always gives the same bytes, so pushing again changes nothing.

use bytes::Bytes;
use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

use crate::digest::Digest;
use crate::image::is_wasm;
use crate::manifest::{Descriptor, GZIP_LAYER, OCI_MANIFEST, WASM_CONFIG, WASM_LAYER};

/// Imports and exports listed in a config. More are left out: the list only informs.
const NAMES_MAX: usize = 1000;
/// The config must name a time of creation; a real one would make every push a new image.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Everything to upload: two blobs, then the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The config blob.
    pub config: Bytes,
    /// Its digest.
    pub config_digest: String,
    /// The digest of the only layer: the module, or the archive of a root filesystem.
    pub layer_digest: String,
    /// The manifest.
    pub manifest: Bytes,
    /// Its digest, by which the image can be pulled.
    pub manifest_digest: String,
    /// What to send the manifest as.
    pub manifest_media_type: &'static str,
}

/// Why no artifact can be made of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The bytes do not start like a module or component.
    #[error("not a WebAssembly binary (a text module must be assembled first)")]
    NotWasm,
    /// They start like one but are damaged.
    #[error("damaged WebAssembly binary: {0}")]
    Damaged(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component>,
}

/// What a component offers and wants.
#[derive(Default, Serialize)]
struct Component {
    exports: Vec<String>,
    imports: Vec<String>,
    target: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFile {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// `sha256:...` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    Digest::of(bytes).into()
}

/// The artifact of a core module (`os: wasip1`) or component (`os: wasip2`).
pub fn wasm_artifact(module: &[u8]) -> Result<Artifact, ArtifactError> {
    let component = component_of(module)?;
    let layer_digest = Digest::of(module);
    let config = json(&WasmConfig {
        created: EPOCH,
        architecture: "wasm",
        os: if component.is_some() {
            "wasip2"
        } else {
            "wasip1"
        },
        layer_digests: vec![layer_digest.clone()],
        component,
    });
    let layer = descriptor(WASM_LAYER, &layer_digest, module.len());
    Ok(artifact(WASM_CONFIG, config, layer))
}

/// A container image of one compressed archive.
pub(crate) fn container_artifact(config_type: &str, config: Bytes, archive: &[u8]) -> Artifact {
    let layer = descriptor(GZIP_LAYER, &Digest::of(archive), archive.len());
    artifact(config_type, config, layer)
}

fn artifact(config_type: &str, config: Bytes, layer: Descriptor) -> Artifact {
    let config_digest = Digest::of(&config);
    let layer_digest = layer.digest.clone();
    let manifest = json(&ManifestFile {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config: descriptor(config_type, &config_digest, config.len()),
        layers: vec![layer],
    });
    Artifact {
        manifest_digest: digest_of(&manifest),
        config,
        config_digest: config_digest.into(),
        layer_digest: layer_digest.into(),
        manifest,
        manifest_media_type: OCI_MANIFEST,
    }
}

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.clone(),
        size: size as u64,
        platform: None,
        annotations: None,
        urls: None,
    }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("only texts and numbers")
        .into()
}

/// The imports and exports of a component; none for a core module. Bodies are not validated: whoever runs
/// the module does that.
fn component_of(module: &[u8]) -> Result<Option<Component>, ArtifactError> {
    if !is_wasm(module) {
        return Err(ArtifactError::NotWasm);
    }
    let damaged = |error: wasmparser::BinaryReaderError| ArtifactError::Damaged(error.to_string());
    let mut component = None;
    // Modules and components inside a component have sections of their own, which do not count.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(damaged)? {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } if depth == 0 => {
                component.get_or_insert_with(Component::default);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(damaged)?.name.name;
                    push(component.as_mut().map(|c| &mut c.imports), name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(damaged)?.name.name;
                    push(component.as_mut().map(|c| &mut c.exports), name);
                }
            }
            _ => {}
        }
    }
    Ok(component)
}

fn push(names: Option<&mut Vec<String>>, name: &str) {
    if let Some(names) = names.filter(|names| names.len() < NAMES_MAX) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_module_is_wasip1() {
        let artifact = wasm_artifact(b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(artifact, wasm_artifact(b"\0asm\x01\0\0\0").unwrap());
        let config: serde_json::Value = serde_json::from_slice(&artifact.config).unwrap();
        assert_eq!(config["architecture"], "wasm");
        assert_eq!(config["os"], "wasip1");
        assert_eq!(config["layerDigests"][0], artifact.layer_digest);
        assert!(config.get("component").is_none());
        let manifest: serde_json::Value = serde_json::from_slice(&artifact.manifest).unwrap();
        assert_eq!(
            manifest["config"]["mediaType"],
            "application/vnd.wasm.config.v0+json"
        );
        assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(manifest["layers"][0]["size"], 8);
    }

    #[test]
    fn a_component_lists_its_own_imports_and_exports() {
        let text = r#"(component
            (import "wasi:cli/stdout@0.2.0" (instance))
            (core module (import "inner" "ignored" (func)) (func (export "not-me")))
            (component (import "x" (instance $i)) (export "nor-me" (instance $i)))
            (instance $run)
            (export "wasi:cli/run@0.2.0" (instance $run)))"#;
        let artifact = wasm_artifact(&wat::parse_str(text).unwrap()).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&artifact.config).unwrap();
        assert_eq!(config["os"], "wasip2");
        let want = serde_json::json!({"imports": ["wasi:cli/stdout@0.2.0"],
            "exports": ["wasi:cli/run@0.2.0"], "target": null});
        assert_eq!(config["component"], want);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(wasm_artifact(b"(module)"), Err(ArtifactError::NotWasm));
        assert_eq!(wasm_artifact(b""), Err(ArtifactError::NotWasm));
        let cut = wasm_artifact(b"\0asm\x01\0\0\0\x01\x7f");
        assert!(matches!(cut, Err(ArtifactError::Damaged(_))), "{cut:?}");
    }
}
