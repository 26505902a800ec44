//! Instances that wait for their next request, where a container asks for that.
//!
//! An instance goes on being used until it has answered as many requests as its container allows, has waited too long,
//! or has failed. While it waits it has its place among the engine's instances and its memory is its container's, and
//! it gives both up to anyone who needs them: a waiting instance is never the reason for a refusal. Between requests no
//! guest code runs.

use super::instance::Instance;
use crate::limits::Meter;
use crate::places::{Idle, Taken};
use crate::spec::Reuse;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// The right to an instance.
pub(super) struct Place {
    pub(super) place: Taken,
    /// What it takes of its container's share, if there is one.
    pub(super) _own: Option<Taken>,
}

/// An instance with its place, and how often it was used.
pub(super) struct Lease {
    pub(super) instance: Instance,
    pub(super) place: Place,
    pub(super) requests: u32,
}

/// The waiting instances of one container.
pub(crate) struct Pool {
    reuse: Reuse,
    meter: Arc<Meter>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The one that has waited longest first.
    leases: VecDeque<(Instant, Lease)>,
    /// Requests that wait for a place, by when they came.
    wanted: BTreeMap<u64, oneshot::Sender<Lease>>,
    /// The number of the next of them. None is used twice: who was handed an instance has its number for a while yet.
    next: u64,
    /// Whether a task is there to end those that wait too long.
    watched: bool,
    closed: bool,
}

impl Pool {
    pub(super) fn new(reuse: Reuse, meter: Arc<Meter>) -> Arc<Self> {
        Arc::new(Pool {
            reuse,
            meter,
            waiting: Mutex::default(),
        })
    }

    /// The instance used last, whose memory is likeliest to be in the processor's caches.
    pub(super) fn take(&self) -> Option<Lease> {
        let mut waiting = self.waiting.lock();
        let (_, lease) = waiting.leases.pop_back()?;
        self.meter.set_waiting(waiting.leases.len());
        Some(lease)
    }

    /// Keeps an instance for a later request. One that has served its time is handed back.
    pub(super) fn keep(self: &Arc<Self>, lease: Lease) -> Result<(), Lease> {
        if lease.requests >= self.reuse.max_requests || lease.instance.denied() {
            return Err(lease);
        }
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(lease);
        }
        waiting.leases.push_back((Instant::now(), lease));
        self.meter.set_waiting(waiting.leases.len());
        if !waiting.watched {
            waiting.watched = true;
            drop(waiting);
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        Ok(())
    }

    /// What the next instance may be handed to that would have to give way.
    pub(super) fn want(&self) -> Wanted<'_> {
        let (sender, lease) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.wanted.insert(number, sender);
        Wanted {
            pool: self,
            number,
            lease,
        }
    }

    /// Hands an instance to the request that has waited longest. Whether there was both.
    pub(super) fn hand_over(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let Some((since, mut lease)) = waiting.leases.pop_back() else {
            return false;
        };
        while let Some((_, request)) = waiting.wanted.pop_first() {
            match request.send(lease) {
                Ok(()) => {
                    self.meter.set_waiting(waiting.leases.len());
                    return true;
                }
                Err(refused) => lease = refused,
            }
        }
        waiting.leases.push_back((since, lease));
        false
    }

    /// Ends the instance that has waited longest. Whether there was one.
    pub(crate) fn give_up_one(&self) -> bool {
        let oldest = {
            let mut waiting = self.waiting.lock();
            let oldest = waiting.leases.pop_front();
            self.meter.set_waiting(waiting.leases.len());
            oldest
        };
        // Dropped without the lock: that may take a while.
        oldest.is_some()
    }

    /// The places of those that wait.
    fn places(&self) -> usize {
        let leases = &self.waiting.lock().leases;
        // They are of one module.
        let each = leases.front().map(|(_, lease)| &lease.place.place);
        each.map_or(0, |place| leases.len() * place.count())
    }

    /// Ends all instances, and those that are still to come.
    pub(super) fn close(&self) {
        let leases = {
            let mut waiting = self.waiting.lock();
            waiting.closed = true;
            self.meter.set_waiting(0);
            std::mem::take(&mut waiting.leases)
        };
        drop(leases);
    }

    /// Those that have waited too long, and when to look again. `None` if nothing waits any more: then nobody watches.
    fn expired(&self, now: Instant) -> (Vec<Lease>, Option<Instant>) {
        let mut waiting = self.waiting.lock();
        let mut expired = Vec::new();
        while let Some((since, _)) = waiting.leases.front() {
            let end = *since + self.reuse.idle_timeout;
            if end > now {
                return (expired, Some(end));
            }
            expired.extend(waiting.leases.pop_front().map(|(_, lease)| lease));
            self.meter.set_waiting(waiting.leases.len());
        }
        waiting.watched = false;
        (expired, None)
    }
}

/// A request that waits for a place. What it is handed and does not take is ended.
pub(super) struct Wanted<'a> {
    pool: &'a Pool,
    number: u64,
    lease: oneshot::Receiver<Lease>,
}

impl Future for Wanted<'_> {
    type Output = Option<Lease>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Lease>> {
        Pin::new(&mut self.lease).poll(context).map(Result::ok)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.pool.waiting.lock().wanted.remove(&self.number);
    }
}

/// Ends instances that wait too long. Sleeps in between, and ends with the last of them.
async fn watch(pool: Weak<Pool>) {
    while let Some(strong) = pool.upgrade() {
        let (expired, next) = strong.expired(Instant::now());
        drop((strong, expired));
        match next {
            Some(next) => sleep_until(next).await,
            None => return,
        }
    }
}

/// The pools of an engine: what waits in them gives way when the engine has no place left.
#[derive(Default)]
pub(crate) struct Pools {
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Pools {
    pub(super) fn add(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        let pools = self.pools.lock();
        pools.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Of the engine's places.
impl Idle for Arc<Pools> {
    fn give_up_one(&self) -> bool {
        self.all().iter().any(|pool| pool.give_up_one())
    }

    fn places(&self) -> usize {
        self.all().iter().map(|pool| pool.places()).sum()
    }
}

/// Of its container's share, which is counted in instances.
impl Idle for Weak<Pool> {
    fn give_up_one(&self) -> bool {
        self.upgrade().is_some_and(|pool| pool.give_up_one())
    }

    fn places(&self) -> usize {
        let pool = self.upgrade();
        pool.map_or(0, |pool| pool.waiting.lock().leases.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuLimits;
    use std::time::Duration;

    #[test]
    fn who_was_handed_an_instance_takes_nothing_from_who_comes_next() {
        let reuse = Reuse {
            max_requests: 2,
            max_concurrent: 1,
            idle_timeout: Duration::from_secs(1),
        };
        let pool = Pool::new(reuse, Arc::new(Meter::new(1 << 20, CpuLimits::default())));
        let first = pool.want();
        // It is handed one, and not polled yet.
        let handed = pool.waiting.lock().wanted.pop_first();
        let second = pool.want();
        drop((handed, first));
        let mut waiting = pool.waiting.lock();
        let (number, _) = waiting.wanted.pop_first().expect("the second still waits");
        drop(waiting);
        assert_eq!(number, second.number);
    }
}
