//! A registry of our own: what `sampan push` writes to and pulls of short names read from.
//!
//! Speaks the OCI distribution protocol under `/v2/`, with any client. Who may call it is decided before a
//! request comes here. In the same process a pull reads it through [`Distribution`], without a socket and
//! without copying blobs.

mod answer;
mod blobs;
mod index;
mod lists;
mod manifests;
mod prune;
mod query;
mod room;
mod route;
mod routes;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};

use crate::content::{ContentDir, blocking};
use crate::digest::Digest;
use crate::distribution::{Blob, Distribution, Manifest};
use crate::error::{FetchError, ImageError};
use crate::limits::Limits;
use crate::reference::check_repository;

use index::Index;
pub use prune::Pruned;
use room::Room;
use uploads::Uploads;

/// Why the registry cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] ImageError),
}

/// The registry. One process opens a folder at a time; the caller sees to that.
pub struct Registry {
    root: PathBuf,
    content: ContentDir,
    limits: Limits,
    /// What is stored, as of now. Changed after the disk, under `writer`.
    index: RwLock<Index>,
    /// Held while the disk is changed; only taken where blocking is allowed.
    writer: Mutex<()>,
    uploads: Uploads,
    room: Arc<Room>,
}

impl Registry {
    /// Opens the folder, making it if need be. Unfinished uploads of a dead process are dropped.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Arc<Registry>, RegistryError> {
        Registry::with_limits(dir, Limits::default())
    }

    /// The same with other limits than the defaults.
    pub fn with_limits(
        dir: impl Into<PathBuf>,
        limits: Limits,
    ) -> Result<Arc<Registry>, RegistryError> {
        let root = dir.into();
        let content = ContentDir::open(&root)?;
        let failed = |step| {
            let path = root.clone();
            move |source| ImageError::Io { path, step, source }
        };
        let index = Index::load(&root, &content).map_err(failed("read repositories"))?;
        let mut used = 0;
        for digest in content.list().map_err(failed("list blobs"))? {
            if index.is_used(&digest) {
                used += content.size(&digest).unwrap_or_default();
            } else {
                content
                    .remove(&digest)
                    .map_err(failed("drop unused blobs"))?;
            }
        }
        let room = Room::new(limits.registry_bytes, used);
        let uploads = Uploads::new(content.clone(), limits.layer_bytes, room.clone());
        let index = RwLock::new(index);
        Ok(Arc::new(Registry {
            root,
            content,
            limits,
            index,
            writer: Mutex::new(()),
            uploads,
            room,
        }))
    }

    /// The HTTP side: routes `/v2`, `/v2/` and everything below.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        routes::router(self.clone())
    }
}

#[async_trait]
impl Distribution for Registry {
    async fn manifest(&self, name: &str, reference: &str) -> Result<Manifest, FetchError> {
        check_repository(name).map_err(|error| FetchError::invalid(error.to_string()))?;
        let missing = || FetchError::NotFound(format!("{name}:{reference}: manifest unknown"));
        let found = self
            .index
            .read()
            .find(name, reference)
            .ok_or_else(missing)?;
        let path = self.content.path(&found.digest);
        let bytes = blocking(move || std::fs::read(path)).await;
        let bytes = bytes.map_err(|error| FetchError::storage("read manifest", &error))?;
        Ok(Manifest {
            bytes: bytes.into(),
            media_type: found.media_type,
            digest: found.digest,
        })
    }

    async fn blob(&self, name: &str, digest: &Digest, _start: u64) -> Result<Blob, FetchError> {
        if !self.index.read().has_blob(name, digest) {
            return Err(FetchError::NotFound(format!(
                "{name}@{digest}: blob unknown"
            )));
        }
        Ok(Blob::File {
            path: self.content.path(digest),
        })
    }
}
