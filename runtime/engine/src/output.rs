//! What guests write: their standard output and error, carried to a sink with back-pressure.
//!
//! An [`Output`] belongs to one instance. It holds at most one write in flight; until the sink has taken it, the
//! guest's next write waits. So a flooding guest is as fast as its sink, and costs one chunk of memory. Only a guest
//! that holds several handles of a stream, all told to be ready before, can hand over more; that is queued within
//! bounds. Splitting into lines, time stamps and rates are the sink's business.

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Bytes a guest may hand over in one write, and of one write to a sink.
const MAX_CHUNK: usize = 64 << 10;

/// Bytes that wait behind the write in flight at most: what sixteen handles may write that were ready at once.
const MAX_QUEUED: usize = 16 * MAX_CHUNK;

/// Takes what a guest writes.
#[async_trait::async_trait]
pub trait OutputSink: Send + Sync {
    /// Takes a chunk, of any length and not aligned to lines. The guest waits until this returns: that is the
    /// back-pressure on a flooding guest.
    async fn write(&self, data: Bytes);
}

/// One standard stream of one instance. Clones share the write in flight.
pub(crate) struct Output {
    shared: Arc<Shared>,
    /// Bytes the guest may write through this handle, as it was told last.
    permitted: usize,
}

struct Shared {
    sink: Arc<dyn OutputSink>,
    state: Mutex<State>,
    /// Beside the rest: the write in flight holds on to it.
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct State {
    in_flight: Option<BoxFuture<'static, ()>>,
    /// What comes after the write in flight.
    queued: BytesMut,
}

impl State {
    fn is_drained(&self) -> bool {
        self.in_flight.is_none() && self.queued.is_empty()
    }
}

/// Who waits for the write in flight: several handles may, and a sink's future remembers only who polled it last.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn wake_others(&self, own: &Waker) {
        let waiting = std::mem::take(&mut *self.0.lock());
        for waker in waiting {
            if !waker.will_wake(own) {
                waker.wake();
            }
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_others(Waker::noop());
    }
}

impl Clone for Output {
    fn clone(&self) -> Self {
        Output {
            shared: self.shared.clone(),
            permitted: 0,
        }
    }
}

impl Output {
    pub(crate) fn new(sink: Arc<dyn OutputSink>) -> Self {
        Output {
            shared: Arc::new(Shared {
                sink,
                state: Mutex::default(),
                waiting: Arc::default(),
            }),
            permitted: 0,
        }
    }

    /// Writes a piece and waits until the sink has taken it.
    pub(crate) async fn put(&self, data: Bytes) {
        self.drained().await;
        let begun = self.begin(data);
        debug_assert!(begun, "nothing is in flight");
        self.drained().await;
    }

    /// Waits until the sink has taken everything written so far.
    pub(crate) async fn drained(&self) {
        poll_fn(|cx| self.poll_drained(cx)).await;
    }

    fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.state.lock().is_drained() {
            return Poll::Ready(());
        }
        // Before the sink is asked: it may be ready at any moment after that.
        self.shared.waiting.add(cx.waker());
        std::task::ready!(self.advance());
        self.shared.waiting.wake_others(cx.waker());
        Poll::Ready(())
    }

    /// Gives the sink what it takes now.
    fn advance(&self) -> Poll<()> {
        let waker = Waker::from(self.shared.waiting.clone());
        let mut context = Context::from_waker(&waker);
        let mut state = self.shared.state.lock();
        loop {
            if let Some(write) = state.in_flight.as_mut() {
                std::task::ready!(write.as_mut().poll(&mut context));
                state.in_flight = None;
            }
            if state.queued.is_empty() {
                return Poll::Ready(());
            }
            let length = state.queued.len().min(MAX_CHUNK);
            let next = state.queued.split_to(length).freeze();
            state.in_flight = Some(self.write_to_sink(next));
        }
    }

    fn is_drained(&self) -> bool {
        self.poll_drained(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Begins a write, or queues it behind the one in flight, as happens to a handle that was ready before. False if
    /// the queue is full.
    fn begin(&self, data: Bytes) -> bool {
        let mut state = self.shared.state.lock();
        if data.is_empty() {
            return true;
        }
        if state.is_drained() && data.len() <= MAX_CHUNK {
            state.in_flight = Some(self.write_to_sink(data));
            return true;
        }
        let fits = state.queued.len() + data.len() <= MAX_QUEUED;
        if fits {
            state.queued.extend_from_slice(&data);
        }
        fits
    }

    fn write_to_sink(&self, data: Bytes) -> BoxFuture<'static, ()> {
        let sink = self.shared.sink.clone();
        Box::pin(async move { sink.write(data).await })
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
        // wasmtime leaves it to the stream that a guest writes no more than it may.
        if bytes.len() > self.permitted {
            return Err(StreamError::trap(
                "more is written than check-write permitted",
            ));
        }
        self.permitted -= bytes.len();
        if !self.begin(bytes) {
            return Err(StreamError::trap(
                "too many handles of one stream are written to at once",
            ));
        }
        // Starts the write even if the guest never asks again; usually this also finishes it.
        self.is_drained();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permitted = if self.is_drained() { MAX_CHUNK } else { 0 };
        Ok(self.permitted)
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
        let begun = self.begin(Bytes::copy_from_slice(&data[..length]));
        debug_assert!(begun, "nothing is in flight");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Takes as many chunks as it has permits, and counts their bytes.
    struct Metered {
        permits: Semaphore,
        largest: AtomicUsize,
        taken: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl OutputSink for Metered {
        async fn write(&self, data: Bytes) {
            self.permits.acquire().await.expect("open").forget();
            self.largest.fetch_max(data.len(), Ordering::Relaxed);
            self.taken.fetch_add(data.len(), Ordering::Relaxed);
        }
    }

    fn output() -> (Arc<Metered>, Output) {
        let sink = Arc::new(Metered {
            permits: Semaphore::new(0),
            largest: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        });
        (sink.clone(), Output::new(sink))
    }

    fn is_trap(result: &StreamResult<()>) -> bool {
        matches!(result, Err(StreamError::Trap(_)))
    }

    #[tokio::test]
    async fn what_was_not_permitted_is_a_trap() {
        let (_sink, mut output) = output();
        let byte = || Bytes::from_static(b"x");
        assert!(is_trap(&OutputStream::write(&mut output, byte())));
        assert_eq!(output.check_write().expect("open"), MAX_CHUNK);
        let more = Bytes::from(vec![0; MAX_CHUNK + 1]);
        assert!(is_trap(&OutputStream::write(&mut output, more)));
        for _ in 0..MAX_CHUNK {
            OutputStream::write(&mut output, byte()).expect("permitted");
        }
        assert!(is_trap(&OutputStream::write(&mut output, byte())));
        assert_eq!(output.check_write().expect("open"), 0);
    }

    #[tokio::test]
    async fn handles_that_were_ready_at_once_share_a_bounded_queue() {
        let (sink, output) = output();
        let mut handles = vec![output.clone(); 32];
        for handle in &mut handles {
            assert_eq!(handle.check_write().expect("open"), MAX_CHUNK);
        }
        let whole =
            |handle: &mut Output| OutputStream::write(handle, Bytes::from(vec![0; MAX_CHUNK]));
        let (some, rest) = handles.split_at_mut(17);
        for handle in some {
            whole(handle).expect("one in flight, sixteen behind it");
        }
        assert!(rest.iter_mut().all(|handle| is_trap(&whole(handle))));
        sink.permits.add_permits(100);
        output.drained().await;
        assert_eq!(sink.taken.load(Ordering::Relaxed), 17 * MAX_CHUNK);
        assert_eq!(sink.largest.load(Ordering::Relaxed), MAX_CHUNK);
    }

    #[tokio::test]
    async fn everyone_who_waits_for_the_sink_is_woken() {
        let (sink, mut output) = output();
        output.check_write().expect("open");
        OutputStream::write(&mut output, Bytes::from_static(b"x")).expect("permitted");
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let output = output.clone();
                tokio::spawn(async move { output.drained().await })
            })
            .collect();
        tokio::task::yield_now().await;
        // One who only looks takes nobody's place.
        assert_eq!(output.check_write().expect("open"), 0);
        sink.permits.add_permits(1);
        for waiter in waiting {
            let woken = tokio::time::timeout(std::time::Duration::from_secs(20), waiter);
            woken.await.expect("woken").expect("no panic");
        }
    }
}
