//! Manifests of our registry: storing them with everything they need, sending them, and deleting them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use crate::content::{blocking, sync_folder_of};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Document, served_type};
use crate::registry::Registry;
use crate::registry::answer::Failure;
use crate::registry::index::{Found, Freed, Held, manifest_path, repositories_dir, tag_path};
use crate::registry::prune::{FRESH_AGE, Pruned};
use crate::registry::query::accepts;
use crate::registry::routes::{Answer, PREFIX, created};

impl Registry {
    /// The answer to GET (`send`) or HEAD.
    pub(crate) async fn manifest_answer(
        &self,
        name: &str,
        reference: &str,
        headers: &HeaderMap,
        send: bool,
    ) -> Answer {
        let found = self.index.read().find(name, reference);
        let Found {
            digest, media_type, ..
        } = found.ok_or_else(|| self.unknown(name))?;
        if !accepts(headers, &media_type) {
            return Err(Failure::NotAccepted(media_type));
        }
        let bytes = tokio::fs::read(self.content.path(&digest)).await;
        let bytes = bytes.map_err(Failure::io("read manifest"))?;
        let headers = [
            (header::CONTENT_TYPE.as_str(), media_type),
            (header::CONTENT_LENGTH.as_str(), bytes.len().to_string()),
            ("docker-content-digest", digest.to_string()),
            (header::ETAG.as_str(), format!("\"{digest}\"")),
        ];
        let body = if send {
            Body::from(bytes)
        } else {
            Body::empty()
        };
        Ok((headers, body).into_response())
    }

    fn unknown(&self, name: &str) -> Failure {
        match self.index.read().has_repository(name) {
            true => Failure::ManifestUnknown,
            false => Failure::NameUnknown,
        }
    }

    /// PUT: stores what the body holds under a tag or its digest.
    pub(crate) async fn manifest_upload(
        self: &Arc<Self>,
        name: String,
        reference: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Answer {
        let most = self.limits.manifest_bytes;
        let too_large = || Failure::TooLarge(format!("a manifest may have {most} bytes"));
        if body.size_hint().lower() > most {
            return Err(too_large());
        }
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let bytes = axum::body::to_bytes(body, usize::try_from(most).unwrap_or(usize::MAX)).await;
        let bytes = bytes.map_err(|error| match is_length_limit(&error) {
            true => too_large(),
            false => Failure::ManifestInvalid("it broke off".into()),
        })?;
        let here = self.clone();
        let put = name.clone();
        let (digest, subject) =
            blocking(move || here.manifest_put(&put, &reference, &media_type, &bytes)).await?;
        let mut response: Response =
            created(&format!("{PREFIX}/{name}/manifests/{digest}"), &digest);
        // Tells the client that the referrers API knows it, so that it need not keep a list of its own.
        if let Some(Ok(subject)) = subject.map(|subject| HeaderValue::from_str(subject.as_str())) {
            response.headers_mut().insert("oci-subject", subject);
        }
        Ok(response)
    }

    /// Stores a manifest that is complete: all it names is in the repository, but for what it is about. Blocks.
    fn manifest_put(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(Digest, Option<Digest>), Failure> {
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
        let invalid = |error: crate::error::FetchError| Failure::ManifestInvalid(error.to_string());
        let document = Document::parse(bytes, media_type).map_err(invalid)?;
        if let Document::Image(manifest) = &document {
            manifest.check(&self.limits).map_err(invalid)?;
        }
        let media_type = served_type(&document, bytes, media_type);
        let held = Held::read(bytes, media_type, SystemTime::now()).map_err(invalid)?;
        // Held to the end: nothing the manifest needs can go between the check and its storing.
        let _writer = self.writer.lock();
        let index = self.index.read();
        let has_room = index.has_room(&self.limits, name, &digest, &held, tag);
        drop(index);
        if !has_room {
            return Err(Failure::TooMany(
                "the registry is full: delete images first",
            ));
        }
        self.check_complete(name, &document)?;
        let mut taken = self.room.taken();
        if self.content.size(&digest).is_none() {
            taken.grow(bytes.len() as u64)?;
        }
        let failed = Failure::io("store manifest");
        let stored = (|| {
            self.content.write_bytes(bytes)?;
            taken.keep();
            let path = manifest_path(&self.root, name, &digest);
            self.write_entry(&path, media_type)?;
            match tag {
                Some(tag) => self.write_entry(&tag_path(&self.root, name, tag), digest.as_str()),
                None => Ok(()),
            }
        })();
        stored.map_err(failed)?;
        let subject = held.subject.clone();
        self.index.write().insert(name, digest.clone(), held, tag);
        Ok((digest, subject))
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
            let Found { digest, .. } = found.ok_or_else(|| here.unknown(&name))?;
            let mut pruned = Pruned::default();
            here.uploads.drop_idle();
            let deleted = if reference.parse::<Digest>().is_ok() {
                here.delete_whole(&name, &digest, &mut pruned)
            } else {
                let removed = remove_entry(&tag_path(&here.root, &name, &reference));
                removed.map(|()| here.index.write().remove_tag(&name, &reference))
            };
            let expired = deleted.and_then(|()| {
                let freed = here.index.write().expire_fresh(FRESH_AGE);
                here.delete_blobs(&freed, &mut pruned)
            });
            expired.map_err(Failure::io("delete manifest"))
        })
        .await
    }

    /// Deletes a manifest from the disk and the index. Blocks; the caller holds the writer lock.
    pub(super) fn delete_whole(
        &self,
        name: &str,
        digest: &Digest,
        pruned: &mut Pruned,
    ) -> io::Result<()> {
        let tags = self.index.read().tags_of(name, digest);
        for tag in tags {
            remove_entry(&tag_path(&self.root, name, &tag))?;
            self.index.write().remove_tag(name, &tag);
        }
        remove_entry(&manifest_path(&self.root, name, digest))?;
        let freed = self.index.write().remove(name, digest);
        self.delete_blobs(&freed, pruned)
    }

    /// Deletes what the index gave back. Blocks; the caller holds the writer lock since before it did.
    pub(super) fn delete_blobs(&self, freed: &Freed, pruned: &mut Pruned) -> io::Result<()> {
        for blob in freed {
            let size = self.content.size(blob);
            // A mount does not wait for the writer; it comes before the index gave the blob back, or not at all.
            debug_assert!(!self.index.read().is_used(blob), "freed means unused");
            self.content.remove(blob)?;
            self.room.give_back(size.unwrap_or_default());
            pruned.blobs += u64::from(size.is_some());
            pruned.bytes += size.unwrap_or_default();
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

fn is_length_limit(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn remove_entry(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder_of(path),
    }
}
