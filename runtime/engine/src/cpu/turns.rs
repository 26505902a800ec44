//! Who runs next, when more guests want a processor than there are places.
//!
//! Start-time fair queueing over containers. A container's virtual time grows with what its instances use, the slower
//! the heavier it is; whoever waits with the least goes next. A container that comes back from a rest starts at the
//! present virtual time, so that rest earns nothing, and it is served before all that have used their share: a guest
//! that runs now and then does not feel those that always run. Among a container's own instances it is first come,
//! first served.

use super::Cpu;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

/// Processor time a container may catch up on when it could not use its share, having too few instances.
const MAX_LAG_NANOS: u64 = 100_000_000;

/// The places guests run in, and who waits for one.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    /// While there is one, nobody waits.
    free: usize,
    /// Virtual time of the container that was let in last.
    now: u64,
    /// The containers that wait, by virtual time. The second number tells them apart.
    order: BTreeSet<(u64, u64)>,
    waiting: HashMap<u64, VecDeque<Arc<Pass>>>,
}

/// A container in the books of [`Turns`], which alone reads and writes its time, under its lock.
#[derive(Debug)]
pub(crate) struct Account {
    number: u64,
    time: AtomicU64,
}

impl Default for Account {
    fn default() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Account {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            time: AtomicU64::new(0),
        }
    }
}

/// An instance that waits.
#[derive(Debug)]
pub(crate) struct Pass {
    let_in: AtomicBool,
    waker: Mutex<Waker>,
}

/// Where an instance stands. Must be given back by [`Turns::give_up`].
#[derive(Debug, Default)]
pub(crate) enum Turn {
    #[default]
    None,
    Waiting(Arc<Pass>),
    Mine,
}

/// What became of a wish to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    LetIn,
    /// The waker is called when it is let in.
    Waits,
    /// As above, and those who run have used more than their share: they should give way soon.
    WaitsInFront,
}

impl Turns {
    pub(crate) fn new(places: usize) -> Self {
        Turns(Mutex::new(State {
            free: places.max(1),
            now: 0,
            order: BTreeSet::new(),
            waiting: HashMap::new(),
        }))
    }

    /// Asks for a place, or whether the one asked for has come.
    pub(crate) fn enter(&self, cpu: &Cpu, turn: &mut Turn, waker: &Waker) -> Entry {
        let mut state = self.0.lock();
        match turn {
            Turn::Mine => Entry::LetIn,
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => {
                *turn = Turn::Mine;
                Entry::LetIn
            }
            Turn::Waiting(pass) => {
                let mut known = pass.waker.lock();
                if !known.will_wake(waker) {
                    known.clone_from(waker);
                }
                Entry::Waits
            }
            Turn::None => {
                let rested = state.arrive(cpu);
                if state.free > 0 {
                    state.free -= 1;
                    state.now = state.now.max(cpu.account.time());
                    *turn = Turn::Mine;
                    return Entry::LetIn;
                }
                *turn = Turn::Waiting(state.queue(&cpu.account, waker));
                match rested {
                    true => Entry::WaitsInFront,
                    false => Entry::Waits,
                }
            }
        }
    }

    /// An instance that had a place has run for so long; `again` tells that it wants to go on. It keeps its place if
    /// nobody who waits has a better right to it.
    pub(crate) fn leave(&self, cpu: &Cpu, nanos: u64, again: bool, turn: &mut Turn, waker: &Waker) {
        let mut state = self.0.lock();
        state.charge(cpu, nanos);
        let account = &cpu.account;
        if again {
            let keeps = state
                .order
                .first()
                .is_none_or(|(time, number)| account.time() <= *time && *number != account.number);
            if keeps {
                state.now = state.now.max(account.time());
                return;
            }
        }
        let next = state.hand_over();
        *turn = match again {
            true => Turn::Waiting(state.queue(account, waker)),
            false => Turn::None,
        };
        drop(state);
        wake(next);
    }

    /// An instance goes, whatever it has or waits for.
    pub(crate) fn give_up(&self, account: &Account, turn: &mut Turn) {
        let mut state = self.0.lock();
        let next = match std::mem::take(turn) {
            Turn::None => None,
            Turn::Mine => state.hand_over(),
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => state.hand_over(),
            Turn::Waiting(pass) => {
                state.withdraw(account, &pass);
                None
            }
        };
        drop(state);
        wake(next);
    }
}

/// Outside the lock: waking may run code of others.
fn wake(next: Option<Arc<Pass>>) {
    if let Some(pass) = next {
        let waker = pass.waker.lock().clone();
        waker.wake();
    }
}

impl Account {
    fn time(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    fn key(&self) -> (u64, u64) {
        (self.time(), self.number)
    }
}

impl State {
    /// Brings a container up to the present if it comes from a rest; tells whether it does.
    fn arrive(&mut self, cpu: &Cpu) -> bool {
        let account = &cpu.account;
        let rested = account.time() < self.now && !self.waiting.contains_key(&account.number);
        if rested {
            account.time.store(self.now, Ordering::Relaxed);
        }
        rested
    }

    /// Adds use to a container's time, wherever it waits meanwhile.
    fn charge(&mut self, cpu: &Cpu, nanos: u64) {
        let account = &cpu.account;
        let waits = self.order.remove(&account.key());
        let earliest = self.now.saturating_sub(cpu.weighed(MAX_LAG_NANOS));
        let time = account.time().saturating_add(cpu.weighed(nanos));
        account.time.store(time.max(earliest), Ordering::Relaxed);
        if waits {
            self.order.insert(account.key());
        }
    }

    fn queue(&mut self, account: &Account, waker: &Waker) -> Arc<Pass> {
        let pass = Arc::new(Pass {
            let_in: AtomicBool::new(false),
            waker: Mutex::new(waker.clone()),
        });
        self.order.insert(account.key());
        self.waiting
            .entry(account.number)
            .or_default()
            .push_back(pass.clone());
        pass
    }

    /// Gives a place that became free to whoever has the best right to it.
    fn hand_over(&mut self) -> Option<Arc<Pass>> {
        while let Some((time, number)) = self.order.first().copied() {
            let queue = self.waiting.entry(number).or_default();
            let pass = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&number);
                self.order.remove(&(time, number));
            }
            if let Some(pass) = pass {
                pass.let_in.store(true, Ordering::Relaxed);
                self.now = self.now.max(time);
                return Some(pass);
            }
        }
        self.free += 1;
        None
    }

    fn withdraw(&mut self, account: &Account, pass: &Arc<Pass>) {
        let Some(queue) = self.waiting.get_mut(&account.number) else {
            return;
        };
        queue.retain(|other| !Arc::ptr_eq(other, pass));
        if queue.is_empty() {
            self.waiting.remove(&account.number);
            self.order.remove(&account.key());
        }
    }
}

#[cfg(test)]
mod tests;
