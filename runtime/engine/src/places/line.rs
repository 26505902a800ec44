//! Who waits for places: whoever came first is served first.
//!
//! One that needs several has its turn when nobody is before it: what comes free is left until it is enough, and those
//! behind wait. That could take for ever, so a turn has an end, and comes to it early if nothing comes free. After one that was of
//! no use those behind go by for a while; then the next turn is that of whoever of those who need several has waited longest for
//! one. Pure: it is told the time, and what is free.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// For how long others wait at most in a turn of somebody who needs several places, and go by after it.
pub(super) const LONGEST_TURN: Duration = Duration::from_secs(1);

/// For how long they wait at least while nothing comes free in it.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// Those who wait, and by what each is told that it need not wait any more.
pub(super) struct Line<T> {
    waiting: BTreeMap<u64, Waiter<T>>,
    /// The next number. None is given twice.
    next: u64,
    /// How many of them need several places.
    several: usize,
    turn: Option<Turn>,
    /// Until when nobody has a turn.
    rest: Option<Instant>,
    /// Whether somebody looks after the turns.
    watched: bool,
}

struct Waiter<T> {
    places: usize,
    owner: usize,
    /// Its place among those who wait for a turn.
    turn: u64,
    told: T,
}

/// The time of one that needs several places.
struct Turn {
    number: u64,
    ends: Instant,
    /// When something came free last.
    last: Instant,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line {
            waiting: BTreeMap::new(),
            next: 0,
            several: 0,
            turn: None,
            rest: None,
            watched: false,
        }
    }
}

impl<T> Line<T> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody has to begin to look after turns.
    pub(super) fn begin_watch(&mut self) -> bool {
        self.several > 0 && !std::mem::replace(&mut self.watched, true)
    }

    /// Whether it has to go on; if not, nobody does.
    pub(super) fn go_on_watching(&mut self) -> bool {
        self.watched = self.several > 0;
        self.watched
    }

    /// Whether what comes free is for somebody in here, and not for who comes next.
    pub(super) fn is_closed(&self) -> bool {
        self.turn.is_some() || self.waiting.len() > self.several
    }

    /// How many places it takes to end the turn that there is.
    pub(super) fn needed(&self) -> Option<usize> {
        let turn = self.turn.as_ref()?;
        self.waiting.get(&turn.number).map(|waiter| waiter.places)
    }

    /// The owner of who is given what comes free.
    pub(super) fn first(&self) -> Option<usize> {
        let turn = self.turn.as_ref().map(|turn| turn.number);
        let mut waiting = self.waiting.iter();
        let first = waiting.find(|(number, waiter)| waiter.places == 1 || Some(**number) == turn);
        first.map(|(_, waiter)| waiter.owner)
    }

    /// Somebody comes. Its number in line.
    pub(super) fn enter(&mut self, places: usize, owner: usize, told: T) -> u64 {
        let number = self.number();
        let waiter = Waiter {
            places,
            owner,
            turn: number,
            told,
        };
        self.several += usize::from(places > 1);
        self.waiting.insert(number, waiter);
        number
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Somebody goes, if it is still there.
    pub(super) fn leave(&mut self, number: u64) -> Option<(T, usize)> {
        let gone = self.waiting.remove(&number)?;
        self.several -= usize::from(gone.places > 1);
        if self.turn.as_ref().is_some_and(|turn| turn.number == number) {
            self.turn = None;
        }
        Some((gone.told, gone.places))
    }

    /// Something came free.
    pub(super) fn came_free(&mut self, now: Instant) {
        if let Some(turn) = &mut self.turn {
            turn.last = now;
        }
    }

    /// Gives what is free to those whose turn it is to have it. `most` is what may ever come free.
    pub(super) fn serve(
        &mut self,
        free: &AtomicUsize,
        most: usize,
        now: Instant,
    ) -> Vec<(T, usize)> {
        self.end_turn(now);
        let mut served = Vec::new();
        let mut from = 0;
        while let Some((&number, waiter)) = self.waiting.range(from..).next() {
            from = number + 1;
            if take(free, waiter.places) {
                served.extend(self.leave(number));
                continue;
            }
            if waiter.places == 1 {
                break;
            }
            if self.turn.is_none() && self.rest.is_none_or(|rest| rest <= now) {
                self.turn = self.next_turn(number, most, now);
            }
            if self.turn.as_ref().is_some_and(|turn| turn.number == number) {
                break;
            }
        }
        served
    }

    fn end_turn(&mut self, now: Instant) {
        let is_over = |turn: &mut Turn| turn.ends.min(turn.last + QUIET) <= now;
        let Some(over) = self.turn.take_if(is_over) else {
            return;
        };
        let behind_all = self.number();
        if let Some(waiter) = self.waiting.get_mut(&over.number) {
            waiter.turn = behind_all;
        }
        self.rest = Some(now + LONGEST_TURN);
    }

    /// A turn for one of those who need several and wait before all who need one. `from` is the first of them.
    fn next_turn(&self, from: u64, most: usize, now: Instant) -> Option<Turn> {
        let before = self.waiting.range(from..);
        let before = before.take_while(|(_, waiter)| waiter.places > 1);
        // What is kept by others may never come free.
        let possible = before.filter(|(_, waiter)| waiter.places <= most);
        let (&number, _) = possible.min_by_key(|(_, waiter)| waiter.turn)?;
        Some(Turn {
            number,
            ends: now + LONGEST_TURN,
            last: now,
        })
    }
}

