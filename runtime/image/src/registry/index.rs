//! What the registry's repositories hold: kept in memory, read back from disk at the start.
//!
//! Which blobs a repository has follows from its manifests. An upload that no manifest names yet is fresh: it is
//! remembered here for a while, so a restart forgets it and clients upload again. Every blob's uses are counted, so
//! that what a change frees is known at once; whoever makes the change deletes what it gives back.

mod fresh;
mod load;
mod prune;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::digest::Digest;
use crate::limits::Limits;
use crate::manifest::Document;

use fresh::Fresh;

/// All repositories.
#[derive(Debug, Default)]
pub(crate) struct Index {
    repositories: BTreeMap<String, Repository>,
    fresh: Fresh,
    /// How many manifests and fresh uploads need each blob. A manifest needs itself.
    uses: HashMap<Digest, u32>,
    manifests: usize,
    tags: usize,
    /// What the manifests name, all together.
    references: usize,
}

#[derive(Debug, Default)]
struct Repository {
    manifests: HashMap<Digest, Held>,
    tags: BTreeMap<String, Digest>,
    /// How many of its manifests name each blob.
    blobs: HashMap<Digest, u32>,
    /// Manifests by the one they are about.
    referrers: HashMap<Digest, BTreeSet<Digest>>,
}

/// A manifest of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) media_type: String,
    /// Blobs of this registry it needs, each once; manifests in the case of an index.
    pub(crate) blobs: Vec<Digest>,
    /// The manifest it is about.
    pub(crate) subject: Option<Digest>,
    pub(crate) artifact_type: String,
    pub(crate) stored: SystemTime,
}

/// A manifest that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) artifact_type: String,
}

/// Blobs that nothing needs any more.
pub(crate) type Freed = Vec<Digest>;

