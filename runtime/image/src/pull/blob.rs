//! Fetching one blob, in as many attempts as it takes.

use crate::content::{Expected, blocking};
use crate::distribution::Blob;
use crate::error::FetchError;
use crate::inventory::Pin;
use crate::limits::PROGRESS_BYTES;
use crate::manifest::Descriptor;
use crate::pull::retry::Attempts;
use crate::pull::source::Source;
use crate::store::ImageStore;

/// Fetches a blob unless it is here, and pins it.
pub(crate) async fn fetch_blob(
    store: &ImageStore,
    source: &Source,
    wanted: &Descriptor,
) -> Result<Pin, FetchError> {
    let expected = Expected {
        digest: wanted.digest.clone(),
        size: wanted.size,
    };
    let pin = store.inventory.pin(&expected.digest);
    match store.inventory.content().size(&expected.digest) {
        Some(size) if size == expected.size => return Ok(pin),
        Some(size) => return Err(contradicts(&expected, "has", size)),
        None => {}
    }
    // The semaphore is never closed, so there is always a permit in the end.
    let _permit = if source.is_remote() {
        store.permits.acquire().await.ok()
    } else {
        None
    };
    receive(store, source, &expected).await?;
    Ok(pin)
}

async fn receive(
    store: &ImageStore,
    source: &Source,
    expected: &Expected,
) -> Result<(), FetchError> {
    let content = store.inventory.content();
    let mut arrival = store.parts.begin(expected);
    let mut attempts = Attempts::new(&store.limits);
    let mut anew = false;
    loop {
        let before = arrival.bytes();
        let found = source
            .place
            .blob(&source.repository, &expected.digest, before);
        let received = match found.await {
            Ok(Blob::File { path }) => {
                let (content, expected) = (content.clone(), expected.clone());
                return blocking(move || content.adopt(&path, &expected, true)).await;
            }
            Ok(Blob::Stream {
                size: Some(size), ..
            }) if size != expected.size => Err(contradicts(expected, "comes with", size)),
            Ok(Blob::Stream { start, stream, .. }) => {
                arrival.receive(start, stream, &store.limits).await
            }
            Err(error) => Err(error),
        };
        let error = match received {
            Ok(()) => {
                let pieced = arrival.is_pieced() && !anew;
                match arrival.finish().await {
                    // Its pieces may come from places that disagree. Once more, from one.
                    Err(FetchError::Invalid(reason)) if pieced => {
                        tracing::debug!(reason, "fetching a blob anew");
                        arrival.discard();
                        anew = true;
                        continue;
                    }
                    finished => return finished,
                }
            }
            Err(error) => error,
        };
        if arrival.bytes() >= before + PROGRESS_BYTES {
            attempts.renew();
        }
        attempts.after(error).await?;
    }
}

fn contradicts(expected: &Expected, verb: &str, size: u64) -> FetchError {
    let Expected {
        digest,
        size: announced,
    } = expected;
    FetchError::Invalid(format!(
        "blob {digest} {verb} {size} bytes, the manifest says {announced}"
    ))
}
