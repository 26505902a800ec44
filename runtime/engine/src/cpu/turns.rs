//! Who runs next, when more guests want a processor than there are places.
//!
//! Start-time fair queueing over containers. A container's virtual time grows with what its instances use, the slower
//! the heavier it is; whoever waits with the least goes next. A container that comes back from a rest starts at the
//! present virtual time, so that rest earns nothing. Among a container's own instances it is first come, first served.
//!
//! There are two kinds of places. Guests that come from a rest and whose container is within its share take the brief
//! ones, for as long as they are [`Stage::Brief`]; all others share the long ones. So a guest that runs now and then
//! does not wait for those that always run. It cannot get more than its share in this way: what it uses counts, and
//! with too much of it the container's guests go to where the others queue.

use super::Cpu;
use crate::config::TIME_SLICE;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

/// Processor time a container may catch up on when it could not use its share, having too few instances.
const MAX_LAG_NANOS: u64 = 100_000_000;

/// What a guest in a place for long ones gets done before it gives way, and how far a container may be ahead of the
/// others before its guests queue with them.
const SLICE_NANOS: u64 = TIME_SLICE.as_nanos() as u64;

/// The places guests run in, and who waits for one.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

/// How long a guest has been running since it last rested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has only begun.
    #[default]
    Brief,
    /// It may go on for ever.
    Long,
}

#[derive(Debug)]
struct State {
    /// Virtual time of the container that was let in last where containers compete.
    now: u64,
    brief: Queue,
    long: Queue,
}

/// The places of one kind, and who waits for them.
#[derive(Debug)]
struct Queue {
    /// While there is one, nobody waits.
    free: usize,
    places: usize,
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
    stage: Stage,
    let_in: AtomicBool,
    waker: Mutex<Waker>,
}

/// Where an instance stands. Must be given back by [`Turns::give_up`].
#[derive(Debug, Default)]
pub(crate) enum Turn {
    #[default]
    None,
    Waiting(Arc<Pass>),
    /// With the time used in this place so far.
    Mine(Stage, u64),
}

impl Turn {
    /// Whether the instance has, or waits for, a place among those that run for long.
    pub(crate) fn is_long(&self) -> bool {
        match self {
            Turn::None => false,
            Turn::Waiting(pass) => pass.stage == Stage::Long,
            Turn::Mine(stage, _) => *stage == Stage::Long,
        }
    }
}

/// What became of a wish to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    LetIn,
    /// The waker is called when it is let in.
    Waits,
}

/// What an instance wants after it has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for something, or has ended.
    Rest,
    GoOn(Stage),
}

impl Turns {
    /// So many places of each kind.
    pub(crate) fn new(places: usize) -> Self {
        Turns(Mutex::new(State {
            now: 0,
            brief: Queue::new(places),
            long: Queue::new(places),
        }))
    }

    /// Asks for a place, or whether the one asked for has come.
    pub(crate) fn enter(&self, cpu: &Cpu, stage: Stage, turn: &mut Turn, waker: &Waker) -> Entry {
        let mut state = self.0.lock();
        match turn {
            Turn::Mine(..) => Entry::LetIn,
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => {
                *turn = Turn::Mine(pass.stage, 0);
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
                state.arrive(cpu);
                let stage = match state.has_share(cpu) {
                    true => stage,
                    false => Stage::Long,
                };
                state.take(cpu, stage, turn, waker)
            }
        }
    }

    /// An instance that had a place has run for so long. One that goes on for long keeps its place if nobody who waits
    /// has a better right to it.
    pub(crate) fn leave(&self, cpu: &Cpu, nanos: u64, next: Next, turn: &mut Turn, waker: &Waker) {
        let Turn::Mine(had, used) = *turn else {
            return;
        };
        let mut state = self.0.lock();
        state.charge(cpu, nanos);
        let used = used.saturating_add(nanos);
        let left = match (had, next) {
            (Stage::Brief, Next::GoOn(Stage::Brief)) => false,
            (Stage::Long, Next::GoOn(_)) => {
                used >= SLICE_NANOS && state.long.has_better(&cpu.account)
            }
            (Stage::Brief, Next::GoOn(Stage::Long)) | (_, Next::Rest) => true,
        };
        if !left {
            *turn = Turn::Mine(had, if used >= SLICE_NANOS { 0 } else { used });
            if had == Stage::Long {
                state.now = state.now.max(cpu.account.time());
            }
            return;
        }
        *turn = Turn::None;
        let let_in = state.hand_over(had);
        if next != Next::Rest {
            state.take(cpu, Stage::Long, turn, waker);
        }
        drop(state);
        wake(let_in);
    }