impl Index {
    /// The manifest called `reference`, a tag or digest.
    pub(crate) fn find(&self, name: &str, reference: &str) -> Option<Found> {
        let repository = self.repositories.get(name)?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => repository.tags.get(reference)?.clone(),
        };
        let held = repository.manifests.get(&digest)?;
        Some(found(&digest, held))
    }

    /// Whether a repository has this blob. Knowing another repository's digest is not enough.
    pub(crate) fn has_blob(&self, name: &str, digest: &Digest) -> bool {
        self.names_blob(name, digest) || self.fresh.has(name, digest)
    }

    /// Whether a manifest of the repository names this blob.
    pub(crate) fn names_blob(&self, name: &str, digest: &Digest) -> bool {
        let repository = self.repositories.get(name);
        repository.is_some_and(|repository| repository.blobs.contains_key(digest))
    }

    pub(crate) fn has_repository(&self, name: &str) -> bool {
        self.repositories.contains_key(name)
    }

    /// Remembers an upload until a manifest names it. When there are too many the oldest is forgotten.
    pub(crate) fn add_fresh(&mut self, name: &str, digest: &Digest) -> Freed {
        if self.fresh.add(name, digest) {
            self.take(digest);
        }
        let forgotten = self.fresh.overflow();
        self.drop_all(forgotten)
    }

    /// Something is sent to a repository: what came before may be of the same image, and is young again.
    pub(crate) fn renew_fresh(&mut self, name: &str) {
        self.fresh.renew(name);
    }

    /// Forgets an upload; none when there is no such.
    pub(crate) fn remove_fresh(&mut self, name: &str, digest: &Digest) -> Option<Freed> {
        let known = self.fresh.remove(name, digest);
        known.then(|| self.drop_all(vec![digest.clone()]))
    }

    /// Whether an upload has waited for its manifest longer than `age`.
    pub(crate) fn has_stale(&self, age: Duration) -> bool {
        self.fresh.has_older(age)
    }

    /// Forgets uploads that have waited for their manifest longer than `age`.
    pub(crate) fn expire_fresh(&mut self, age: Duration) -> Freed {
        let forgotten = self.fresh.expire(age);
        self.drop_all(forgotten)
    }

    /// Adds a manifest, or gives a known one a tag.
    pub(crate) fn insert(&mut self, name: &str, digest: Digest, held: Held, tag: Option<&str>) {
        let repository = self.repositories.entry(name.to_owned()).or_default();
        if let Some(tag) = tag {
            let known = repository.tags.insert(tag.to_owned(), digest.clone());
            self.tags += usize::from(known.is_none());
        }
        if let Some(known) = repository.manifests.get_mut(&digest) {
            // The same bytes, so the same needs. Being pushed again makes it young again.
            known.media_type = held.media_type;
            known.stored = held.stored;
            return;
        }
        for blob in &held.blobs {
            *repository.blobs.entry(blob.clone()).or_default() += 1;
        }
        if let Some(subject) = &held.subject {
            let referrers = repository.referrers.entry(subject.clone()).or_default();
            referrers.insert(digest.clone());
        }
        repository.manifests.insert(digest.clone(), held.clone());
        self.manifests += 1;
        self.references += held.blobs.len();
        self.take(&digest);
        for blob in &held.blobs {
            self.take(blob);
            if self.fresh.remove(name, blob) {
                let freed = self.drop_all(vec![blob.clone()]);
                debug_assert!(freed.is_empty(), "the manifest needs it now");
            }
        }
    }

    pub(crate) fn remove_tag(&mut self, name: &str, tag: &str) {
        if let Some(repository) = self.repositories.get_mut(name) {
            let known = repository.tags.remove(tag);
            self.tags -= usize::from(known.is_some());
        }
    }

    /// Forgets a manifest and its tags.
    pub(crate) fn remove(&mut self, name: &str, digest: &Digest) -> Freed {
        let Some(repository) = self.repositories.get_mut(name) else {
            return Vec::new();
        };
        let Some(held) = repository.manifests.remove(digest) else {
            return Vec::new();
        };
        let tags = repository.tags.len();
        repository.tags.retain(|_, tagged| tagged != digest);
        self.tags -= tags - repository.tags.len();
        for blob in &held.blobs {
            decrement(&mut repository.blobs, blob);
        }
        if let Some(subject) = &held.subject
            && let Some(referrers) = repository.referrers.get_mut(subject)
        {
            referrers.remove(digest);
            if referrers.is_empty() {
                repository.referrers.remove(subject);
            }
        }
        if repository.manifests.is_empty() {
            self.repositories.remove(name);
        }
        self.manifests -= 1;
        self.references -= held.blobs.len();
        let mut dropped = held.blobs;
        dropped.push(digest.clone());
        self.drop_all(dropped)
    }

    /// The tags of a manifest.
    pub(crate) fn tags_of(&self, name: &str, digest: &Digest) -> Vec<String> {
        let tags = self
            .repositories
            .get(name)
            .into_iter()
            .flat_map(|repository| &repository.tags);
        tags.filter(|(_, tagged)| *tagged == digest)
            .map(|(tag, _)| tag.clone())
            .collect()
    }

    /// Up to `count` tags behind `last`, in order; none when there is no such repository.
    pub(crate) fn tags(&self, name: &str, last: &str, count: usize) -> Option<Vec<String>> {
        let tags = self.repositories.get(name)?.tags.keys();
        Some(
            tags.filter(|tag| tag.as_str() > last)
                .take(count)
                .cloned()
                .collect(),
        )
    }

    /// Up to `count` repositories behind `last`, in order.
    pub(crate) fn names(&self, last: &str, count: usize) -> Vec<String> {
        let names = self.repositories.keys();
        names
            .filter(|name| name.as_str() > last)
            .take(count)
            .cloned()
            .collect()
    }

    /// The manifests about `subject` behind `last`, in the order of their digests; of one artifact type if one is
    /// asked for.
    pub(crate) fn referrers(
        &self,
        name: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&Digest>,
    ) -> Vec<Found> {
        let Some(repository) = self.repositories.get(name) else {
            return Vec::new();
        };
        let digests = repository.referrers.get(subject).into_iter().flatten();
        digests
            .filter(|digest| last.is_none_or(|last| *digest > last))
            .filter_map(|digest| Some(found(digest, repository.manifests.get(digest)?)))
            .filter(|found| artifact_type.is_none_or(|wanted| wanted == found.artifact_type))
            .collect()
    }

    /// Whether a manifest and its tag would be within the limits; what is known needs no room.
    pub(crate) fn has_room(
        &self,
        limits: &Limits,
        name: &str,
        digest: &Digest,
        held: &Held,
        tag: Option<&str>,
    ) -> bool {
        let repository = self.repositories.get(name);
        let known = repository.is_some_and(|found| found.manifests.contains_key(digest));
        let tagged = tag.is_none_or(|tag| repository.is_some_and(|r| r.tags.contains_key(tag)));
        let fits = self.manifests < limits.registry_manifests
            && self.references + held.blobs.len() <= limits.registry_references;
        (known || fits) && (tagged || self.tags < limits.registry_tags)
    }

    /// Whether anything needs this blob.
    pub(crate) fn is_used(&self, digest: &Digest) -> bool {
        self.uses.contains_key(digest)
    }

    fn take(&mut self, digest: &Digest) {
        *self.uses.entry(digest.clone()).or_default() += 1;
    }

    /// Counts one use less for each; gives those that had no other.
    fn drop_all(&mut self, digests: Vec<Digest>) -> Freed {
        let uses = &mut self.uses;
        let last = |digest: &Digest| decrement(uses, digest);
        digests.into_iter().filter(last).collect()
    }
}

fn found(digest: &Digest, held: &Held) -> Found {
    Found {
        digest: digest.clone(),
        media_type: held.media_type.clone(),
        artifact_type: held.artifact_type.clone(),
    }
}

/// Counts one less; true when that was the last.
fn decrement(counts: &mut HashMap<Digest, u32>, digest: &Digest) -> bool {
    let Some(count) = counts.get_mut(digest) else {
        return false;
    };
    *count -= 1;
    let last = *count == 0;
    if last {
        counts.remove(digest);
    }
    last
}

/// What a manifest needs in its repository, each once. Layers with addresses of their own live elsewhere.
pub(crate) fn needed(document: &Document) -> Vec<Digest> {
    let all: BTreeSet<&Digest> = match document {
        Document::Image(manifest) => {
            let here = manifest.layers.iter().filter(|layer| layer.urls.is_none());
            here.chain([&manifest.config])
                .map(|needed| &needed.digest)
                .collect()
        }
        Document::Index(entries) => entries.iter().map(|entry| &entry.digest).collect(),
    };
    all.into_iter().cloned().collect()
}

pub(crate) fn repositories_dir(root: &Path) -> PathBuf {
    root.join("repositories")
}

pub(crate) fn manifest_path(root: &Path, name: &str, digest: &Digest) -> PathBuf {
    repositories_dir(root)
        .join(name)
        .join("_manifests")
        .join(digest.hex())
}

pub(crate) fn tag_path(root: &Path, name: &str, tag: &str) -> PathBuf {
    repositories_dir(root).join(name).join("_tags").join(tag)
}

#[cfg(test)]
mod tests;
