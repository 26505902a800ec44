//! Places for instances: so many may be alive at once, of an engine or of one container.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// How often somebody who needs several places looks whether they are free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// For how long others wait at most while somebody's turn is who needs several.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// For how long they wait at least while nothing comes free in it; of a longer turn, a quarter.
const QUIET: Duration = Duration::from_millis(100);

/// The places, and who waits for them.
pub(crate) struct Places {
    all: usize,
    free: Arc<Semaphore>,
    /// Taken by those who give none back while others wait.
    kept: AtomicUsize,
    line: Line,
    /// Whose turn it is of those who need several.
    turn: tokio::sync::Mutex<()>,
    /// Until when others wait at most, during that turn. No lock, which might be handed to somebody who is not looked after
    /// just now: a container that has used up its quota.
    closed: watch::Sender<Option<Instant>>,
}

/// Those who wait in line, by when they came: whom each is one of.
#[derive(Default)]
struct Line {
    waiting: Mutex<BTreeMap<u64, usize>>,
    /// How many they are.
    length: AtomicUsize,
}

/// Somebody waits in line.
struct Waits<'a> {
    line: &'a Line,
    number: u64,
}

impl Line {
    fn enter(&self, owner: usize) -> Waits<'_> {
        let mut waiting = self.waiting.lock();
        let number = waiting.last_key_value().map_or(0, |(last, _)| last + 1);
        waiting.insert(number, owner);
        self.length.store(waiting.len(), Ordering::SeqCst);
        Waits { line: self, number }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting.lock();
        waiting.remove(&self.number);
        self.line.length.store(waiting.len(), Ordering::SeqCst);
    }
}

/// Places of somebody who gives them back when it pleases.
pub(crate) struct Kept {
    places: Arc<Places>,
    count: u32,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let count = self.count as usize;
        self.places.kept.fetch_sub(count, Ordering::SeqCst);
        self.places.free.add_permits(count);
    }
}

