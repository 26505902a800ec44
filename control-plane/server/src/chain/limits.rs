//! What protects the server from its clients.

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
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// How long a request may take, watches and logs excepted.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            reads_in_flight: 1000,
            writes_in_flight: 1000,
            body_bytes: 3 * 1024 * 1024,
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// Requests being answered.
#[derive(Default)]
pub(crate) struct InFlight {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

/// A place among the requests being answered.
pub(crate) struct Slot<'a>(&'a AtomicUsize);

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
            return Err(Status::too_many_requests(
                "Too many requests, please try again later.",
                1,
            ));
        }
        Ok(slot)
    }
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
