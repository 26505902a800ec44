//! How an image carries its module: the three layouts in use.

use crate::error::FetchError;
use crate::manifest::{
    DOCKER_CONFIG, Descriptor, GZIP_LAYER, ImageManifest, OCI_CONFIG, WASM_CONFIG, WASM_LAYER,
};

/// Layers that are a module by themselves: the CNCF artifact's, runwasi's, and wasm-to-oci's.
const MODULE_LAYERS: [&str; 3] = [
    WASM_LAYER,
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];

/// What the layers of an image are.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    /// One layer is the module (a CNCF Wasm artifact, or an OCI image with a Wasm layer). The flag says
    /// whether the config is an image config with an entrypoint and environment.
    Module {
        layer: &'a Descriptor,
        image_config: bool,
    },
    /// The layers are archives that make up a root filesystem.
    Rootfs {
        layers: Vec<(&'a Descriptor, Compression)>,
    },
}

/// How an archive travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Decides by the config's media type first and by the layers second; architecture and system fields are
/// not asked, since builders set them inconsistently.
pub(crate) fn kind(manifest: &ImageManifest) -> Result<Kind<'_>, FetchError> {
    let config = manifest.config.media_type.as_str();
    let image_config = matches!(config, OCI_CONFIG | DOCKER_CONFIG);
    let modules: Vec<&Descriptor> = manifest
        .layers
        .iter()
        .filter(|layer| MODULE_LAYERS.contains(&layer.media_type.as_str()))
        .collect();
    match modules.as_slice() {
        [layer] => {
            return Ok(Kind::Module {
                layer,
                image_config,
            });
        }
        [] => {}
        several => {
            return Err(FetchError::invalid(format!(
                "{} Wasm layers: an image holds exactly one module",
                several.len()
            )));
        }
    }
    if config == WASM_CONFIG {
        return Err(FetchError::invalid(format!(
            "Wasm artifact without a layer of type {WASM_LAYER}"
        )));
    }
    if !image_config {
        return Err(FetchError::invalid(format!(
            "unsupported media type {config:?}: neither a Wasm artifact nor a container image"
        )));
    }
    if manifest.layers.is_empty() {
        return Err(FetchError::invalid("the image has no layers"));
    }
    let archive = |layer| compression(layer).map(|compression| (layer, compression));
    Ok(Kind::Rootfs {
        layers: manifest
            .layers
            .iter()
            .map(archive)
            .collect::<Result<_, _>>()?,
    })
}

fn compression(layer: &Descriptor) -> Result<Compression, FetchError> {
    match layer.media_type.as_str() {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Compression::None),
        GZIP_LAYER | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd" => Ok(Compression::Zstd),
        other => Err(FetchError::invalid(format!(
            "unsupported layer media type {other:?}"
        ))),
    }
}
