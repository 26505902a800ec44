//! What the store remembers: one small file per image, and the catalogue of them in memory.
//!
//! One file each, so that writing one image never risks another, and a damaged file costs one image.
//! A name belongs to one image; if a process dies between writing the image that gains a name and the one
//! that loses it, the higher sequence number wins at the next start. [`Catalogue`] does no IO.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::image::{Content, Image, RunConfig};

/// The form of the files; a file of another version is not read.
const VERSION: u32 = 1;

/// One image, as it rests on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) id: Digest,
    pub(crate) names: Vec<Name>,
    pub(crate) config: RunConfig,
    pub(crate) content: Stored,
    /// Everything the image needs in the blob folder.
    pub(crate) blobs: Vec<(Digest, u64)>,
    /// Set for an image made of a plain file: the file as it was.
    pub(crate) file: Option<FileStamp>,
}

/// A name and when it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) text: String,
    sequence: u64,
}

/// Where the code is, without the store's own path so that a data folder can be moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Stored {
    Module { digest: Digest },
    Rootfs { bytes: u64, files: u64 },
}

/// Tells whether a file was changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    pub(crate) bytes: u64,
    pub(crate) modified_nanos: i128,
    pub(crate) inode: u64,
}

impl Record {
    /// A record without names: the catalogue gives them.
    pub(crate) fn new(
        id: Digest,
        config: RunConfig,
        content: Stored,
        blobs: Vec<(Digest, u64)>,
    ) -> Record {
        Record {
            version: VERSION,
            id,
            names: Vec::new(),
            config,
            content,
            blobs,
            file: None,
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Record, String> {
        let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if record.version != VERSION {
            return Err(format!(
                "form {} is not known to this version",
                record.version
            ));
        }
        Ok(record)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record holds only texts and numbers")
    }

    fn image(&self, root: &Path) -> Image {
        let names = |with_digest: bool| {
            let fits = move |name: &&Name| has_digest(&name.text) == with_digest;
            self.names
                .iter()
                .filter(fits)
                .map(|name| name.text.clone())
                .collect()
        };
        let blobs: u64 = self.blobs.iter().map(|(_, size)| size).sum();
        let (unpacked, content) = match &self.content {
            Stored::Module { digest } => {
                let path = root.join("blobs").join("sha256").join(digest.hex());
                (
                    0,
                    Content::Module {
                        digest: digest.to_string(),
                        path,
                    },
                )
            }
            Stored::Rootfs { bytes, .. } => (
                *bytes,
                Content::Rootfs {
                    dir: rootfs_dir(root, &self.id),
                },
            ),
        };
        Image {
            id: self.id.to_string(),
            repo_tags: names(false),
            repo_digests: names(true),
            size: (blobs + unpacked).max(1),
            config: self.config.clone(),
            content,
        }
    }
}

/// Where an image's root filesystem is unpacked.
pub(crate) fn rootfs_dir(root: &Path, id: &Digest) -> PathBuf {
    root.join("rootfs").join(id.hex())
}

fn has_digest(name: &str) -> bool {
    name.contains("@sha256:")
}

/// An image with its record.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) record: Record,
    pub(crate) image: Arc<Image>,
}

/// All images. A change is made to a clone, carried out on disk, and only then published; it comes back
/// as the records to write and the images that are gone.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    root: PathBuf,
    images: HashMap<Digest, Arc<Item>>,
    names: HashMap<String, Digest>,
    sequence: u64,
}

/// What a change means for the disk, in the order in which it has to be done.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) write: Vec<Record>,
    pub(crate) gone: Vec<Record>,
}

impl Catalogue {
    /// A catalogue of what was found on disk, with the images that lost their last name.
    pub(crate) fn new(root: PathBuf, records: Vec<Record>) -> (Catalogue, Effects) {
        let mut here = Catalogue {
            root,
            images: HashMap::new(),
            names: HashMap::new(),
            sequence: 0,
        };
        let mut latest: HashMap<String, u64> = HashMap::new();
        for name in records.iter().flat_map(|record| &record.names) {
            let newest = latest.entry(name.text.clone()).or_default();
            *newest = name.sequence.max(*newest);
            here.sequence = here.sequence.max(name.sequence);
        }
        let mut effects = Effects::default();
        let mut changed = Vec::new();
        for mut record in records {
            let names = record.names.len();
            record
                .names
                .retain(|name| latest.get(&name.text) == Some(&name.sequence));
            if record.names.len() < names {
                changed.push(record.id.clone());
            }
            here.settle(record, &mut effects);
        }
        // Else an old owner would get its name back when the new one is removed.
        effects.write.retain(|record| changed.contains(&record.id));
        (here, effects)
    }

    /// Adds an image, or names to an image that is here, taking the names away from others.
    pub(crate) fn add(&mut self, mut record: Record, names: &[String]) -> Effects {
        if let Some(known) = self.images.get(&record.id) {
            record.names.clone_from(&known.record.names);
        }
        let mut effects = Effects::default();
        let mut losers = Vec::new();
        for text in names {
            if let Some(owner) = self.names.get(text).filter(|owner| **owner != record.id) {
                losers.push(owner.clone());
            }
            self.sequence += 1;
            record.names.retain(|name| name.text != *text);
            record.names.push(Name {
                text: text.clone(),
                sequence: self.sequence,
            });
        }
        self.settle(record, &mut effects);
        for loser in losers {
            let Some(item) = self.images.remove(&loser) else {
                continue;
            };
            let mut record = item.record.clone();
            record.names.retain(|name| !names.contains(&name.text));
            self.settle(record, &mut effects);
        }
        effects
    }

    /// Forgets an image and all its names.
    pub(crate) fn remove(&mut self, id: &Digest) -> Option<Record> {
        let item = self.images.remove(id)?;
        self.names.retain(|_, owner| owner != id);
        Some(item.record.clone())
    }

    /// Puts a record in, or drops it when it has no name: nobody could ask for it any more.
    fn settle(&mut self, record: Record, effects: &mut Effects) {
        if record.names.is_empty() {
            effects.gone.push(record);
            return;
        }
        for name in &record.names {
            self.names.insert(name.text.clone(), record.id.clone());
        }
        let image = Arc::new(record.image(&self.root));
        effects.write.push(record.clone());
        self.images
            .insert(record.id.clone(), Arc::new(Item { record, image }));
    }

    pub(crate) fn by_id(&self, id: &Digest) -> Option<&Item> {
        self.images.get(id).map(Arc::as_ref)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Item> {
        self.by_id(self.names.get(name)?)
    }

    /// The only image whose id starts with these hexadecimal digits.
    pub(crate) fn by_id_prefix(&self, digits: &str) -> Option<&Item> {
        let mut found = self
            .images
            .values()
            .filter(|item| item.record.id.hex().starts_with(digits));
        let item = found.next()?;
        found.next().is_none().then_some(item)
    }

    /// All images, in the order of their ids.
    pub(crate) fn list(&self) -> Vec<Arc<Image>> {
        let mut images: Vec<_> = self
            .images
            .values()
            .map(|item| item.image.clone())
            .collect();
        images.sort_by(|a, b| a.id.cmp(&b.id));
        images
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.images.values().map(|item| &item.record)
    }

    /// Every blob that some image needs, with its size.
    pub(crate) fn blobs(&self) -> HashMap<&Digest, u64> {
        self.records()
            .flat_map(|record| &record.blobs)
            .map(|(digest, size)| (digest, *size))
            .collect()
    }
}

#[cfg(test)]
mod tests;
