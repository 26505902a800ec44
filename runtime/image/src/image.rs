//! An image in the store, ready to run.

mod lookup;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use lookup::{ModuleError, Program};

/// An image whose content is on this machine and verified.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:...`; the same content has the same id wherever it came from.
    pub id: String,
    /// The names with a tag, e.g. `app:v1`, `docker.io/library/nginx:1.27`.
    pub repo_tags: Vec<String>,
    /// The names with a digest, e.g. `app@sha256:...`.
    pub repo_digests: Vec<String>,
    /// Bytes on disk, more than 0.
    pub size: u64,
    /// What the image says about running it.
    pub config: RunConfig,
    /// Where its code is.
    pub content: Content,
}

/// What an image says about running it. All empty for a Wasm artifact, whose config has no such
/// fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Becomes the start of argv; CRI's `command` replaces it.
    pub entrypoint: Vec<String>,
    /// Becomes the rest of argv; CRI's `args` replaces it.
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// `1000`, `1000:1000`, `www-data`, or empty.
    pub user: String,
}

/// Where an image's code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One Wasm module or component.
    Module {
        /// `sha256:...` of the file.
        digest: String,
        /// The file; never changed in place.
        path: PathBuf,
    },
    /// A root filesystem, shared by all containers of the image: mount it read-only or copy it.
    Rootfs {
        /// Its root.
        dir: PathBuf,
    },
}

/// A Wasm file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// `sha256:...` of the file.
    pub digest: String,
    /// The file.
    pub path: PathBuf,
}

/// Whether these are the first bytes of a Wasm binary (core module or component).
pub(crate) fn is_wasm(start: &[u8]) -> bool {
    start.starts_with(b"\0asm")
}
