//! The image store: what the node has, and how it gets more.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::content::Parts;
use crate::digest::Digest;
use crate::distribution::{Auth, Distribution};
use crate::error::{ImageError, PullError};
use crate::file::{FileRoots, is_unchanged};
use crate::image::Image;
use crate::inventory::Inventory;
use crate::limits::Limits;
use crate::pull::{self, Downloads};
use crate::records::{Item, Stored};
use crate::reference::Reference;
use crate::remote::{Mirror, Remotes};

/// Shortest part of an id that stands for it.
const ID_PREFIX_MIN: usize = 7;

/// How to open a store.
#[derive(Clone)]
pub struct ImageConfig {
    /// The store's own folder.
    pub dir: PathBuf,
    /// The cluster's own registry; names without a registry are looked up here first.
    pub local: Option<Arc<dyn Distribution>>,
    /// `host:port` by which references name that registry: it is asked as it is asked for names without a registry,
    /// and nobody else is.
    pub local_hosts: Vec<String>,
    /// `file://` and `oci://` references must lie below one of these folders. None: they are refused.
    pub file_roots: Vec<PathBuf>,
    /// `host` or `host:port` of registries spoken to in plain HTTP. Loopback hosts always are.
    pub insecure_registries: Vec<String>,
    /// Registry host to mirrors, asked in order before the registry itself, without credentials. The image keeps the
    /// name it was asked for by.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Certificates trusted for registries besides the system's: PEM, any number in one text.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Limits of one image.
    pub limits: Limits,
}

impl ImageConfig {
    /// A store in `dir` that pulls from registries only.
    pub fn new(dir: impl Into<PathBuf>) -> ImageConfig {
        ImageConfig {
            dir: dir.into(),
            local: None,
            local_hosts: Vec::new(),
            file_roots: Vec::new(),
            insecure_registries: Vec::new(),
            mirrors: BTreeMap::new(),
            extra_ca_pem: None,
            limits: Limits::default(),
        }
    }
}

/// What the store takes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of images; what is shared counts once.
    pub bytes: u64,
    /// Files.
    pub inodes: u64,
}

/// The images of a node. One process opens a folder at a time; the caller sees to that.
pub struct ImageStore {
    pub(crate) inventory: Inventory,
    pub(crate) local: Option<Arc<dyn Distribution>>,
    pub(crate) local_hosts: Vec<String>,
    pub(crate) file_roots: FileRoots,
    pub(crate) remotes: Remotes,
    pub(crate) limits: Limits,
    /// Layers that broke off.
    pub(crate) parts: Parts,
    /// Permits for downloads in the whole store.
    pub(crate) permits: Semaphore,
    /// Content on its way, by source and digest, so that pulls of the same content share it.
    pub(crate) downloads: Mutex<HashMap<String, Downloads>>,
}

impl ImageStore {
    /// Opens the folder, making it if need be. Whatever a killed process left is cleaned up.
    pub fn open(config: ImageConfig) -> Result<Arc<ImageStore>, ImageError> {
        let inventory = Inventory::open(&config.dir)?;
        let file_roots = FileRoots::open(&config.file_roots)?;
        let remotes = Remotes::new(
            config.insecure_registries,
            config.mirrors,
            config.extra_ca_pem,
            config.limits.clone(),
        );
        let parts = Parts::new(inventory.content().clone(), config.limits.partial_bytes);
        Ok(Arc::new(ImageStore {
            inventory,
            parts,
            local: config.local,
            local_hosts: config.local_hosts,
            file_roots,
            remotes,
            permits: Semaphore::new(config.limits.downloads.max(1)),
            limits: config.limits,
            downloads: Mutex::default(),
        }))
    }

    /// Fetches what `reference` means now, and gives it that name.
    ///
    /// A tag is resolved anew each time; content that is here is not fetched again. Dropping the future
    /// cancels the work unless another pull shares it.
    pub async fn pull(
        self: &Arc<Self>,
        reference: &str,
        auth: Option<Auth>,
    ) -> Result<Arc<Image>, PullError> {
        pull::pull(self, reference, auth).await
    }

    /// The image that has this name or id (also shortened), if it is here.
    ///
    /// A plain file that changed since it was pulled is not here: it is another image now.
    pub fn get(&self, reference_or_id: &str) -> Option<Arc<Image>> {
        let snapshot = self.inventory.snapshot();
        self.find(&snapshot, reference_or_id)
            .map(|item| item.image.clone())
    }

    /// All images, in the order of their ids.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.inventory.snapshot().list()
    }

    /// Removes the image that has this name or id, with all its names, and the content that no other
    /// image needs. False when there is no such image.
    pub async fn remove(&self, reference_or_id: &str) -> Result<bool, ImageError> {
        let snapshot = self.inventory.snapshot();
        let Some(id) = self
            .find_any(&snapshot, reference_or_id)
            .map(|item| item.record.id.clone())
        else {
            return Ok(false);
        };
        self.inventory.remove(&id).await
    }

    /// What the images take on disk.
    pub fn usage(&self) -> Usage {
        let snapshot = self.inventory.snapshot();
        let blobs = snapshot.blobs();
        let mut usage = Usage {
            bytes: blobs.values().sum(),
            inodes: blobs.len() as u64,
        };
        for record in snapshot.records() {
            usage.inodes += 1;
            if let Stored::Rootfs { bytes, files } = &record.content {
                usage.bytes += bytes;
                usage.inodes += files;
            }
        }
        usage
    }

    /// The store's folder: the mount point that `image_fs_info` reports.
    pub fn dir(&self) -> &Path {
        self.inventory.root()
    }

    fn find<'a>(&self, snapshot: &'a crate::records::Catalogue, text: &str) -> Option<&'a Item> {
        let item = self.find_any(snapshot, text)?;
        match (&item.record.file, text.parse()) {
            (Some(stamp), Ok(Reference::File(path))) if !is_unchanged(&path, stamp) => None,
            _ => Some(item),
        }
    }

    fn find_any<'a>(
        &self,
        snapshot: &'a crate::records::Catalogue,
        text: &str,
    ) -> Option<&'a Item> {
        if let Ok(id) = text.parse::<Digest>() {
            return snapshot.by_id(&id);
        }
        let by_name = text
            .parse::<Reference>()
            .ok()
            .and_then(|reference| match reference {
                Reference::Name(name) => pull::recorded_names(&name)
                    .into_iter()
                    .find_map(|recorded| snapshot.by_name(&recorded)),
                other => snapshot.by_name(&other.to_string()),
            });
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let shortened = digits.len() >= ID_PREFIX_MIN
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        by_name.or_else(|| shortened.then(|| snapshot.by_id_prefix(digits)).flatten())
    }
}
