//! A connection that nobody uses: whether anything still happens on it, and a client that takes nothing.

use super::response::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream whose writes fail if the other side takes nothing for so long.
pub(super) struct Patient<S> {
    stream: S,
    limit: Duration,
    /// Set while a write waits.
    over: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Patient {
            stream,
            limit,
            over: None,
        }
    }

    fn within<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.over = None;
            return written;
        }
        let limit = self.limit;
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(over.as_mut().poll(cx));
        let message = "the client takes nothing";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.within(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.within(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.within(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within(cx, shut)
    }
}

/// What happens on one connection.
#[derive(Default)]
pub(super) struct Activity {
    /// Requests whose responses are not over.
    requests: AtomicUsize,
    /// Requests, and pieces of responses that were taken.
    events: AtomicU64,
}

impl Activity {
    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(1, Ordering::Relaxed);
        Exchange(self.clone())
    }

    pub(super) fn seen_request(&self) -> bool {
        self.events.load(Ordering::Relaxed) > 0
    }
}

/// One request, until its response is over.
pub(super) struct Exchange(Arc<Activity>);

impl Exchange {
    pub(super) fn answered(self, body: Body) -> Watched {
        Watched {
            body,
            exchange: self,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.events.fetch_add(1, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body, of which it is noted that pieces are taken.
pub(super) struct Watched {
    body: Body,
    exchange: Exchange,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.exchange.0.events.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Looks at a connection from time to time.
pub(super) struct Watch {
    activity: Arc<Activity>,
    /// Time for a request and its response.
    request_timeout: Duration,
    events: u64,
    since: Instant,
}

/// What is to be done about a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    InUse,
    /// No request is under way, and none has come since the last look.
    Idle,
    /// A response makes no step, though its instance must have ended by now.
    Stuck,
}

impl Watch {
    pub(super) fn new(activity: Arc<Activity>, request_timeout: Duration) -> Self {
        Watch {
            activity,
            request_timeout,
            events: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn look(&mut self) -> Verdict {
        let events = self.activity.events.load(Ordering::Relaxed);
        if events != self.events {
            self.events = events;
            self.since = Instant::now();
            return Verdict::InUse;
        }
        if self.activity.requests.load(Ordering::Relaxed) == 0 {
            return Verdict::Idle;
        }
        match self.since.elapsed() > self.request_timeout {
            true => Verdict::Stuck,
            false => Verdict::InUse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (ours, theirs) = tokio::io::duplex(64);
        let mut stream = Patient::new(ours, Duration::from_millis(20));
        let error = stream.write_all(&[0; 100]).await.expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_in_use_while_something_happens_on_it() {
        let activity = Arc::new(Activity::default());
        let mut watch = Watch::new(activity.clone(), Duration::from_secs(100));
        assert_eq!(watch.look(), Verdict::Idle, "nothing ever came");
        let exchange = activity.begin();
        assert_eq!(watch.look(), Verdict::InUse);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(watch.look(), Verdict::InUse, "the instance may still run");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(watch.look(), Verdict::Stuck);
        drop(exchange);
        assert_eq!(watch.look(), Verdict::InUse, "it has ended since");
        assert_eq!(watch.look(), Verdict::Idle);
    }
}