/// Takes places that are free, all of them or none.
pub(super) fn take(free: &AtomicUsize, places: usize) -> bool {
    let less = |free: usize| free.checked_sub(places);
    free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, and what is free. Places are for as long as they are not given back.
    struct Play {
        line: Line<&'static str>,
        free: AtomicUsize,
        most: usize,
        now: Instant,
    }

    impl Play {
        fn new(most: usize, free: usize) -> Self {
            Play {
                line: Line::default(),
                free: AtomicUsize::new(free),
                most,
                now: Instant::now(),
            }
        }

        fn served(&mut self) -> Vec<&'static str> {
            let served = self.line.serve(&self.free, self.most, self.now);
            served.into_iter().map(|(name, _)| name).collect()
        }

        fn comes(&mut self, name: &'static str, places: usize) -> Vec<&'static str> {
            self.line.enter(places, name.len(), name);
            self.served()
        }

        fn given_back(&mut self, places: usize) -> Vec<&'static str> {
            self.free.fetch_add(places, Ordering::SeqCst);
            self.line.came_free(self.now);
            self.served()
        }

        fn after(&mut self, time: Duration) -> Vec<&'static str> {
            self.now += time;
            self.served()
        }
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn whoever_came_first_is_first_whatever_it_needs() {
        let mut play = Play::new(4, 0);
        assert_eq!(play.comes("a", 1), NONE);
        assert_eq!(play.comes("b", 3), NONE);
        assert_eq!(play.comes("c", 2), NONE);
        assert_eq!(play.comes("d", 1), NONE);
        assert_eq!(play.given_back(1), ["a"]);
        assert_eq!(play.given_back(2), NONE, "they are for b");
        assert_eq!(play.line.needed(), Some(3));
        assert_eq!(play.given_back(1), ["b"]);
        assert_eq!(play.given_back(1), NONE, "it is for c");
        assert_eq!(play.given_back(2), ["c", "d"]);
        assert!(!play.line.is_closed());
        assert_eq!(play.line.several, 0);
    }

    #[test]
    fn a_turn_ends_and_others_go_by() {
        for (step, steps) in [(QUIET, 1), (QUIET / 2, 20)] {
            let mut play = Play::new(40, 0);
            assert_eq!(play.comes("several", 40), NONE);
            assert_eq!(play.comes("one", 1), NONE);
            for number in 1..steps {
                assert_eq!(play.after(step), NONE);
                assert_eq!(play.given_back(1), NONE, "{number}");
            }
            assert_eq!(play.after(step).first(), (steps > 1).then_some(&"one"));
            if steps == 1 {
                assert!(play.line.is_closed(), "somebody waits");
                assert_eq!(play.given_back(1), ["one"]);
            }
            assert!(!play.line.is_closed(), "who comes now goes by");
            assert_eq!(play.after(LONGEST_TURN - QUIET), NONE);
            assert!(!play.line.is_closed());
            assert_eq!(play.after(QUIET), NONE);
            assert!(play.line.is_closed(), "its next turn");
            assert_eq!(play.comes("one", 1), NONE);
            assert_eq!(play.given_back(40).first(), Some(&"several"));
        }
    }

    #[test]
    fn those_who_need_several_have_turns_one_after_the_other() {
        let mut play = Play::new(4, 0);
        for (name, places) in [("a", 4), ("bb", 3), ("ccc", 4)] {
            assert_eq!(play.comes(name, places), NONE);
        }
        let mut turns = Vec::new();
        for number in 0..6 {
            turns.extend(play.line.first());
            assert_eq!(play.after(QUIET), NONE);
            assert_eq!(play.line.first(), None);
            // Who comes later has its turn later.
            if number == 1 {
                assert_eq!(play.comes("dddd", 2), NONE);
            }
            assert_eq!(play.after(LONGEST_TURN), NONE);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 4]);
        // Whoever came first is first of those for whom there is enough.
        assert_eq!(play.given_back(3), ["bb"]);
    }

    #[test]
    fn who_needs_more_than_may_come_free_keeps_nobody() {
        let mut play = Play::new(3, 0);
        assert_eq!(play.comes("never", 4), NONE);
        assert!(!play.line.is_closed());
        assert_eq!(play.comes("several", 2), NONE);
        assert_eq!(play.line.needed(), Some(2));
        assert_eq!(play.comes("one", 1), NONE);
        assert_eq!(play.given_back(3), ["several", "one"]);
        play.most = 4;
        assert_eq!(play.after(Duration::ZERO), NONE);
        assert_eq!(play.line.needed(), Some(4));
        assert_eq!(play.given_back(4), ["never"]);
    }

    #[test]
    fn who_leaves_in_its_turn_lets_others_by() {
        let mut play = Play::new(2, 1);
        let number = play.line.enter(2, 0, "several");
        assert_eq!(play.served(), NONE);
        assert_eq!(play.comes("one", 1), NONE);
        assert!(play.line.leave(number).is_some());
        assert!(play.line.leave(number).is_none(), "it is gone");
        assert_eq!(play.served(), ["one"]);
        assert_eq!((play.line.len(), play.line.several), (0, 0));
    }
}
