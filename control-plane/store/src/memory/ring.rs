//! The recent events of one bucket, oldest first. Shaped by time and bytes, which the owner enforces.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::Event;
use crate::key::Revision;

struct Slot<O> {
    event: Arc<Event<O>>,
    bytes: usize,
    /// Since the store started.
    at: Duration,
}

pub(crate) struct Ring<O> {
    slots: VecDeque<Slot<O>>,
    bytes: usize,
    /// The last event that is no longer here; everything after it is.
    floor: Revision,
    /// The last event ever.
    last: Revision,
}

impl<O> Ring<O> {
    /// A ring that knows every event after `floor`.
    pub(crate) fn new(floor: Revision) -> Ring<O> {
        Ring {
            slots: VecDeque::new(),
            bytes: 0,
            floor,
            last: floor,
        }
    }

    pub(crate) fn push(&mut self, event: Arc<Event<O>>, bytes: usize, at: Duration) {
        debug_assert!(event.revision > self.last, "events come in revision order");
        self.last = event.revision;
        self.bytes += bytes;
        self.slots.push_back(Slot { event, bytes, at });
    }

    /// Events with a greater revision, oldest first.
    pub(crate) fn after(&self, revision: Revision) -> impl Iterator<Item = &Arc<Event<O>>> {
        let start = self
            .slots
            .partition_point(|slot| slot.event.revision <= revision);
        self.slots.range(start..).map(|slot| &slot.event)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    pub(crate) fn last(&self) -> Revision {
        self.last
    }

    /// When the oldest event happened.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.slots.front().map(|slot| slot.at)
    }

    pub(crate) fn drop_before(&mut self, horizon: Duration, garbage: &mut Vec<Arc<Event<O>>>) {
        while self.slots.front().is_some_and(|slot| slot.at < horizon) {
            self.drop_oldest(garbage);
        }
    }

    pub(crate) fn drop_through(&mut self, to: Revision, garbage: &mut Vec<Arc<Event<O>>>) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.event.revision <= to)
        {
            self.drop_oldest(garbage);
        }
    }

    pub(crate) fn drop_oldest(&mut self, garbage: &mut Vec<Arc<Event<O>>>) {
        if let Some(slot) = self.slots.pop_front() {
            self.bytes -= slot.bytes;
            self.floor = slot.event.revision;
            garbage.push(slot.event);
        }
        // A burst must not leave its buffer behind.
        if self.slots.len() * 4 < self.slots.capacity() {
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }
}