/// Others wait, until this is dropped or has been for too long.
struct Closed<'a>(&'a watch::Sender<Option<Instant>>);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl Places {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        Arc::new(Places {
            all,
            free: Arc::new(Semaphore::new(all)),
            kept: AtomicUsize::new(0),
            line: Line::default(),
            turn: tokio::sync::Mutex::default(),
            closed: watch::Sender::new(None),
        })
    }

    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Whether instances that do nothing should give way, also those that begin to do nothing now.
    pub(crate) fn are_waited_for(&self) -> bool {
        self.line.length.load(Ordering::SeqCst) > 0
    }

    /// The owner of who is given the next place, if anybody waits for one.
    pub(crate) fn first_in_line(&self) -> Option<usize> {
        if !self.are_waited_for() {
            return None;
        }
        let waiting = self.line.waiting.lock();
        waiting.first_key_value().map(|(_, owner)| *owner)
    }

    /// What was taken is not given back for others' sake.
    pub(crate) fn keep(self: &Arc<Self>, taken: OwnedSemaphorePermit) -> Kept {
        let count = taken.num_permits();
        self.kept.fetch_add(count, Ordering::SeqCst);
        taken.forget();
        Kept {
            places: self.clone(),
            count: count as u32,
        }
    }

    /// Places that are free, or that `give_up` makes free: it ends an instance that does nothing, if there is one.
    pub(crate) fn try_take(
        &self,
        places: u32,
        give_up: impl Fn() -> bool,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(taken) = self.free.clone().try_acquire_many_owned(places) {
                return Some(taken);
            }
            if !give_up() {
                return None;
            }
        }
    }

    /// The same, after all who wait already.
    pub(crate) async fn take(
        &self,
        places: u32,
        owner: usize,
        give_up: impl Fn() -> bool,
    ) -> Option<OwnedSemaphorePermit> {
        if let Some(taken) = self.try_take(places, &give_up) {
            return Some(taken);
        }
        let _waits = self.line.enter(owner);
        // An instance that began to do nothing before this was known gives way here, any later one by itself.
        if let Some(taken) = self.try_take(places, give_up) {
            return Some(taken);
        }
        self.free.clone().acquire_many_owned(places).await.ok()
    }

    /// Waits while it is the turn of somebody who needs several. For those who need one more, before they take it.
    pub(crate) async fn pass(&self) {
        if self.closed.borrow().is_none() {
            return;
        }
        let mut closed = self.closed.subscribe();
        loop {
            let until = *closed.borrow_and_update();
            let Some(until) = until else { return };
            // Also if whoever has the turn is not looked after.
            if timeout_at(until, closed.changed()).await.is_err() {
                return;
            }
        }
    }

    fn close(&self) -> Closed<'_> {
        let until = Instant::now() + LONGEST_TURN;
        self.closed.send_replace(Some(until));
        Closed(&self.closed)
    }

    /// Several places, which `look` takes if they are free. None is kept meanwhile: whoever kept what comes free until it is
    /// enough could do so for ever, and everybody else would have to wait for that. What comes free at once goes to those
    /// who wait for one, so one after the other has a turn, in which nobody else comes; in the longest, what begins to
    /// do nothing gives way. It ends early when nothing comes free; after each, the others have as much time as it may
    /// take.
    pub(crate) async fn take_several(
        &self,
        places: u32,
        owner: usize,
        look: impl Fn() -> Option<OwnedSemaphorePermit>,
    ) -> OwnedSemaphorePermit {
        let mut time = LOOK_AGAIN;
        loop {
            if let Some(taken) = look() {
                return taken;
            }
            let mut turn = pin!(self.turn.lock());
            let turn = loop {
                tokio::select! {
                    biased;
                    turn = &mut turn => break turn,
                    () = sleep(LOOK_AGAIN) => if let Some(taken) = look() {
                        return taken;
                    }
                }
            };
            // What commands hold may never come free.
            if places as usize + self.kept.load(Ordering::SeqCst) > self.all {
                drop(turn);
                sleep(LOOK_AGAIN).await;
                continue;
            }
            let closed = self.close();
            // By then it has waited for seconds, in which what others reuse was never idle enough.
            let waits = (time == LONGEST_TURN).then(|| self.line.enter(owner));
            let (quiet, mut least, mut since) =
                (QUIET.max(time / 4), self.lacking(), Instant::now());
            let goes_on = || {
                let lacking = self.lacking();
                if lacking < least {
                    since = Instant::now();
                }
                // Somebody else who needs several may have taken some.
                least = lacking;
                since.elapsed() < quiet
            };
            if let Some(taken) = looking(time, &look, goes_on).await {
                return taken;
            }
            drop((waits, closed));
            if let Some(taken) = looking(time, &look, || true).await {
                return taken;
            }
            drop(turn);
            time = LONGEST_TURN.min(2 * time);
        }
    }

    /// What is less with each place that comes free, whether it stays so or goes to somebody in line.
    fn lacking(&self) -> isize {
        self.line.length.load(Ordering::SeqCst) as isize - self.free() as isize
    }
}

