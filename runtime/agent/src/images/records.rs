//! Which images this node pulled, and with whose credentials: an image that is here already is not thereby everybody's.
//!
//! Upstream's rule with its default policy `NeverVerifyPreloadedImages`: who could pull an image without credentials, or
//! has the Secret it was pulled with, uses it as it is; for anybody else it is pulled again, so that the registry decides.
//! Images that came here otherwise may be used by all. The records outlive the process; they go with their image.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

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
    /// Names whose first pull is under way, or was when the process ended.
    #[serde(default)]
    pulling: BTreeSet<String>,
    #[serde(skip)]
    changes: u64,
    /// The file was there and could not be read: no image counts as one that came here otherwise.
    #[serde(skip)]
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
        let records = read.unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "records of pulled images not read");
            Records {
                lost: true,
                ..Records::default()
            }
        });
        PullRecords {
            file,
            records: Mutex::new(records),
        }
    }

    /// Who may use the image `id` under a name it was asked for by.
    pub(super) async fn access(&self, image: &str, id: &str) -> Access {
        let records = self.records.lock().await;
        let name = name_of(image);
        match records.images.get(id) {
            Some(record) => match record.names.get(&name) {
                Some(pulled) if pulled.everybody => Access::Everybody,
                Some(pulled) => Access::With(pulled.secrets.clone()),
                None => Access::With(BTreeSet::new()),
            },
            None if records.lost || records.has_pulled(&name) => Access::With(BTreeSet::new()),
            None => Access::Everybody,
        }
    }

    /// A pull of the image begins. What it brings is not taken for something that came here otherwise if the process
    /// ends before [`PullRecords::pulled`].
    pub(super) async fn begins(&self, image: &str) {
        let mut records = self.records.lock().await;
        let name = name_of(image);
        if !records.has_pulled(&name) {
            records.pulling.insert(name);
            self.write(&records).await;
        }
    }

    /// The image was pulled as `id`, without credentials or with those of a Secret.
    pub(super) async fn pulled(&self, image: &str, id: &str, with: Option<&Origin>) {
        let mut records = self.records.lock().await;
        let name = name_of(image);
        let mut changed = records.pulling.remove(&name);
        records.changes += 1;
        let changes = records.changes;
        let record = records.images.entry(id.to_owned()).or_default();
        record.changed = changes;
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
            self.write(&records).await;
        }
    }

    /// The pull came to nothing.
    pub(super) async fn failed(&self, image: &str) {
        let mut records = self.records.lock().await;
        if records.pulling.remove(&name_of(image)) {
            self.write(&records).await;
        }
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
            self.write(&records).await;
        }
    }

    async fn write(&self, records: &Records) {
        let written = match serde_json::to_vec(records) {
            Ok(bytes) => write(&self.file, bytes).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = written {
            let file = self.file.display();
            tracing::warn!(%file, %error, "records of pulled images not written");
        }
    }
}

impl Records {
    /// Whether this node has pulled anything by that name, or was about to.
    fn has_pulled(&self, name: &str) -> bool {
        let mut records = self.images.values();
        self.pulling.contains(name) || records.any(|record| record.names.contains_key(name))
    }
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

fn name_of(image: &str) -> String {
    if reference::is_file(image) {
        return image.to_owned();
    }
    let (registry, path) = reference::registry_and_path(image);
    format!("{registry}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str) -> Origin {
        Origin {
            namespace: "n".into(),
            name: name.into(),
            uid: format!("uid of {name}"),
        }
    }

    fn nobody() -> Access {
        Access::With(BTreeSet::new())
    }

    #[tokio::test]
    async fn an_image_is_for_those_who_could_pull_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pulls.json");
        let records = PullRecords::open(file.clone()).await;
        assert_eq!(records.access("reg.io/a:1", "id").await, Access::Everybody);
        records.begins("reg.io/a:1").await;
        assert_eq!(records.access("reg.io/a:1", "id").await, nobody());
        records.pulled("reg.io/a:1", "id", Some(&origin("s"))).await;
        let with = Access::With([origin("s")].into());
        // Another process knows it, and another tag is the same name.
        let records = PullRecords::open(file).await;
        assert_eq!(records.access("reg.io/a:2", "id").await, with);
        assert_eq!(records.access("reg.io/b:1", "id").await, nobody());
        // Another version under that name, which this process was told nothing of, is not everybody's either.
        assert_eq!(records.access("reg.io/a:1", "id2").await, nobody());
        records.pulled("reg.io/a:1", "id", None).await;
        assert_eq!(records.access("reg.io/a:1", "id").await, Access::Everybody);
    }

    #[tokio::test]
    async fn records_go_with_their_images() {
        let dir = tempfile::tempdir().unwrap();
        let records = PullRecords::open(dir.path().join("pulls.json")).await;
        records.pulled("reg.io/a:1", "a", Some(&origin("s"))).await;
        let listed = records.changes().await;
        records.pulled("reg.io/b:1", "b", Some(&origin("s"))).await;
        records.keep(&HashSet::new(), listed).await;
        assert_eq!(records.access("reg.io/a:1", "a").await, Access::Everybody);
        let with = Access::With([origin("s")].into());
        assert_eq!(records.access("reg.io/b:1", "b").await, with);
    }

    #[tokio::test]
    async fn what_cannot_be_read_makes_nothing_everybodys() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pulls.json");
        std::fs::write(&file, "{").unwrap();
        let records = PullRecords::open(file).await;
        assert_eq!(records.access("reg.io/a:1", "id").await, nobody());
    }
}
