//! A large list on its way out.
//!
//! What it shows stays in memory until it is sent, whatever happens to the objects meanwhile. So a client that does not
//! read on loses it after a while.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::items::Pieces;

/// A list is sent in pieces of about this size.
const CHUNK: usize = 64 * 1024;
/// Time for a client to read a large list.
const PATIENCE: Duration = Duration::from_secs(300);

/// The body of a large list.
pub(super) fn body(pieces: Pieces, gzip: Option<GzEncoder<Vec<u8>>>) -> Body {
    Body::new(ListBody::new(pieces, gzip, PATIENCE))
}

struct ListBody {
    /// Taken away when the client's time is up.
    rest: Arc<Mutex<Option<Rest>>>,
    /// What is left to send, where that is known.
    left: Option<u64>,
    finished: bool,
    timer: AbortHandle,
}

struct Rest {
    pieces: Pieces,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl ListBody {
    fn new(pieces: Pieces, gzip: Option<GzEncoder<Vec<u8>>>, patience: Duration) -> ListBody {
        let left = gzip.is_none().then_some(pieces.size() as u64);
        let rest = Arc::new(Mutex::new(Some(Rest { pieces, gzip })));
        let forgotten = Arc::clone(&rest);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            forgotten.lock().take();
        });
        ListBody {
            rest,
            left,
            finished: false,
            timer: timer.abort_handle(),
        }
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.finished {
            return Ok(None);
        }
        let mut rest = self.rest.lock();
        let Some(open) = rest.as_mut() else {
            let error = "the list was not read in time";
            return Err(io::Error::new(io::ErrorKind::TimedOut, error));
        };
        let next = open.next()?;
        if next.is_none() {
            *rest = None;
            self.finished = true;
        }
        Ok(next)
    }
}

impl Rest {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.pieces.done() {
            let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 4);
            self.pieces
                .fill(&mut buffer, CHUNK)
                .map_err(io::Error::other)?;
            let Some(gzip) = &mut self.gzip else {
                return Ok(Some(buffer.freeze()));
            };
            gzip.write_all(&buffer)?;
            let compressed = std::mem::take(gzip.get_mut());
            if !compressed.is_empty() {
                return Ok(Some(compressed.into()));
            }
        }
        match self.gzip.take() {
            Some(gzip) => Ok(Some(gzip.finish()?.into())),
            None => Ok(None),
        }
    }
}

impl Drop for ListBody {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.next();
        if let (Ok(Some(bytes)), Some(left)) = (&next, &mut self.left) {
            *left = left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(next.transpose().map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use sampan_api::resource::find;
    use sampan_store::{Codec, Entry, Key, Revision};

    use super::*;
    use crate::object::ObjCodec;
    use crate::respond::list::items::Writer;
    use crate::respond::{Items, ListMeta};

    async fn pieces() -> Pieces {
        let stored = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":""}}"#;
        let key = Key::new("configmaps", "d/a");
        let object = ObjCodec
            .decode(&key, Revision(1), &stored.into())
            .expect("decodes");
        let items: Items = vec![Arc::new(Entry {
            key,
            create_revision: Revision(1),
            revision: Revision(1),
            object,
        })];
        let resource = find("", "v1", "configmaps").expect("is served");
        let writer = Writer::protobuf(resource, false).expect("is built in");
        Pieces::new(writer, &ListMeta::default(), items)
            .await
            .expect("is measured")
    }

    #[tokio::test]
    async fn a_list_is_as_long_as_it_says() {
        let body = ListBody::new(pieces().await, None, PATIENCE);
        let left = body.left.expect("is known");
        let whole = body.collect().await.expect("a body").to_bytes();
        assert_eq!(whole.len() as u64, left);
        let (meta, value) = sampan_api::protobuf::decode(&whole).expect("decodes");
        assert_eq!(meta.kind, "ConfigMapList");
        assert_eq!(value["items"][0]["metadata"]["name"], "a");
    }

    #[tokio::test]
    async fn a_list_nobody_reads_is_let_go() {
        let body = ListBody::new(pieces().await, None, Duration::from_millis(1));
        while body.rest.lock().is_some() {
            tokio::task::yield_now().await;
        }
        let error = body.collect().await.expect_err("is cut off");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
