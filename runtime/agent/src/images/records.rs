//! Which images this node pulled, and with whose credentials: an image that is here already is not thereby everybody's.
//!
//! Upstream's rule with its default policy `NeverVerifyPreloadedImages`: who could pull an image without credentials, or
//! has the Secret it was pulled with, uses it as it is; for anybody else it is pulled again, so that the registry decides.
//! Images that came here otherwise may be used by all: those without a record, unless what is asked for is being pulled.
//! The records outlive the process; they go with their image.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use sampan_proto::{CriError, ImageService, v1};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::credentials::Origin;
use super::reference;

/// Secrets kept for one name of one image; who comes later asks the registry.
const SECRETS_MAX: usize = 100;

/// Who may use an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    Everybody,
    /// Pods that have one of these Secrets. Nobody, if there is none: the registry is to be asked.
    With(BTreeSet<Origin>),
}

/// What is known of the pulls of one image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    /// By the image's name without tag and digest.
    names: BTreeMap<String, Pulled>,
    /// The count of changes when this was changed last.
    #[serde(skip)]
    changed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pulled {
    /// The registry asked for no credentials.
    #[serde(default)]
    everybody: bool,
    #[serde(default)]
    secrets: BTreeSet<Origin>,
}

#[derive(Default, Serialize, Deserialize)]
struct Records {
    /// By image id.
    images: BTreeMap<String, Record>,
    /// References whose pull is under way, or of which it is not clear what it brought. Earlier versions wrote them
    /// without tag and digest.
    #[serde(default)]
    pulling: BTreeSet<String>,
    /// The images that references under way named before, if they had come here otherwise: by reference, the id.
    #[serde(default)]
    before: BTreeMap<String, String>,
    /// How many pulls of a reference are under way.
    #[serde(skip)]
    under_way: BTreeMap<String, usize>,
    /// References a pull of which was given up, and those that an earlier process was pulling; with the count of changes
    /// when that was.
    #[serde(skip)]
    unclear: BTreeMap<String, u64>,
    #[serde(skip)]
    changes: u64,
    /// What was kept could not be read, and the images that are here were not looked at since: none of them counts as
    /// one that came here otherwise.
    #[serde(default)]
    lost: bool,
}

/// The records of one node.
pub(crate) struct PullRecords {
    file: PathBuf,
    records: Mutex<Records>,
}

