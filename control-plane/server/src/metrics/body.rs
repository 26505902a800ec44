//! A body that says when it was sent, and how much of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

use super::requests::Record;

pub(super) struct Tracked {
    inner: Body,
    bytes: u64,
    record: Record,
}

impl Tracked {
    pub(super) fn new(inner: Body, record: Record) -> Tracked {
        Tracked {
            inner,
            bytes: 0,
            record,
        }
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Sent to its end, or the client went away.
impl Drop for Tracked {
    fn drop(&mut self) {
        self.record.done(self.bytes);
    }
}
