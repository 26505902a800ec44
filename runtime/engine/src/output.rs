//! What guests write: their standard output and error, carried to a sink with back-pressure.
//!
//! An [`Output`] belongs to one instance. It holds at most one write in flight; until the sink has taken it, the
//! guest's next write waits. So a flooding guest is as fast as its sink, and costs one chunk of memory. Splitting into
//! lines, time stamps and rates are the sink's business.

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes a guest may hand over in one write.
const MAX_CHUNK: usize = 64 << 10;

/// Takes what a guest writes.
#[async_trait::async_trait]
pub trait OutputSink: Send + Sync {
    /// Takes a chunk, of any length and not aligned to lines. The guest waits until this returns: that is the
    /// back-pressure on a flooding guest.
    async fn write(&self, data: Bytes);
}

/// One standard stream of one instance. Clones share the write in flight.
#[derive(Clone)]
pub(crate) struct Output {
    sink: Arc<dyn OutputSink>,
    in_flight: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
}

impl Output {
    pub(crate) fn new(sink: Arc<dyn OutputSink>) -> Self {
        Output {
            sink,
            in_flight: Arc::default(),
        }
    }

    /// Writes a piece and waits until the sink has taken it.
    pub(crate) async fn put(&self, data: Bytes) {
        self.drained().await;
        self.begin(data);
        self.drained().await;
    }

    /// Waits until the sink has taken everything written so far.
    pub(crate) async fn drained(&self) {
        poll_fn(|cx| self.poll_drained(cx)).await;
    }

    fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut in_flight = self.in_flight.lock();
        if let Some(write) = in_flight.as_mut() {
            std::task::ready!(write.as_mut().poll(cx));
            *in_flight = None;
        }
        Poll::Ready(())
    }

    fn is_drained(&self) -> bool {
        self.poll_drained(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Begins a write. It is appended to one that is still in flight, which happens only when a guest holds
    /// several handles of the stream that were all ready before.
    fn begin(&self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let sink = self.sink.clone();
        let mut in_flight = self.in_flight.lock();
        let before = in_flight.take();
        *in_flight = Some(Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            sink.write(data).await;
        }));
    }
}

/// Writes one line of the engine's own, such as the reason of a trap.
pub(crate) async fn write_line(sink: &dyn OutputSink, text: &str) {
    sink.write(Bytes::from(format!("{text}\n"))).await;
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.drained().await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.begin(bytes);
        // Starts the write even if the guest never asks again; usually this also finishes it.
        self.is_drained();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.is_drained() { MAX_CHUNK } else { 0 })
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_drained(cx));
        let length = data.len().min(MAX_CHUNK);
        self.begin(Bytes::copy_from_slice(&data[..length]));
        let _started = self.poll_drained(cx);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx).map(Ok)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}
