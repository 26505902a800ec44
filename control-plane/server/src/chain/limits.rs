//! What protects the server from its clients.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sampan_api::status::Status;

use crate::api::Result;

/// Of the room for all bodies, one client may hold this part with bodies it has not ended yet.
const UNENDED_PART: usize = 4;
/// A body that takes more than this once it is decoded is a heavy one.
const HEAVY: usize = 1024 * 1024;
/// Heavy bodies leave this part of the room to the others.
const LIGHT_PART: usize = 8;

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
    unended: Unended,
}

/// Bytes of the bodies that clients have begun and not ended, by user. Most bodies are there at once and never in here.
type Unended = Arc<Mutex<HashMap<String, usize>>>;

/// A place among the requests being answered.
pub(crate) struct Slot<'a>(&'a AtomicUsize);

/// A place among what is sent without end.
pub(crate) struct WatchSlot(Arc<AtomicUsize>);

/// What a request body takes in memory, as long as it does.
pub(crate) struct BodyShare {
    held: Arc<AtomicUsize>,
    bytes: usize,
    limit: usize,
    heavy: bool,
    unended: Unended,
    /// Whose share it counts against while it is not whole.
    arriving: Option<Arriving>,
}

/// What one body takes of its client's share.
struct Arriving {
    unended: Unended,
    user: String,
    bytes: usize,
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
            heavy: false,
            unended: Arc::clone(&self.unended),
            arriving: None,
        }
    }
}

impl BodyShare {
    /// Room for more bytes, or 429.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.grow_within(bytes, self.limit)
    }

    fn grow_within(&mut self, bytes: usize, limit: usize) -> Result<()> {
        self.bytes += bytes;
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            return Err(too_many());
        }
        Ok(())
    }

    /// The client lets us wait for the rest: until that is here, what came counts against its share. One body may take
    /// more than that, several together may not.
    pub(crate) fn waits(&mut self, user: &str) -> Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        let unended = &self.unended;
        let arriving = self.arriving.get_or_insert_with(|| Arriving {
            unended: Arc::clone(unended),
            user: user.to_owned(),
            bytes: 0,
        });
        let mut clients = arriving.unended.lock();
        let all = clients.entry(arriving.user.clone()).or_default();
        let others = *all - arriving.bytes;
        (*all, arriving.bytes) = (others + self.bytes, self.bytes);
        if others > 0 && *all > self.limit / UNENDED_PART {
            return Err(too_many());
        }
        Ok(())
    }

    /// The body is whole. From here on its values count, too: they take `values` bytes.
    pub(crate) fn whole(&mut self, values: usize) -> Result<()> {
        self.arriving = None;
        self.heavy = values > HEAVY;
        let most = match self.heavy {
            true => self.limit - self.limit / LIGHT_PART,
            false => self.limit,
        };
        self.grow_within(values, most)
    }

    /// Whether the body holds so much that it takes long to work through.
    pub(crate) fn is_heavy(&self) -> bool {
        self.heavy
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut clients = self.unended.lock();
        if let Some(all) = clients.get_mut(&self.user) {
            *all -= self.bytes;
            if *all == 0 {
                clients.remove(&self.user);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 16 << 20;

    fn limits() -> Limits {
        Limits {
            bodies_bytes: ROOM,
            ..Limits::default()
        }
    }

    #[test]
    fn a_client_has_a_part_of_the_room_for_bodies_it_does_not_end() {
        let (in_flight, limits) = (InFlight::default(), limits());
        let begun = |user: &str, bytes: usize| {
            let mut share = in_flight.body(&limits);
            share.grow(bytes)?;
            share.waits(user).map(|()| share)
        };
        let large = begun("a", ROOM / 2).expect("a single body is let in");
        assert_eq!(begun("a", 10).err().map(|status| status.code), Some(429));
        let mut other = begun("b", 10).expect("others have a part of their own");
        // What is whole counts no more against its client.
        other.whole(0).expect("room");
        drop(large);
        let _again = begun("a", 10).expect("room again");
        assert_eq!(in_flight.unended.lock().len(), 1);
        drop((_again, other));
        assert!(in_flight.unended.lock().is_empty());
        assert_eq!(in_flight.bodies.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn heavy_bodies_leave_room() {
        let (in_flight, limits) = (InFlight::default(), limits());
        let weighed = |values: usize| {
            let mut share = in_flight.body(&limits);
            share.whole(values).map(|()| share)
        };
        let heavy = weighed(ROOM / 8 * 7).expect("room");
        assert!(heavy.is_heavy());
        assert_eq!(
            weighed(2 * HEAVY).err().map(|status| status.code),
            Some(429)
        );
        let light = weighed(HEAVY).expect("room for what is light");
        assert!(!light.is_heavy());
    }
}