/// Looks again and again for so long, if it goes on.
async fn looking<T>(
    time: Duration,
    look: impl Fn() -> Option<T>,
    mut goes_on: impl FnMut() -> bool,
) -> Option<T> {
    let end = Instant::now() + time;
    while Instant::now() < end && goes_on() {
        sleep(LOOK_AGAIN).await;
        if let Some(found) = look() {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn who_waits_is_seen_by_those_who_could_give_way() {
        let places = Places::new(1);
        let taken = places.try_take(1, || false).expect("free");
        assert!(!places.are_waited_for());
        let mut waiting = Box::pin(places.take(1, 7, || false));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(places.are_waited_for());
        assert_eq!(places.first_in_line(), Some(7));
        drop(taken);
        let taken = waiting.await.expect("given");
        assert!(!places.are_waited_for());
        drop(Box::pin(places.take(1, 7, || false)).now_or_never());
        assert!(!places.are_waited_for(), "it gave up");
        assert_eq!(places.free(), 0);
        drop(taken);
        assert_eq!(places.free(), 1);
    }

    /// Somebody who needs two places for as long as others take one after the other.
    #[tokio::test(start_paused = true)]
    async fn who_needs_several_has_a_turn_and_others_have_theirs() {
        let places = Places::new(2);
        let several = || places.try_take(2, || false);
        let one = async |held: Duration| {
            places.pass().await;
            let taken = places.take(1, 7, || false).await;
            sleep(held).await;
            drop(taken);
        };
        let busy = async || {
            loop {
                one(Duration::from_millis(15)).await;
            }
        };
        let several_in_time = async {
            sleep(Duration::from_millis(1)).await;
            let taken = places.take_several(2, 8, several);
            let taken = tokio::time::timeout(Duration::from_secs(10), taken).await;
            drop(taken.expect("it had a turn"));
        };
        tokio::select! {
            () = several_in_time => {}
            _ = async { tokio::join!(busy(), busy(), busy()) } => {}
        }
        // Of what does not come free in time, nobody keeps the others from what does.
        let _long = places.try_take(1, || false).expect("free");
        let mut waiting = pin!(places.take_several(2, 8, several));
        let others = async {
            for _ in 0..100 {
                one(Duration::from_millis(15)).await;
            }
        };
        tokio::select! {
            _ = &mut waiting => panic!("one is taken"),
            others = tokio::time::timeout(Duration::from_secs(10), others) => others.expect("they go on"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_in_which_nothing_comes_free_ends_early() {
        let places = Places::new(2);
        let _long = places.try_take(1, || false).expect("free");
        let look = || places.try_take(2, || false);
        let mut waiting = pin!(places.take_several(2, 8, look));
        let mut closed = 0;
        for number in 0..1_000 {
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("one is taken"),
                () = sleep(LOOK_AGAIN) => {}
            }
            let is_closed = places.pass().now_or_never().is_none();
            if number >= 500 {
                let first = places.first_in_line();
                assert_eq!(first, is_closed.then_some(8), "what is idle gives way");
            }
            closed += u32::from(is_closed);
        }
        assert!((100..300).contains(&closed), "{closed}");
    }

    /// A container that has used up its quota is not polled, whatever it was waiting for.
    #[tokio::test(start_paused = true)]
    async fn a_turn_of_somebody_who_is_not_polled_keeps_others_for_so_long() {
        let places = Places::new(2);
        let _long = places.try_take(1, || false).expect("free");
        let mut waiting = pin!(places.take_several(2, 8, || places.try_take(2, || false)));
        assert!((&mut waiting).now_or_never().is_none());
        let mut unpolled = pin!(places.pass());
        assert!((&mut unpolled).now_or_never().is_none(), "it is its turn");
        let passed = tokio::time::timeout(2 * LONGEST_TURN, places.pass());
        passed.await.expect("the turn is over");
        assert!(places.pass().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_those_who_wait_in_vain_or_gave_up() {
        let places = Places::new(2);
        let kept = places.keep(places.try_take(1, || false).expect("free"));
        assert_eq!(places.free(), 1);
        let look = || places.try_take(2, || false);
        for _ in 0..2 {
            let mut waiting = Box::pin(places.take_several(2, 8, look));
            for _ in 0..100 {
                tokio::select! {
                    biased;
                    _ = &mut waiting => panic!("one is kept"),
                    () = sleep(LOOK_AGAIN) => {}
                }
                assert!(places.pass().now_or_never().is_some());
            }
        }
        drop(kept);
        let taken = places.try_take(1, || false).expect("free");
        let mut waiting = Box::pin(places.take_several(2, 8, look));
        let its_turn = async {
            while places.pass().now_or_never().is_some() {
                sleep(LOOK_AGAIN / 2).await;
            }
        };
        tokio::select! {
            _ = &mut waiting => panic!("one is taken"),
            its_turn = tokio::time::timeout(LONGEST_TURN, its_turn) => its_turn.expect("it has one"),
        }
        drop(waiting);
        places.pass().now_or_never().expect("it gave up");
        drop(taken);
        assert_eq!(places.free(), 2);
    }
}
