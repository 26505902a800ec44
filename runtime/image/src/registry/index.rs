//! What the registry's repositories hold: kept in memory, read back from disk at the start.
//!
//! On disk a repository is a folder with a small file per manifest (its media type) and per tag (a digest).
//! Which blobs a repository has follows from its manifests; uploads that no manifest names yet are only
//! remembered here, so a restart forgets them and clients upload again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::content::ContentDir;
use crate::digest::Digest;
use crate::manifest::Document;
use crate::reference::{check_repository, is_tag};

/// Uploads that wait for their manifest. Beyond this the oldest is forgotten.
const FRESH_MAX: usize = 10_000;
/// Manifests in the whole registry: each takes a little memory.
pub(crate) const MANIFESTS_MAX: usize = 100_000;

/// All repositories.
#[derive(Debug, Default)]
pub(crate) struct Index {
    repositories: BTreeMap<String, Repository>,
    fresh: VecDeque<(String, Digest)>,
}

#[derive(Debug, Default)]
struct Repository {
    manifests: HashMap<Digest, Held>,
    tags: BTreeMap<String, Digest>,
}

/// A manifest of a repository.
#[derive(Debug)]
struct Held {
    media_type: String,
    /// Blobs of this registry it needs; manifests in the case of an index.
    blobs: Vec<Digest>,
}

/// A manifest that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
}

impl Index {
    /// Reads the repositories. What cannot be understood is skipped with a warning: the rest still serves.
    pub(crate) fn load(root: &Path, content: &ContentDir) -> io::Result<Index> {
        let mut index = Index::default();
        let top = repositories_dir(root);
        fs::create_dir_all(&top)?;
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if !entry.file_name().to_string_lossy().starts_with('_')
                    && entry.file_type()?.is_dir()
                {
                    folders.push(entry.path());
                }
            }
            let name = folder
                .strip_prefix(&top)
                .ok()
                .and_then(Path::to_str)
                .unwrap_or_default();
            if check_repository(name).is_ok() {
                index.load_repository(&folder, name, content)?;
            }
        }
        Ok(index)
    }

    fn load_repository(
        &mut self,
        folder: &Path,
        name: &str,
        content: &ContentDir,
    ) -> io::Result<()> {
        for (file, media_type) in small_files(&folder.join("_manifests"))? {
            let held = Digest::from_hex(&file).ok().and_then(|digest| {
                let bytes = fs::read(content.path(&digest)).ok()?;
                let document = Document::parse(&bytes, &media_type).ok()?;
                Some((digest, needed(&document)))
            });
            match held {
                Some((digest, blobs)) => self.insert(name, digest, media_type, blobs, None),
                None => tracing::warn!(
                    repository = name,
                    manifest = file,
                    "skipping a damaged manifest"
                ),
            }
        }
        for (tag, text) in small_files(&folder.join("_tags"))? {
            let digest = text.parse::<Digest>().ok();
            let held = digest.filter(|digest| self.find(name, digest.as_str()).is_some());
            match (held, self.repositories.get_mut(name)) {
                (Some(digest), Some(repository)) if is_tag(&tag) => {
                    repository.tags.insert(tag, digest);
                }
                _ => tracing::warn!(
                    repository = name,
                    tag,
                    "skipping a tag without its manifest"
                ),
            }
        }
        Ok(())
    }

    /// The manifest called `reference`, a tag or digest.
    pub(crate) fn find(&self, name: &str, reference: &str) -> Option<Found> {
        let repository = self.repositories.get(name)?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => repository.tags.get(reference)?.clone(),
        };
        let media_type = repository.manifests.get(&digest)?.media_type.clone();
        Some(Found { digest, media_type })
    }

    /// Whether a repository has this blob. Knowing another repository's digest is not enough.
    pub(crate) fn has_blob(&self, name: &str, digest: &Digest) -> bool {
        let named = |repository: &Repository| {
            repository
                .manifests
                .values()
                .any(|held| held.blobs.contains(digest))
        };
        self.repositories.get(name).is_some_and(named)
            || self
                .fresh
                .iter()
                .any(|(fresh, blob)| fresh == name && blob == digest)
    }

    pub(crate) fn has_repository(&self, name: &str) -> bool {
        self.repositories.contains_key(name)
    }

    /// Remembers an upload until a manifest names it.
    pub(crate) fn add_fresh(&mut self, name: &str, digest: &Digest) {
        self.fresh.push_back((name.to_owned(), digest.clone()));
        if self.fresh.len() > FRESH_MAX {
            self.fresh.pop_front();
        }
    }

    pub(crate) fn insert(
        &mut self,
        name: &str,
        digest: Digest,
        media_type: String,
        blobs: Vec<Digest>,
        tag: Option<&str>,
    ) {
        self.fresh
            .retain(|(fresh, blob)| fresh != name || !blobs.contains(blob));
        let repository = self.repositories.entry(name.to_owned()).or_default();
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        repository
            .manifests
            .insert(digest, Held { media_type, blobs });
    }

    pub(crate) fn remove_tag(&mut self, name: &str, tag: &str) {
        if let Some(repository) = self.repositories.get_mut(name) {
            repository.tags.remove(tag);
        }
    }

    /// Forgets a manifest; gives what it needed and itself.
    pub(crate) fn remove(&mut self, name: &str, digest: &Digest) -> Vec<Digest> {
        let Some(repository) = self.repositories.get_mut(name) else {
            return Vec::new();
        };
        repository.tags.retain(|_, tagged| tagged != digest);
        let mut freed = repository
            .manifests
            .remove(digest)
            .map(|held| held.blobs)
            .unwrap_or_default();
        freed.push(digest.clone());
        if repository.manifests.is_empty() {
            self.repositories.remove(name);
        }
        freed
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

    pub(crate) fn manifests(&self) -> usize {
        self.repositories
            .values()
            .map(|repository| repository.manifests.len())
            .sum()
    }

    /// Every blob that must stay: manifests, what they need, and fresh uploads.
    pub(crate) fn used(&self) -> HashSet<Digest> {
        let held = self
            .repositories
            .values()
            .flat_map(|repository| &repository.manifests);
        let held = held.flat_map(|(digest, held)| held.blobs.iter().chain([digest]));
        held.chain(self.fresh.iter().map(|(_, digest)| digest))
            .cloned()
            .collect()
    }
}

/// What a manifest needs in its repository. Layers with addresses of their own live elsewhere.
pub(crate) fn needed(document: &Document) -> Vec<Digest> {
    match document {
        Document::Image(manifest) => {
            let here = manifest.layers.iter().filter(|layer| layer.urls.is_none());
            here.chain([&manifest.config])
                .map(|needed| needed.digest.clone())
                .collect()
        }
        Document::Index(entries) => entries.iter().map(|entry| entry.digest.clone()).collect(),
    }
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

/// The files of a folder with their text; a folder that is not there has none.
fn small_files(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        files.push((entry.file_name().to_string_lossy().into_owned(), text));
    }
    Ok(files)
}
