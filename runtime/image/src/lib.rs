//! OCI images for Wasm workloads: references, pull and verification, a content store on disk, and a
//! registry endpoint of our own.
//!
//! The crate knows nothing of Kubernetes and nothing of the engine: it turns a reference into an
//! [`Image`] whose [`Content`] is a module on disk or an unpacked root filesystem, and says in a
//! [`PullError`] why it could not. It runs no code it fetched and never executes an entrypoint.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod artifact;
mod content;
mod digest;
mod distribution;
mod error;
mod file;
mod image;
mod inventory;
mod layout;
mod limits;
mod manifest;
mod pack;
mod pull;
mod records;
mod reference;
mod registry;
mod remote;
mod rootfs;
mod store;

pub use artifact::{Artifact, ArtifactError, digest_of, wasm_artifact};
pub use digest::{Digest, DigestError};
pub use distribution::{Auth, Blob, BlobStream, Distribution, Manifest};
pub use error::{FetchError, ImageError, PullError};
pub use image::{Content, Image, ModuleError, ModuleFile, Program, RunConfig};
pub use limits::Limits;
pub use pack::{PackError, RootfsImage, rootfs_image};
pub use reference::{OciName, Reference, ReferenceError};
pub use registry::{Pruned, Registry, RegistryError};
pub use remote::{Mirror, MirrorError};
pub use rootfs::resolve_in_rootfs;
pub use store::{ImageConfig, ImageStore, Usage};
