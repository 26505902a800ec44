//! What protects the server from its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sampan_api::status::Status;

use crate::api::Result;

/// Limits of the request chain.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Reads answered at once; watches and logs do not count.
    pub reads_in_flight: usize,
    /// Writes answered at once.
    pub writes_in_flight: usize,
    /// Watches open at once, and logs over WebSockets.
    pub watches: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of all request bodies that are held at once.
    pub bodies_bytes: usize,
    /// How long a request may take, watches and logs excepted.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            reads_in_flight: 1000,
            writes_in_flight: 1000,
            watches: 20_000,
            body_bytes: 3 * 1024 * 1024,
            bodies_bytes: 256 * 1024 * 1024,
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// Requests being answered.
#[derive(Default)]
pub(crate) struct InFlight {
    reads: AtomicUsize,
    writes: AtomicUsize,
    watches: Arc<AtomicUsize>,
    /// Bytes of request bodies.
    bodies: Arc<AtomicUsize>,
}

/// A place among the requests being answered.
pub(crate) struct Slot<'a>(&'a AtomicUsize);

/// A place among what is sent without end.
pub(crate) struct WatchSlot(Arc<AtomicUsize>);

/// The bytes of a request body, as long as they are held.
pub(crate) struct BodyShare {
    held: Arc<AtomicUsize>,
    bytes: usize,
    limit: usize,
}

impl InFlight {
    /// A place, or 429.
    pub(crate) fn enter(&self, verb: &str, limits: &Limits) -> Result<Slot<'_>> {
        let (counter, limit) = match verb {
            "get" | "list" | "head" => (&self.reads, limits.reads_in_flight),
            _ => (&self.writes, limits.writes_in_flight),
        };
        let slot = Slot(counter);
        if counter.fetch_add(1, Ordering::Relaxed) >= limit {
            drop(slot);
            return Err(too_many());
        }
        Ok(slot)
    }

    /// A place for a watch, or 429.
    pub(crate) fn watch(&self, limits: &Limits) -> Result<WatchSlot> {
        let open = self.watches.fetch_add(1, Ordering::Relaxed);
        let slot = WatchSlot(Arc::clone(&self.watches));
        if open >= limits.watches {
            return Err(too_many());
        }
        Ok(slot)
    }

    /// Room for a request body that is about to be read.
    pub(crate) fn body(&self, limits: &Limits) -> BodyShare {
        BodyShare {
            held: Arc::clone(&self.bodies),
            bytes: 0,
            limit: limits.bodies_bytes,
        }
    }
}

impl BodyShare {
    /// Room for more bytes, or 429.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            return Err(too_many());
        }
        Ok(())
    }
}

fn too_many() -> Status {
    Status::too_many_requests("Too many requests, please try again later.", 1)
}

impl InFlight {
    /// Reads and writes being answered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (
            self.reads.load(Ordering::Relaxed),
            self.writes.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for WatchSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
