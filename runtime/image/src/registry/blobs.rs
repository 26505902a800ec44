//! Sending blobs: whole, or a range of one.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::content::blocking;
use crate::digest::Digest;
use crate::registry::Registry;
use crate::registry::answer::Failure;
use crate::registry::prune::Pruned;
use crate::registry::uploads::Finished;

/// Blobs are sent in pieces of this size.
const CHUNK: usize = 128 << 10;

impl Registry {
    /// Gives a verified upload its place in a repository.
    pub(crate) async fn blob_put(
        self: &Arc<Self>,
        name: String,
        digest: Digest,
        file: Finished,
    ) -> Result<(), Failure> {
        let here = self.clone();
        let stored = blocking(move || {
            // A deletion elsewhere either comes before, or sees the blob as used.
            let _writer = here.writer.lock();
            let known = here.content.size(&digest).is_some();
            let published = here.content.publish(&file.temp, &digest);
            // A failure may come when it is in its place already.
            if !known && here.content.size(&digest).is_some() {
                file.taken.keep();
            }
            published?;
            here.remember(&name, &digest)
        });
        stored.await.map_err(Failure::io("store blob"))
    }

    /// Gives a repository a blob of another one, or says that it has it; false when neither has it.
    pub(crate) async fn blob_mount(
        self: &Arc<Self>,
        name: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<bool, Failure> {
        let here = self.clone();
        let (name, digest, from) = (name.to_owned(), digest.clone(), from.to_owned());
        let mounted = blocking(move || {
            // A deletion comes before, and then the blob is unknown, or sees it as used.
            let _writer = here.writer.lock();
            let known = {
                let index = here.index.read();
                index.has_blob(&name, &digest) || index.has_blob(&from, &digest)
            };
            if known {
                here.remember(&name, &digest)?;
            }
            Ok(known)
        });
        mounted.await.map_err(Failure::io("mount blob"))
    }

    /// Blocks; the caller holds the writer lock.
    fn remember(&self, name: &str, digest: &Digest) -> std::io::Result<()> {
        let freed = self.index.write().add_fresh(name, digest);
        self.delete_blobs(&freed, &mut Pruned::default())
    }

    /// Deletes an upload that no manifest of the repository names. What one does name goes with its manifest: the
    /// registry keeps every manifest complete.
    pub(crate) async fn blob_delete(
        self: &Arc<Self>,
        name: String,
        digest: Digest,
    ) -> Result<(), Failure> {
        let here = self.clone();
        blocking(move || {
            let _writer = here.writer.lock();
            if here.index.read().names_blob(&name, &digest) {
                return Err(Failure::BlobNeeded);
            }
            let freed = here.index.write().remove_fresh(&name, &digest);
            let freed = freed.ok_or(Failure::BlobUnknown)?;
            let deleted = here.delete_blobs(&freed, &mut Pruned::default());
            deleted.map_err(Failure::io("delete blob"))
        })
        .await
    }

    /// The answer to GET (`send`) or HEAD.
    pub(crate) async fn blob_answer(
        &self,
        name: &str,
        digest: &Digest,
        headers: &HeaderMap,
        send: bool,
    ) -> Result<Response, Failure> {
        if !self.index.read().has_blob(name, digest) {
            return Err(Failure::BlobUnknown);
        }
        let opened = tokio::fs::File::open(self.content.path(digest)).await;
        let mut file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::BlobUnknown,
            _ => Failure::Io {
                step: "open blob",
                source: error,
            },
        })?;
        let size = file
            .metadata()
            .await
            .map_err(Failure::io("open blob"))?
            .len();
        let mut answer = Response::builder()
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ACCEPT_RANGES, "bytes")
            .header("docker-content-digest", digest.as_str());
        let range = headers
            .get(header::RANGE)
            .and_then(|value| value.to_str().ok());
        let part = match range.and_then(|text| parse_range(text, size)) {
            None => 0..size,
            Some(Some(part)) => {
                let (first, last) = (part.start, part.end - 1);
                let shown = format!("bytes {first}-{last}/{size}");
                answer = answer
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(header::CONTENT_RANGE, shown);
                part
            }
            Some(None) => return Err(Failure::Range { size }),
        };
        let length = part.end - part.start;
        answer = answer.header(header::CONTENT_LENGTH, length);
        let body = if send {
            let sought = file.seek(std::io::SeekFrom::Start(part.start)).await;
            sought.map_err(Failure::io("read blob"))?;
            Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK))
        } else {
            Body::empty()
        };
        Ok(answer
            .body(body)
            .map_or_else(|_| Failure::BlobUnknown.into_response(), Response::from))
    }
}

/// One range of bytes: `None` to send everything (no range, several ranges, another unit), `Some(None)`
/// when it lies outside.
fn parse_range(text: &str, size: u64) -> Option<Option<std::ops::Range<u64>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let part = match (
        first.trim().parse::<u64>().ok(),
        last.trim().parse::<u64>().ok(),
    ) {
        (Some(first), Some(last)) if first <= last => first..size.min(last.saturating_add(1)),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return None,
    };
    Some((part.start < part.end).then_some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, want) in [
            ("bytes=0-4", Some(Some(0..5))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=8-99", Some(Some(8..10))),
            ("bytes=10-", Some(None)),
            ("bytes=10-12", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=4-2", None),
            ("bytes=0-1,4-5", None),
            ("lines=0-1", None),
            ("bytes=x", None),
        ] {
            assert_eq!(parse_range(text, 10), want, "{text}");
        }
    }
}
