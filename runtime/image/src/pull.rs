//! Pulling: from a reference to an image in the store.
//!
//! A name is resolved for every pull with that pull's own credentials, one with a digest too: who knows the digest of an
//! image that is here may not use it for that. The content behind it is then fetched
//! once, however many pulls want it at the same time, and every byte is checked against its digest here,
//! whatever the place it came from has checked already.

mod blob;
mod fetch;
mod retry;
mod source;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::content::blocking;
use crate::digest::Digest;
use crate::distribution::Auth;
use crate::error::{FetchError, PullError};
use crate::file;
use crate::image::Image;
use crate::layout::Layout;
use crate::limits::INDEX_DEPTH;
use crate::manifest::{Document, ImageManifest, choose};
use crate::reference::{OciName, Reference};
use crate::store::ImageStore;

use fetch::fetch_image;
use source::Source;
pub(crate) use source::recorded_names;

/// Content on its way; dropped with the last pull that waits for it.
pub(crate) type Downloads = WeakShared<BoxFuture<'static, Result<Digest, FetchError>>>;

/// What a reference means in one place, verified.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Of the manifest or index the reference names.
    top: Digest,
    /// Of the image's own manifest.
    digest: Digest,
    bytes: bytes::Bytes,
    manifest: ImageManifest,
}

/// See [`ImageStore::pull`].
pub(crate) async fn pull(
    store: &Arc<ImageStore>,
    text: &str,
    auth: Option<Auth>,
) -> Result<Arc<Image>, PullError> {
    let reference: Reference = text.parse().map_err(|reason| PullError::InvalidName {
        image: text.to_owned(),
        reason,
    })?;
    let done = match reference {
        Reference::Name(name) => {
            let most = store.limits.pull_time;
            let pulled = tokio::time::timeout(most, pull_name(store, &name, auth.as_ref())).await;
            pulled.unwrap_or_else(|_| {
                Err(FetchError::Unavailable(format!(
                    "the pull took longer than {most:?}; what came is kept for the next one"
                )))
            })
        }
        Reference::File(ref path) => pull_file(store, path, reference.to_string()).await,
        Reference::Layout {
            ref path,
            ref image,
        } => {
            pull_layout(
                store,
                path,
                image.as_deref().unwrap_or_default(),
                reference.to_string(),
            )
            .await
        }
    };
    done.map_err(|error| error.of_image(text))
}

async fn pull_name(
    store: &Arc<ImageStore>,
    name: &OciName,
    auth: Option<&Auth>,
) -> Result<Arc<Image>, FetchError> {
    let mut failures: Vec<(String, FetchError)> = Vec::new();
    for source in source::sources(store, name, auth) {
        let failed = match resolve(store, &source, name.target()).await {
            Ok(resolved) => {
                let names = source.names(&resolved.top);
                match obtain(store, source.clone(), resolved, names).await {
                    // A mirror may have a name and not its layers, or wrong ones.
                    Err(error) if source.is_mirror() => error,
                    done => return done.map_err(|error| source::explain(failures, error)),
                }
            }
            Err(error) => error,
        };
        if !source.may_be_elsewhere(&failed) {
            return Err(source::explain(failures, failed));
        }
        failures.push((source.label, failed));
    }
    let last = failures.pop().map(|(_, error)| error);
    let last = last.unwrap_or_else(|| FetchError::NotFound("no registry to ask".into()));
    Err(source::explain(failures, last))
}

async fn pull_layout(
    store: &Arc<ImageStore>,
    path: &std::path::Path,
    image: &str,
    name: String,
) -> Result<Arc<Image>, FetchError> {
    let (path, roots) = (path.to_owned(), store.file_roots.clone());
    let limit = store.limits.manifest_bytes;
    let layout = blocking(move || Layout::open(&path, &roots, limit)).await?;
    let source = Source::layout(Arc::new(layout), name.clone());
    let resolved = resolve(store, &source, image).await?;
    obtain(store, source, resolved, vec![name]).await
}

async fn pull_file(
    store: &Arc<ImageStore>,
    path: &std::path::Path,
    name: String,
) -> Result<Arc<Image>, FetchError> {
    let (roots, limits) = (store.file_roots.clone(), store.limits.clone());
    let path = path.to_owned();
    let (found, expected, stamp) = blocking(move || file::measure(&roots, &path, &limits)).await?;
    let _pin = store.inventory.pin(&expected.digest);
    let content = store.inventory.content().clone();
    let record = blocking(move || file::take(&content, &found, &expected, stamp)).await?;
    store.inventory.commit(record, None, vec![name]).await
}

/// Finds the image manifest behind `target`, through indexes.
async fn resolve(
    store: &ImageStore,
    source: &Source,
    target: &str,
) -> Result<Resolved, FetchError> {
    let mut target = target.to_owned();
    let mut top = None;
    for _ in 0..INDEX_DEPTH {
        let found = source.manifest(&store.limits, &target).await?;
        let digest = found.digest;
        let top = top.get_or_insert_with(|| digest.clone()).clone();
        match Document::parse(&found.bytes, &found.media_type)? {
            Document::Image(manifest) => {
                manifest.check(&store.limits)?;
                return Ok(Resolved {
                    top,
                    digest,
                    bytes: found.bytes,
                    manifest,
                });
            }
            Document::Index(entries) => {
                let chosen = choose(&entries).ok_or_else(|| {
                    FetchError::NotFound("no match for platform wasi/wasm in the index".into())
                })?;
                target = chosen.digest.to_string();
            }
        }
    }
    Err(FetchError::invalid("too many indexes within indexes"))
}

/// Gets the resolved image into the store, joining a pull of the same content if there is one.
async fn obtain(
    store: &Arc<ImageStore>,
    source: Source,
    resolved: Resolved,
    names: Vec<String>,
) -> Result<Arc<Image>, FetchError> {
    // The image may be removed between two steps; whoever removes in a loop gets an error at last.
    for _ in 0..3 {
        let id = share(store, &source, &resolved, &names).await?;
        if let Some(image) = store.inventory.name(&id, names.clone()).await? {
            return Ok(image);
        }
    }
    Err(FetchError::NotFound(
        "the image was removed while it was pulled".into(),
    ))
}

fn share(
    store: &Arc<ImageStore>,
    source: &Source,
    resolved: &Resolved,
    names: &[String],
) -> Shared<BoxFuture<'static, Result<Digest, FetchError>>> {
    // The source is part of the key: a slow or hostile place must not hold up pulls from another.
    let key = format!("{} {}", source.label, resolved.digest);
    let mut downloads = store.downloads.lock();
    let running = downloads.get(&key).and_then(WeakShared::upgrade);
    if let Some(running) = running.filter(|running| running.peek().is_none()) {
        return running;
    }
    let (store, source) = (store.clone(), source.clone());
    let (resolved, names) = (resolved.clone(), names.to_vec());
    let download = async move { fetch_image(&store, &source, &resolved, names).await }
        .boxed()
        .shared();
    downloads.retain(|_, running| running.upgrade().is_some());
    if let Some(weak) = download.downgrade() {
        downloads.insert(key, weak);
    }
    download
}