impl PullRecords {
    /// Reads what an earlier process wrote.
    pub(crate) async fn open(file: PathBuf) -> PullRecords {
        let read = match tokio::fs::read(&file).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Records::default()),
            Err(error) => Err(error),
        };
        let mut records = read.unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "records of pulled images not read");
            Records {
                lost: true,
                ..Records::default()
            }
        });
        records.unclear = records
            .pulling
            .iter()
            .map(|image| (image.clone(), 0))
            .collect();
        PullRecords {
            file,
            records: Mutex::new(records),
        }
    }

    /// Who may use an image that was `found` by the name it was asked for by.
    pub(super) async fn access(&self, image: &str, found: &v1::Image) -> Access {
        let records = self.records.lock().await;
        match records.images.get(&found.id) {
            Some(record) => match record.names.get(&reference::name(image)) {
                Some(pulled) if pulled.everybody => Access::Everybody,
                Some(pulled) => Access::With(pulled.secrets.clone()),
                None => Access::With(BTreeSet::new()),
            },
            None if records.lost => Access::With(BTreeSet::new()),
            None if records.may_be_pulled(image, found) && !records.was_here(&found.id) => {
                Access::With(BTreeSet::new())
            }
            None => Access::Everybody,
        }
    }

    /// A pull of the image begins, while what is `here` by that reference has this id. What it brings is not taken for
    /// something that came here otherwise, whatever becomes of the pull and of this process; if that cannot be kept, the
    /// image must not be pulled.
    pub(super) async fn begins(&self, image: &str, here: Option<&str>) -> io::Result<()> {
        let mut records = self.records.lock().await;
        let came_otherwise = |id: &&str| {
            let may_be_pulled = records.lost || names(&records.pulling, image);
            !may_be_pulled && !records.images.contains_key(*id)
        };
        let here = here.filter(came_otherwise);
        let image = reference::in_full(image);
        if records.pulling.insert(image.clone()) {
            if let Some(id) = here {
                records.before.insert(image.clone(), id.to_owned());
            }
            let written = self.write(&records).await;
            if written.is_err() {
                records.pulling.remove(&image);
                records.before.remove(&image);
            }
            written?;
        }
        *records.under_way.entry(image).or_default() += 1;
        Ok(())
    }

    /// The image was pulled as `id`, without credentials or with those of a Secret.
    pub(super) async fn pulled(&self, image: &str, id: &str, with: Option<&Origin>) {
        let mut records = self.records.lock().await;
        let mut changed = records.ended(image);
        records.changes += 1;
        let changes = records.changes;
        let record = records.images.entry(id.to_owned()).or_default();
        record.changed = changes;
        let name = reference::name(image);
        let known = record.names.get(&name);
        let mut next = known.cloned().unwrap_or_default();
        match with {
            None => next.everybody = true,
            Some(origin) if next.secrets.len() < SECRETS_MAX => {
                next.secrets.insert(origin.clone());
            }
            Some(_) => {}
        }
        if known != Some(&next) {
            record.names.insert(name, next);
            changed = true;
        }
        if changed {
            self.try_write(&records).await;
        }
    }

    /// The pull came to nothing.
    pub(super) async fn failed(&self, image: &str) {
        let mut records = self.records.lock().await;
        if records.ended(image) {
            self.try_write(&records).await;
        }
    }

    /// The pull was given up: the runtime may have the image nevertheless.
    pub(super) async fn given_up(&self, image: &str) {
        let mut records = self.records.lock().await;
        records.changes += 1;
        let changes = records.changes;
        records.unclear.insert(reference::in_full(image), changes);
        records.ended(image);
    }

    /// Notes who may use images of which that is not clear: the runtime is asked what there is.
    pub(crate) async fn settle(&self, images: &dyn ImageService) -> Result<(), CriError> {
        let changes = self.changes().await;
        let here = images.list_images(v1::ListImagesRequest::default());
        self.note(&here.await?.images, changes).await;
        Ok(())
    }

    /// Of the images that are here, which were listed when there had been so many `changes`, nobody may use those that
    /// have no record and came by a pull that did not tell its end, before the registry was asked.
    pub(super) async fn note(&self, images: &[v1::Image], changes: u64) {
        let mut records = self.records.lock().await;
        let Records {
            images: known,
            pulling,
            before,
            under_way,
            unclear,
            lost,
            ..
        } = &mut *records;
        let settled = unclear.extract_if(.., |_, since| *since <= changes);
        let settled: BTreeSet<String> = settled.map(|(image, _)| image).collect();
        if settled.is_empty() && !*lost {
            return;
        }
        for image in images {
            let mut own = image.repo_tags.iter().chain(&image.repo_digests);
            let was_here = before.values().any(|id| *id == image.id);
            if *lost || !was_here && own.any(|name| names(&settled, name)) {
                known.entry(image.id.clone()).or_default();
            }
        }
        pulling.retain(|image| !settled.contains(image) || under_way.contains_key(image));
        before.retain(|image, _| pulling.contains(image));
        *lost = false;
        self.try_write(&records).await;
    }

    /// What [`PullRecords::keep`] wants to know: how many changes there have been.
    pub(super) async fn changes(&self) -> u64 {
        self.records.lock().await.changes
    }

    /// Forgets the images that are not among `ids`, which were listed when there had been so many `changes`.
    pub(super) async fn keep(&self, ids: &HashSet<String>, changes: u64) {
        let mut records = self.records.lock().await;
        let before = records.images.len();
        let is_new = |record: &Record| record.changed > changes;
        records
            .images
            .retain(|id, record| ids.contains(id) || is_new(record));
        if records.images.len() != before {
            self.try_write(&records).await;
        }
    }

    async fn write(&self, records: &Records) -> io::Result<()> {
        write(&self.file, serde_json::to_vec(records)?).await
    }

    /// What could not be written is so with the next change.
    async fn try_write(&self, records: &Records) {
        if let Err(error) = self.write(records).await {
            let file = self.file.display();
            tracing::warn!(%file, %error, "records of pulled images not written");
        }
    }
}

impl Records {
    /// One pull of the image is over. True if its reference is no longer among those under way.
    fn ended(&mut self, image: &str) -> bool {
        let image = reference::in_full(image);
        let left = match self.under_way.get_mut(&image) {
            Some(count) => {
                *count -= 1;
                *count
            }
            None => 0,
        };
        if left > 0 {
            return false;
        }
        self.under_way.remove(&image);
        if self.unclear.contains_key(&image) {
            return false;
        }
        self.before.remove(&image);
        self.pulling.remove(&image)
    }

    /// Whether a pull under way may have brought what was `found` by this name: a pull of the same or, as a digest
    /// is the same whatever tag was pulled, of a tag that the image has by now.
    fn may_be_pulled(&self, image: &str, found: &v1::Image) -> bool {
        let mut tags = found.repo_tags.iter();
        let of_name = |tag: &String| reference::name(tag) == reference::name(image);
        names(&self.pulling, image)
            || reference::has_digest(image)
                && tags.any(|tag| of_name(tag) && names(&self.pulling, tag))
    }

    /// Whether the image had come here otherwise when a pull began that is under way.
    fn was_here(&self, id: &str) -> bool {
        self.before.values().any(|before| before == id)
    }
}

/// Whether the image is among these references, or any of its name is.
fn names(references: &BTreeSet<String>, image: &str) -> bool {
    let all = [reference::in_full(image), reference::name(image)];
    all.iter().any(|one| references.contains(one))
}

/// The old file or the new one, never a part.
async fn write(file: &Path, bytes: Vec<u8>) -> io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let next = file.with_extension("new");
    let mut target = tokio::fs::File::create(&next).await?;
    target.write_all(&bytes).await?;
    target.sync_all().await?;
    tokio::fs::rename(&next, file).await
}
