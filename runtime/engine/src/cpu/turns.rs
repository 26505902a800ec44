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
//!
//! A guest pauses each tick, but not in the host's own work for it: a deep stack that is read after a trap, an instance
//! whose memory is given back, a thousand files that are closed. So a brief place that somebody keeps for longer is
//! lent to the next who waits, until it is given back; one at a time, for which there is a thread.

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
    ticks: u64,
    /// Since which tick each of the brief places is taken.
    taken: Vec<u64>,
    /// Whether one that is overdue was lent to somebody else.
    lent: bool,
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
    /// The tick at which it was.
    since: AtomicU64,
    waker: Mutex<Waker>,
}

/// Where an instance stands. Must be given back by [`Turns::give_up`].
#[derive(Debug, Default)]
pub(crate) enum Turn {
    #[default]
    None,
    Waiting(Arc<Pass>),
    Mine(Place),
}

/// A place of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    stage: Stage,
    /// Time used in it so far.
    used: u64,
    /// The tick at which it was taken.
    since: u64,
}

impl Turn {
    /// Whether the instance has, or waits for, a place among those that run for long.
    pub(crate) fn is_long(&self) -> bool {
        match self {
            Turn::None => false,
            Turn::Waiting(pass) => pass.stage == Stage::Long,
            Turn::Mine(place) => place.stage == Stage::Long,
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
    /// So many places for brief guests, and for long ones.
    pub(crate) fn new(brief: usize, long: usize) -> Self {
        Turns(Mutex::new(State {
            now: 0,
            brief: Queue::new(brief),
            long: Queue::new(long),
            ticks: 0,
            taken: Vec::new(),
            lent: false,
        }))
    }

    /// Time passes: whoever waits behind a guest that has not paused may have its place.
    pub(crate) fn tick(&self) {
        let mut state = self.0.lock();
        state.ticks += 1;
        let next = match state.may_lend() {
            true => state.brief.first(),
            false => None,
        };
        let let_in = next.map(|(pass, time)| {
            state.lent = true;
            state.admit(&pass, time);
            pass
        });
        drop(state);
        wake(let_in);
    }

    /// Asks for a place, or whether the one asked for has come.
    pub(crate) fn enter(&self, cpu: &Cpu, stage: Stage, turn: &mut Turn, waker: &Waker) -> Entry {
        let mut state = self.0.lock();
        match turn {
            Turn::Mine(..) => Entry::LetIn,
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => {
                *turn = Turn::Mine(Place {
                    stage: pass.stage,
                    used: 0,
                    since: pass.since.load(Ordering::Relaxed),
                });
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
        let Turn::Mine(place) = *turn else {
            return;
        };
        let had = place.stage;
        let mut state = self.0.lock();
        state.charge(cpu, nanos);
        let used = place.used.saturating_add(nanos);
        let left = match (had, next) {
            (Stage::Brief, Next::GoOn(Stage::Brief)) => false,
            (Stage::Long, Next::GoOn(_)) => {
                used >= SLICE_NANOS && state.long.has_better(&cpu.account)
            }
            (Stage::Brief, Next::GoOn(Stage::Long)) | (_, Next::Rest) => true,
        };
        if !left {
            let used = if used >= SLICE_NANOS { 0 } else { used };
            *turn = Turn::Mine(Place { used, ..place });
            if had == Stage::Long {
                state.now = state.now.max(cpu.account.time());
            }
            return;
        }
        *turn = Turn::None;
        let let_in = state.hand_over(had, place.since);
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
            Turn::Mine(place) => state.hand_over(place.stage, place.since),
            Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed) => {
                state.hand_over(pass.stage, pass.since.load(Ordering::Relaxed))
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
        if self.queue(stage).free > 0 {
            self.queue(stage).free -= 1;
        } else if stage == Stage::Brief && self.may_lend() {
            self.lent = true;
        } else {
            *turn = Turn::Waiting(self.queue(stage).add(&cpu.account, stage, waker));
            return Entry::Waits;
        }
        self.let_in(stage, cpu.account.time());
        *turn = Turn::Mine(Place {
            stage,
            used: 0,
            since: self.ticks,
        });
        Entry::LetIn
    }

    /// Whether a brief place is overdue, and none is lent.
    fn may_lend(&self) -> bool {
        !self.lent && self.taken.iter().any(|since| self.is_overdue(*since))
    }

    /// A whole tick has passed since: the guest there has had the time to pause.
    fn is_overdue(&self, since: u64) -> bool {
        since + 1 < self.ticks
    }

    /// The present moves on to the time of whoever is let in. Brief guests may be ahead of it, and move it only where
    /// no others compete: else a container could draw the present along and never be found ahead.
    fn let_in(&mut self, stage: Stage, time: u64) {
        if stage == Stage::Brief {
            self.taken.push(self.ticks);
        }
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
    fn hand_over(&mut self, stage: Stage, since: u64) -> Option<Arc<Pass>> {
        if stage == Stage::Brief {
            let known = self.taken.iter().position(|taken| *taken == since);
            if let Some(at) = known {
                self.taken.swap_remove(at);
            }
            if self.is_overdue(since) && std::mem::take(&mut self.lent) {
                return None;
            }
        }
        let Some((pass, time)) = self.queue(stage).first() else {
            self.queue(stage).free += 1;
            return None;
        };
        self.admit(&pass, time);
        Some(pass)
    }

    fn admit(&mut self, pass: &Pass, time: u64) {
        self.let_in(pass.stage, time);
        pass.since.store(self.ticks, Ordering::Relaxed);
        pass.let_in.store(true, Ordering::Relaxed);
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
            since: AtomicU64::new(0),
            waker: Mutex::new(waker.clone()),
        });
        self.order.insert(account.key());
        self.waiting
            .entry(account.number)
            .or_default()
            .push_back(pass.clone());
        pass
    }

    /// Takes the first who waits out of the queue.
    fn first(&mut self) -> Option<(Arc<Pass>, u64)> {
        while let Some((time, number)) = self.order.first().copied() {
            let queue = self.waiting.entry(number).or_default();
            let pass = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&number);
                self.order.remove(&(time, number));
            }
            if let Some(pass) = pass {
                return Some((pass, time));
            }
        }
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
