//! Fetching the content of one resolved image and putting it into the store.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::content::{Temp, blocking};
use crate::digest::Digest;
use crate::error::FetchError;
use crate::file::starts_as_wasm;
use crate::inventory::Pin;
use crate::limits::IMAGE_DOWNLOADS;
use crate::manifest::{Compression, ConfigFile, Descriptor, Kind, kind};
use crate::pull::Resolved;
use crate::pull::blob::fetch_blob;
use crate::pull::source::Source;
use crate::records::{Record, Stored};
use crate::rootfs::{Layer, Unpacked, unpack};
use crate::store::ImageStore;

/// Stores the image under `names`, unless it is here; gives its id.
pub(crate) async fn fetch_image(
    store: &ImageStore,
    source: &Source,
    resolved: &Resolved,
    names: Vec<String>,
) -> Result<Digest, FetchError> {
    let kind = kind(&resolved.manifest)?;
    // What names the content must bind it. A container image's config holds the digests of its layers,
    // and gives the same id wherever it came from. A Wasm config need not, so there it is the manifest.
    let id = match &kind {
        Kind::Module { .. } => &resolved.digest,
        Kind::Rootfs { .. } => &resolved.manifest.config.digest,
    };
    if store.inventory.snapshot().by_id(id).is_some() {
        return Ok(id.clone());
    }
    let _manifest = store_manifest(store, resolved).await?;
    let config = &resolved.manifest.config;
    let _config = fetch_blob(store, source, config).await?;
    let mut blobs = vec![
        (resolved.digest.clone(), resolved.bytes.len() as u64),
        (config.digest.clone(), config.size),
    ];
    match kind {
        Kind::Module {
            layer,
            image_config,
        } => {
            let _layer = fetch_blob(store, source, layer).await?;
            check_module(store, &layer.digest).await?;
            let config = if image_config {
                read_config(store, config).await?
            } else {
                ConfigFile::default()
            };
            blobs.push((layer.digest.clone(), layer.size));
            let content = Stored::Module {
                digest: layer.digest.clone(),
            };
            let record = Record::new(id.clone(), config.run, content, blobs);
            store.inventory.commit(record, None, names).await?;
        }
        Kind::Rootfs { layers } => {
            let config = read_config(store, config).await?;
            // The archives are not kept: what was unpacked is all that is needed, and small disks matter.
            let (_layers, unpacked, rootfs) = fetch_rootfs(store, source, &layers, &config).await?;
            let Unpacked { bytes, files } = unpacked;
            let record = Record::new(
                id.clone(),
                config.run,
                Stored::Rootfs { bytes, files },
                blobs,
            );
            store.inventory.commit(record, Some(rootfs), names).await?;
        }
    }
    Ok(id.clone())
}

async fn store_manifest(store: &ImageStore, resolved: &Resolved) -> Result<Pin, FetchError> {
    let pin = store.inventory.pin(&resolved.digest);
    let (content, bytes) = (store.inventory.content().clone(), resolved.bytes.clone());
    let written = blocking(move || content.write_bytes(&bytes)).await;
    written
        .map(|_| pin)
        .map_err(|error| FetchError::storage("store manifest", &error))
}

async fn check_module(store: &ImageStore, digest: &Digest) -> Result<(), FetchError> {
    let path = store.inventory.content().path(digest);
    let wasm = blocking(move || starts_as_wasm(&path)).await;
    if wasm.map_err(|error| FetchError::storage("read module", &error))? {
        return Ok(());
    }
    Err(FetchError::invalid(format!(
        "layer {digest} is not a WebAssembly binary"
    )))
}

/// The size was limited before the download.
async fn read_config(store: &ImageStore, config: &Descriptor) -> Result<ConfigFile, FetchError> {
    let path = store.inventory.content().path(&config.digest);
    let bytes: io::Result<Vec<u8>> = blocking(move || fs::read(path)).await;
    ConfigFile::parse(&bytes.map_err(|error| FetchError::storage("read image config", &error))?)
}

/// Stops the unpacking when the pull is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn fetch_rootfs(
    store: &ImageStore,
    source: &Source,
    wanted: &[(&Descriptor, Compression)],
    config: &ConfigFile,
) -> Result<(Vec<Pin>, Unpacked, Temp), FetchError> {
    if config.diff_ids.len() != wanted.len() {
        let (ids, layers) = (config.diff_ids.len(), wanted.len());
        return Err(FetchError::Invalid(format!(
            "the image config names {ids} layers, the manifest {layers}"
        )));
    }
    let fetches: Vec<_> = wanted
        .iter()
        .map(|(layer, _)| fetch_blob(store, source, layer))
        .collect();
    let pins: Vec<Pin> = stream::iter(fetches)
        .buffer_unordered(IMAGE_DOWNLOADS)
        .try_collect()
        .await?;
    let content = store.inventory.content();
    let layers: Vec<Layer> = wanted
        .iter()
        .zip(&config.diff_ids)
        .map(|((layer, compression), diff_id)| Layer {
            path: content.path(&layer.digest),
            size: layer.size,
            compression: *compression,
            diff_id: diff_id.clone(),
        })
        .collect();
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(cancelled.clone());
    let (root, limits) = (content.temp(), store.limits.clone());
    let unpacked = blocking(move || {
        let unpacked = unpack(&layers, root.path(), &limits, &cancelled)?;
        Ok::<_, FetchError>((unpacked, root))
    });
    let (unpacked, root) = unpacked.await?;
    Ok((pins, unpacked, root))
}
