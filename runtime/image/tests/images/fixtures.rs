//! What the tests share: modules, archives, a registry that can lie, and servers on loopback.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use sampan_image::{
    Blob, Digest, Distribution, FetchError, ImageConfig, ImageStore, Manifest, PullError,
};
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const TAR_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A module whose bytes differ with `text`: an empty one with a custom section.
pub(crate) fn module(text: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    assert!(text.len() < 100);
    bytes.extend([0, text.len() as u8 + 2, 1, b'x']);
    bytes.extend(text.as_bytes());
    bytes
}

/// A place that holds what a test puts in, true or not.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) manifests: HashMap<String, (String, Bytes)>,
    pub(crate) blobs: HashMap<Digest, Bytes>,
    /// Blobs handed out.
    pub(crate) served: AtomicUsize,
    /// When set, a blob's last byte waits until a permit is there.
    pub(crate) gate: Option<tokio::sync::Semaphore>,
}

impl Shelf {
    /// Puts a blob in; gives its descriptor.
    pub(crate) fn blob(&mut self, media_type: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let size = bytes.len();
        self.blobs.insert(digest.clone(), bytes);
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Puts a manifest or index in under `reference` and its digest; gives its descriptor.
    pub(crate) fn manifest(&mut self, reference: &str, media_type: &str, body: &Value) -> Value {
        let bytes = Bytes::from(body.to_string());
        let digest = Digest::of(&bytes);
        let size = bytes.len();
        self.manifests
            .insert(digest.to_string(), (media_type.into(), bytes.clone()));
        self.manifests
            .insert(reference.into(), (media_type.into(), bytes));
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Puts an image in; gives its manifest's descriptor.
    pub(crate) fn image(&mut self, reference: &str, config: Value, layers: &[Value]) -> Value {
        let body = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.manifest(reference, OCI_MANIFEST, &body)
    }

    /// Puts in a container image of these archives, gzipped.
    pub(crate) fn rootfs(&mut self, reference: &str, run: Value, archives: &[Vec<u8>]) -> Value {
        let ids: Vec<Digest> = archives.iter().map(|archive| Digest::of(archive)).collect();
        let config = json!({"architecture": "wasm", "os": "wasip1", "config": run,
            "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = self.blob(OCI_CONFIG, config.to_string());
        let layers: Vec<Value> = archives
            .iter()
            .map(|archive| self.blob(GZIP_LAYER, gzip(archive)))
            .collect();
        self.image(reference, config, &layers)
    }

    /// Puts a CNCF artifact in.
    pub(crate) fn artifact(&mut self, reference: &str, module: &[u8]) -> Value {
        let config = self.blob(
            "application/vnd.wasm.config.v0+json",
            r#"{"architecture":"wasm"}"#,
        );
        let layer = self.blob("application/wasm", module.to_vec());
        self.image(reference, config, &[layer])
    }
}

#[async_trait]
impl Distribution for Shelf {
    async fn manifest(&self, _name: &str, reference: &str) -> Result<Manifest, FetchError> {
        let found = self.manifests.get(reference).cloned();
        let (media_type, bytes) =
            found.ok_or_else(|| FetchError::NotFound("manifest unknown".into()))?;
        let digest = Digest::of(&bytes);
        Ok(Manifest {
            bytes,
            media_type,
            digest,
        })
    }

    async fn blob(&self, _name: &str, digest: &Digest, _start: u64) -> Result<Blob, FetchError> {
        let found = self.blobs.get(digest).cloned();
        let mut head = found.ok_or_else(|| FetchError::NotFound("blob unknown".into()))?;
        self.served.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let tail = head.split_off(head.len() / 2);
        Ok(Blob::Stream {
            start: 0,
            size: None,
            stream: futures::stream::iter([Ok(head), Ok(tail)]).boxed(),
        })
    }
}

/// A store in a fresh folder whose short names come from `shelf`.
pub(crate) fn store_of(shelf: Shelf) -> (tempfile::TempDir, Arc<ImageStore>, Arc<Shelf>) {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Arc::new(shelf);
    let mut config = ImageConfig::new(dir.path());
    config.local = Some(shelf.clone());
    let store = ImageStore::open(config).unwrap();
    (dir, store, shelf)
}

/// A configuration that gives up fast.
pub(crate) fn impatient(dir: &std::path::Path) -> ImageConfig {
    let mut config = ImageConfig::new(dir);
    config.limits.backoff = std::time::Duration::from_millis(1);
    config
}

/// Builds a tar archive.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar(tar::Builder::new(Vec::new()))
    }

    /// Any entry, with a name that the library would refuse if need be.
    pub(crate) fn raw(
        mut self,
        kind: tar::EntryType,
        name: &str,
        link: &str,
        content: &[u8],
    ) -> Tar {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o6755);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Tar {
        self.raw(tar::EntryType::Regular, name, "", content)
    }

    pub(crate) fn folder(self, name: &str) -> Tar {
        self.raw(tar::EntryType::Directory, name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Tar {
        self.raw(tar::EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Tar {
        self.raw(tar::EntryType::Link, name, target, b"")
    }

    /// A file whose name needs an extension header.
    pub(crate) fn long(mut self, name: &str, content: &[u8]) -> Tar {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.append_data(&mut header, name, content).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A server on loopback until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) fn of(address: SocketAddr, task: tokio::task::JoinHandle<()>) -> Server {
        Server { address, task }
    }
}

pub(crate) async fn serve(router: axum::Router) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, task }
}

/// The variant's name, for short asserts.
pub(crate) fn variant(error: &PullError) -> &'static str {
    match error {
        PullError::InvalidName { .. } => "InvalidName",
        PullError::NotFound { .. } => "NotFound",
        PullError::Unauthorized { .. } => "Unauthorized",
        PullError::Unavailable { .. } => "Unavailable",
        PullError::Invalid { .. } => "Invalid",
        PullError::TooLarge { .. } => "TooLarge",
        PullError::Storage { .. } => "Storage",
    }
}

/// All files below a folder, as sorted relative paths.
pub(crate) fn tree(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
