//! OCI layout folders: `oci-layout`, `index.json`, `blobs/sha256/...`, as `docker buildx`, `skopeo` and
//! `oras` write them. Read only.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::StreamExt;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use crate::content::blocking;
use crate::digest::Digest;
use crate::distribution::{Blob, Distribution, Manifest};
use crate::error::FetchError;
use crate::file::{FileRoots, open_regular, read_small};
use crate::limits::INDEX_ENTRIES;
use crate::manifest::Descriptor;

/// Names an image within a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The tag meant when none is given and the layout has several images.
const DEFAULT_TAG: &str = "latest";
const VERSION: &str = "1.0.0";
/// Blobs are read in pieces of this size.
const CHUNK: usize = 256 << 10;

/// One layout folder. A layout has no repositories: names are ignored.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
    roots: FileRoots,
    manifest_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct IndexFile {
    manifests: Vec<Descriptor>,
}

impl Layout {
    /// Opens the layout at `path` if it lies below the roots. Blocks.
    pub(crate) fn open(
        path: &Path,
        roots: &FileRoots,
        manifest_bytes: u64,
    ) -> Result<Layout, FetchError> {
        let dir = roots.resolve(path)?;
        let layout = Layout {
            dir,
            roots: roots.clone(),
            manifest_bytes,
        };
        let (bytes, _) = layout.read("oci-layout")?;
        let file: LayoutFile = serde_json::from_slice(&bytes)
            .map_err(|error| FetchError::invalid(format!("oci-layout cannot be read: {error}")))?;
        if file.image_layout_version != VERSION {
            let version = file.image_layout_version;
            return Err(FetchError::invalid(format!(
                "layout version {version} is not supported"
            )));
        }
        Ok(layout)
    }

    fn read(&self, name: &str) -> Result<(Vec<u8>, Digest), FetchError> {
        // Resolved again: a file of the folder may be a link out of the roots.
        read_small(
            &self.roots.resolve(&self.dir.join(name))?,
            self.manifest_bytes,
        )
    }

    fn blob_path(&self, digest: &Digest) -> Result<PathBuf, FetchError> {
        self.roots
            .resolve(&self.dir.join("blobs").join("sha256").join(digest.hex()))
    }

    /// The descriptor that `reference` means: a tag, a digest, or nothing.
    fn find(&self, reference: &str) -> Result<Descriptor, FetchError> {
        let (bytes, _) = self.read("index.json")?;
        let index: IndexFile = serde_json::from_slice(&bytes)
            .map_err(|error| FetchError::invalid(format!("index.json cannot be read: {error}")))?;
        if index.manifests.len() > INDEX_ENTRIES {
            return Err(FetchError::TooLarge(
                "index.json has too many entries".into(),
            ));
        }
        let tag = |entry: &Descriptor| {
            entry
                .annotations
                .as_ref()
                .and_then(|marks| marks.get(REF_NAME).cloned())
        };
        // Some tools write the whole image name where the specification wants a tag.
        let named = |entry: &Descriptor, wanted: &str| {
            tag(entry).is_some_and(|name| {
                name == wanted || name.rsplit_once(':').is_some_and(|(_, tag)| tag == wanted)
            })
        };
        let found = match (reference, index.manifests.as_slice()) {
            ("", [only]) => Some(only),
            ("", several) => several.iter().find(|entry| named(entry, DEFAULT_TAG)),
            (wanted, several) => several.iter().find(|entry| named(entry, wanted)),
        };
        found.cloned().ok_or_else(|| {
            let tags: Vec<String> = index.manifests.iter().filter_map(tag).collect();
            let wanted = if reference.is_empty() {
                DEFAULT_TAG
            } else {
                reference
            };
            FetchError::NotFound(format!(
                "the layout has no image {wanted:?}; it has [{}]",
                tags.join(", ")
            ))
        })
    }

    fn manifest_now(&self, reference: &str) -> Result<Manifest, FetchError> {
        let (wanted, media_type) = match reference.parse::<Digest>() {
            Ok(digest) => (digest, String::new()),
            Err(_) => {
                let found = self.find(reference)?;
                (found.digest, found.media_type)
            }
        };
        let (bytes, digest) = read_small(&self.blob_path(&wanted)?, self.manifest_bytes)?;
        if digest != wanted {
            return Err(FetchError::invalid(format!(
                "digest mismatch: blob {wanted} is {digest}"
            )));
        }
        Ok(Manifest {
            bytes: bytes.into(),
            media_type,
            digest,
        })
    }
}

#[async_trait]
impl Distribution for Layout {
    async fn manifest(&self, _name: &str, reference: &str) -> Result<Manifest, FetchError> {
        let (here, reference) = (self.clone(), reference.to_owned());
        blocking(move || here.manifest_now(&reference)).await
    }

    async fn blob(&self, _name: &str, digest: &Digest, _start: u64) -> Result<Blob, FetchError> {
        let (here, digest) = (self.clone(), digest.clone());
        let file = blocking(move || {
            let failed = |error: io::Error| FetchError::NotFound(format!("blob {digest}: {error}"));
            let file = open_regular(&here.blob_path(&digest)?).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            Ok((file, size))
        });
        let (file, size) = file.await?;
        // Not handed out as a shareable file: a layout is the user's and may be written in place.
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK).boxed();
        Ok(Blob::Stream {
            start: 0,
            size: Some(size),
            stream,
        })
    }
}
