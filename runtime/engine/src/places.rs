//! Places for instances: so many may be alive at once, of an engine or of one container.
//!
//! Whoever finds none free waits in line (see `line`). Instances that do nothing give way to those whose turn it is.

mod line;
#[cfg(test)]
mod tests;

use line::Line;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a turn of somebody who needs several places is over.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Instances that have places and do nothing.
pub(crate) trait Idle: Send + Sync {
    /// Ends one of them. Whether there was one.
    fn give_up_one(&self) -> bool;

    /// The places of all of them.
    fn places(&self) -> usize;
}

/// The places, and who waits for them.
pub(crate) struct Places {
    all: usize,
    free: AtomicUsize,
    /// Taken by those who give none back while others wait.
    kept: AtomicUsize,
    line: Mutex<Line<oneshot::Sender<Taken>>>,
    /// How many wait in line.
    waiting: AtomicUsize,
    /// Whether what comes free is for somebody in line.
    closed: AtomicBool,
    idle: Box<dyn Idle>,
}

/// Places of somebody, given back when dropped.
pub(crate) struct Taken {
    places: Arc<Places>,
    count: u32,
}

impl Taken {
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// They are not given back for others' sake.
    pub(crate) fn keep(self) -> Kept {
        self.places.kept.fetch_add(self.count(), Ordering::SeqCst);
        Kept(self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.free.fetch_add(self.count(), Ordering::SeqCst);
        // Whoever comes into line looks at what is free after it is counted there.
        if self.places.waiting.load(Ordering::SeqCst) > 0 {
            self.places.with_line(|line| line.came_free(Instant::now()));
        }
    }
}

/// Places of somebody who gives them back when it pleases.
pub(crate) struct Kept(Taken);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0
            .places
            .kept
            .fetch_sub(self.0.count(), Ordering::SeqCst);
    }
}

/// Somebody waits in line.
struct Waits {
    places: Arc<Places>,
    number: u64,
    given: oneshot::Receiver<Taken>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _gone = self.places.with_line(|line| line.leave(self.number));
    }
}

impl Places {
    /// So many, beside instances that may do nothing.
    pub(crate) fn new(all: usize, idle: impl Idle + 'static) -> Arc<Self> {
        Arc::new(Places {
            all,
            free: AtomicUsize::new(all),
            kept: AtomicUsize::new(0),
            line: Mutex::default(),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            idle: Box::new(idle),
        })
    }

    pub(crate) fn free(&self) -> usize {
        self.free.load(Ordering::SeqCst)
    }

    /// Whether instances that do nothing should give way, also those that begin to do nothing now.
    pub(crate) fn are_waited_for(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The owner of who is given the next place, if anybody waits for one.
    pub(crate) fn first_in_line(&self) -> Option<usize> {
        if !self.are_waited_for() {
            return None;
        }
        self.line.lock().first()
    }

    /// Places that are free, or that come free if what does nothing is ended. None of it is if that is not enough.
    pub(crate) fn try_take(self: &Arc<Self>, count: u32) -> Option<Taken> {
        if self.take_free(count) {
            return Some(self.taken(count));
        }
        if !self.may_come_free(count as usize) {
            return None;
        }
        while self.idle.give_up_one() {
            if self.take_free(count) {
                return Some(self.taken(count));
            }
        }
        None
    }

    /// The same, after all who wait already. `owner` tells who waits.
    pub(crate) async fn take(self: &Arc<Self>, count: u32, owner: usize) -> Option<Taken> {
        // Who needs one goes by those who need several and have no turn.
        let nobody_is_before = match count {
            1 => !self.are_waited_for(),
            _ => self.waiting.load(Ordering::SeqCst) == 0,
        };
        if nobody_is_before && let Some(taken) = self.try_take(count) {
            return Some(taken);
        }
        let mut waits = self.enter(count, owner);
        // An instance that began to do nothing before this was known gives way here, any later one by itself.
        while count == 1 && waits.given.is_empty() && self.idle.give_up_one() {}
        (&mut waits.given).await.ok()
    }

    fn take_free(&self, count: u32) -> bool {
        line::take(&self.free, count as usize)
    }

    /// What was just taken.
    fn taken(self: &Arc<Self>, count: u32) -> Taken {
        Taken {
            places: self.clone(),
            count,
        }
    }

    /// Whether there are so many with those of what does nothing. Any of that has one: it is not counted for that.
    fn may_come_free(&self, count: usize) -> bool {
        count == 1 || self.free() + self.idle.places() >= count
    }

    fn enter(self: &Arc<Self>, count: u32, owner: usize) -> Waits {
        let (told, given) = oneshot::channel();
        let (number, unwatched) = self.with_line(|line| {
            let number = line.enter(count as usize, owner, told);
            (number, line.begin_watch())
        });
        if unwatched {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        Waits {
            places: self.clone(),
            number,
            given,
        }
    }

    /// Changes the line, and gives those who wait what they can have then.
    fn with_line<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Line<oneshot::Sender<Taken>>) -> T,
    ) -> T {
        let mut line = self.line.lock();
        let changed = change(&mut line);
        self.waiting.store(line.len(), Ordering::SeqCst);
        let most = self.all.saturating_sub(self.kept.load(Ordering::SeqCst));
        let served = line.serve(&self.free, most, Instant::now());
        self.waiting.store(line.len(), Ordering::SeqCst);
        self.closed.store(line.is_closed(), Ordering::SeqCst);
        drop(line);
        for (told, count) in served {
            // Who has left meanwhile does not take it, and it comes back here.
            let _left = told.send(self.taken(count as u32));
        }
        changed
    }
}

/// Looks after the turns of those who need several places, until there are none: whoever has a turn may not be looked after
/// itself, as the containers that have used up their quota.
async fn watch(places: Weak<Places>) {
    while let Some(places) = places.upgrade() {
        if !places.with_line(Line::go_on_watching) {
            return;
        }
        let needed = places.line.lock().needed();
        // What begins to do nothing from here gives way by itself.
        if needed.is_some_and(|needed| places.may_come_free(needed)) {
            while places.line.lock().needed().is_some() && places.idle.give_up_one() {}
        }
        drop(places);
        sleep(LOOK_AGAIN).await;
    }
}
