//! Manifests of our registry: storing them with everything they need, and deleting them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::content::{blocking, sync_folder_of};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Document, served_type};
use crate::registry::Registry;
use crate::registry::answer::Failure;
use crate::registry::index::{
    Found, MANIFESTS_MAX, manifest_path, needed, repositories_dir, tag_path,
};

impl Registry {
    /// Stores a manifest under a tag or its digest. It is complete: all it names is in the repository.
    pub(crate) async fn manifest_put(
        self: &Arc<Self>,
        name: String,
        reference: String,
        media_type: String,
        bytes: bytes::Bytes,
    ) -> Result<Digest, Failure> {
        let here = self.clone();
        blocking(move || here.manifest_put_now(&name, &reference, &media_type, &bytes)).await
    }

    fn manifest_put_now(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Failure> {
        let digest = Digest::of(bytes);
        let tag = match reference.parse::<Digest>() {
            Ok(wanted) if wanted != digest => {
                return Err(Failure::DigestInvalid(format!(
                    "the manifest is {digest}, not {wanted}"
                )));
            }
            Ok(_) => None,
            Err(_) => Some(reference),
        };
        let document = Document::parse(bytes, media_type)
            .map_err(|error| Failure::ManifestInvalid(error.to_string()))?;
        let media_type = served_type(&document, bytes, media_type);
        // Held to the end: nothing the manifest needs can go between the check and its storing.
        let _writer = self.writer.lock();
        let known = self.index.read().find(name, digest.as_str()).is_some();
        if !known && self.index.read().manifests() >= MANIFESTS_MAX {
            return Err(Failure::TooMany(
                "the registry is full: delete images first",
            ));
        }
        self.check_complete(name, &document)?;
        let failed = Failure::io("store manifest");
        let stored = (|| {
            self.content.write_bytes(bytes)?;
            let path = manifest_path(&self.root, name, &digest);
            self.write_entry(&path, media_type)?;
            match tag {
                Some(tag) => self.write_entry(&tag_path(&self.root, name, tag), digest.as_str()),
                None => Ok(()),
            }
        })();
        stored.map_err(failed)?;
        let (kept, blobs) = (digest.clone(), needed(&document));
        self.index
            .write()
            .insert(name, kept, media_type.to_owned(), blobs, tag);
        Ok(digest)
    }

    fn check_complete(&self, name: &str, document: &Document) -> Result<(), Failure> {
        let index = self.index.read();
        let missing = |wanted: &Descriptor| Failure::ManifestBlobUnknown(wanted.digest.to_string());
        match document {
            Document::Image(manifest) => {
                let layers = manifest.layers.iter().filter(|layer| layer.urls.is_none());
                for wanted in layers.chain([&manifest.config]) {
                    if !index.has_blob(name, &wanted.digest) {
                        return Err(missing(wanted));
                    }
                    match self.content.size(&wanted.digest) {
                        None => return Err(missing(wanted)),
                        Some(size) if size != wanted.size => {
                            return Err(Failure::ManifestInvalid(format!(
                                "{} has {size} bytes, not {}",
                                wanted.digest, wanted.size
                            )));
                        }
                        Some(_) => {}
                    }
                }
            }
            Document::Index(entries) => {
                for wanted in entries {
                    if index.find(name, wanted.digest.as_str()).is_none() {
                        return Err(missing(wanted));
                    }
                }
            }
        }
        Ok(())
    }

    /// Deletes a tag, or a manifest with all its tags and the blobs that nothing else needs.
    pub(crate) async fn manifest_delete(
        self: &Arc<Self>,
        name: String,
        reference: String,
    ) -> Result<(), Failure> {
        let here = self.clone();
        blocking(move || {
            let _writer = here.writer.lock();
            let found = here.index.read().find(&name, &reference);
            let Found { digest, .. } = found.ok_or(Failure::ManifestUnknown)?;
            let deleted = if reference.parse::<Digest>().is_ok() {
                here.delete_whole(&name, &digest)
            } else {
                let removed = remove_entry(&tag_path(&here.root, &name, &reference));
                removed.map(|()| here.index.write().remove_tag(&name, &reference))
            };
            deleted.map_err(Failure::io("delete manifest"))
        })
        .await
    }

    fn delete_whole(&self, name: &str, digest: &Digest) -> io::Result<()> {
        let tags = self.index.read().tags_of(name, digest);
        for tag in tags {
            remove_entry(&tag_path(&self.root, name, &tag))?;
            self.index.write().remove_tag(name, &tag);
        }
        remove_entry(&manifest_path(&self.root, name, digest))?;
        let freed = self.index.write().remove(name, digest);
        let used = self.index.read().used();
        for blob in freed.iter().filter(|blob| !used.contains(*blob)) {
            self.content.remove(blob)?;
        }
        Ok(())
    }

    /// Writes a small file so that it and all folders above it survive a power cut.
    fn write_entry(&self, path: &Path, text: &str) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            let top = repositories_dir(&self.root);
            for made in folder.ancestors().take_while(|made| *made != top) {
                sync_folder_of(made)?;
            }
        }
        self.content.replace(path, text.as_bytes())
    }
}

fn remove_entry(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder_of(path),
    }
}