    /// An instance goes, whatever it has or waits for.
    pub(crate) fn give_up(&self, account: &Account, turn: &mut Turn) {
        if matches!(turn, Turn::None) {
            return;
        }
        let mut state = self.0.lock();
        let next = match std::mem::take(turn) {
            Turn::None => None,
            Turn::Mine(stage, _) => state.hand_over(stage),
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => {
                state.hand_over(pass.stage)
            }
            Turn::Waiting(pass) => {
                state.queue(pass.stage).withdraw(account, &pass);
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
    fn queue(&mut self, stage: Stage) -> &mut Queue {
        match stage {
            Stage::Brief => &mut self.brief,
            Stage::Long => &mut self.long,
        }
    }

    /// Brings a container up to the present if it comes from a rest.
    fn arrive(&mut self, cpu: &Cpu) {
        let account = &cpu.account;
        let waits = self.brief.knows(account) || self.long.knows(account);
        if account.time() < self.now && !waits {
            account.time.store(self.now, Ordering::Relaxed);
        }
    }

    /// Whether a container has not used more than the others, or not much.
    fn has_share(&self, cpu: &Cpu) -> bool {
        let limit = self.now.saturating_add(cpu.weighed(SLICE_NANOS));
        self.long.is_idle() || cpu.account.time() <= limit
    }

    /// A place if there is one, else a pass for the next.
    fn take(&mut self, cpu: &Cpu, stage: Stage, turn: &mut Turn, waker: &Waker) -> Entry {
        if self.queue(stage).free == 0 {
            *turn = Turn::Waiting(self.queue(stage).add(&cpu.account, stage, waker));
            return Entry::Waits;
        }
        self.let_in(stage, cpu.account.time());
        self.queue(stage).free -= 1;
        *turn = Turn::Mine(stage, 0);
        Entry::LetIn
    }

    /// The present moves on to the time of whoever is let in. Brief guests may be ahead of it, and move it only where
    /// no others compete: else a container could draw the present along and never be found ahead.
    fn let_in(&mut self, stage: Stage, time: u64) {
        if stage == Stage::Long || self.long.is_idle() {
            self.now = self.now.max(time);
        }
    }

    /// Adds use to a container's time, wherever it waits meanwhile.
    fn charge(&mut self, cpu: &Cpu, nanos: u64) {
        let account = &cpu.account;
        let before = account.key();
        let earliest = self.now.saturating_sub(cpu.weighed(MAX_LAG_NANOS));
        let time = account.time().saturating_add(cpu.weighed(nanos));
        account.time.store(time.max(earliest), Ordering::Relaxed);
        for queue in [&mut self.brief, &mut self.long] {
            if queue.order.remove(&before) {
                queue.order.insert(account.key());
            }
        }
    }

    /// Gives a place that became free to whoever has the best right to it.
    fn hand_over(&mut self, stage: Stage) -> Option<Arc<Pass>> {
        let (pass, time) = self.queue(stage).next()?;
        self.let_in(stage, time);
        Some(pass)
    }
}

impl Queue {
    fn new(places: usize) -> Self {
        Queue {
            free: places.max(1),
            places: places.max(1),
            order: BTreeSet::new(),
            waiting: HashMap::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.free == self.places
    }

    fn knows(&self, account: &Account) -> bool {
        self.waiting.contains_key(&account.number)
    }

    /// Whether somebody waits who has used less, or another instance of the same container.
    fn has_better(&self, account: &Account) -> bool {
        self.order
            .first()
            .is_some_and(|(time, number)| account.time() > *time || *number == account.number)
    }

    fn add(&mut self, account: &Account, stage: Stage, waker: &Waker) -> Arc<Pass> {
        let pass = Arc::new(Pass {
            stage,
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

    /// Lets in the first who waits, or keeps the place free.
    fn next(&mut self) -> Option<(Arc<Pass>, u64)> {
        while let Some((time, number)) = self.order.first().copied() {
            let queue = self.waiting.entry(number).or_default();
            let pass = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&number);
                self.order.remove(&(time, number));
            }
            if let Some(pass) = pass {
                pass.let_in.store(true, Ordering::Relaxed);
                return Some((pass, time));
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
