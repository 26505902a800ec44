//! The order of turns, played through without threads: a slice is a call.

use super::*;
use crate::cpu::CpuLimits;

const SLICE: u64 = 5_000_000;

/// Instances that always want to run, taking turns in one place; how many slices each container got.
struct Play {
    turns: Turns,
    containers: Vec<Cpu>,
    /// Of which container each instance is, and where it stands.
    instances: Vec<(usize, Turn)>,
    slices: Vec<u64>,
}

impl Play {
    fn new(places: usize, weights: &[u32]) -> Self {
        let cpu = |&weight: &u32| {
            Cpu::new(CpuLimits {
                weight,
                quota: None,
            })
        };
        Play {
            turns: Turns::new(places, places),
            containers: weights.iter().map(cpu).collect(),
            instances: Vec::new(),
            slices: vec![0; weights.len()],
        }
    }

    fn add(&mut self, container: usize) -> Entry {
        let mut turn = Turn::None;
        let cpu = &self.containers[container];
        let entry = self.turns.enter(cpu, Stage::Long, &mut turn, Waker::noop());
        self.instances.push((container, turn));
        entry
    }

    /// Everybody who is let in runs for a slice and wants to go on.
    fn round(&mut self) {
        for (container, turn) in &mut self.instances {
            let cpu = &self.containers[*container];
            if self.turns.enter(cpu, Stage::Long, turn, Waker::noop()) == Entry::LetIn {
                self.slices[*container] += 1;
                self.turns
                    .leave(cpu, SLICE, Next::GoOn(Stage::Long), turn, Waker::noop());
            }
        }
    }

    fn run(&mut self, slices: u64) {
        let until = self.slices.iter().sum::<u64>() + slices;
        while self.slices.iter().sum::<u64>() < until {
            self.round();
        }
    }
}

#[test]
fn containers_share_by_weight() {
    let mut play = Play::new(1, &[1024, 2048, 256]);
    (0..3).for_each(|container| {
        play.add(container);
    });
    play.run(1_300);
    let expected = [400, 800, 100];
    for (got, expected) in play.slices.iter().zip(expected) {
        assert!(got.abs_diff(expected) <= 4, "{:?}", play.slices);
    }
}

#[test]
fn many_instances_are_no_more_than_one() {
    let mut play = Play::new(2, &[1024, 1024, 1024]);
    (0..50).for_each(|_| {
        play.add(0);
    });
    for container in [1, 1, 2, 2] {
        play.add(container);
    }
    play.run(600);
    for got in &play.slices {
        assert!(got.abs_diff(200) <= 4, "{:?}", play.slices);
    }
}

#[test]
fn one_alone_has_it_all_and_one_place_is_all_a_single_instance_can_use() {
    let mut play = Play::new(2, &[10, 10_240]);
    play.add(0);
    play.run(10);
    assert_eq!(play.slices, [10, 0]);
    play.add(1);
    play.run(100);
    assert!(play.slices[0] >= 59, "{:?}", play.slices);
}

#[test]
fn who_comes_back_from_a_rest_has_earned_nothing() {
    let mut play = Play::new(1, &[1024, 1024]);
    play.add(0);
    play.run(1_000);
    play.add(1);
    play.run(1);
    play.round();
    assert!(play.slices[1] >= 1, "it did not wait for long");
    play.run(100);
    let [_, late] = play.slices[..] else {
        unreachable!()
    };
    assert!(late.abs_diff(50) <= 3, "{:?}", play.slices);
}

/// Runs a guest that rests after each millisecond, until it has to queue; how many times it ran.
fn milliseconds_in_front(play: &Play, container: usize) -> u64 {
    let cpu = &play.containers[container];
    let mut times = 0;
    loop {
        let mut turn = Turn::None;
        let entry = play
            .turns
            .enter(cpu, Stage::Brief, &mut turn, Waker::noop());
        if turn.is_long() {
            play.turns.give_up(cpu.account(), &mut turn);
            return times;
        }
        assert_eq!(entry, Entry::LetIn);
        play.turns
            .leave(cpu, 1_000_000, Next::Rest, &mut turn, Waker::noop());
        times += 1;
    }
}

#[test]
fn brief_guests_go_before_long_ones_within_their_share() {
    let mut play = Play::new(1, &[1024, 1024, 512]);
    play.add(0);
    play.run(10);
    assert_eq!(
        milliseconds_in_front(&play, 1),
        6,
        "a slice ahead, then one too many"
    );
    assert_eq!(milliseconds_in_front(&play, 1), 0);
    assert_eq!(
        milliseconds_in_front(&play, 2),
        6,
        "and what that is to the weight"
    );
    play.run(20);
    assert_eq!(
        milliseconds_in_front(&play, 1),
        6,
        "rest has earned nothing"
    );
}

#[test]
fn who_goes_on_for_long_leaves_its_place_to_brief_guests() {
    let turns = Turns::new(1, 1);
    let (cpu, other) = (
        Cpu::new(CpuLimits::default()),
        Cpu::new(CpuLimits::default()),
    );
    let (mut first, mut second) = (Turn::None, Turn::None);
    let noop = Waker::noop();
    assert_eq!(
        turns.enter(&cpu, Stage::Brief, &mut first, noop),
        Entry::LetIn
    );
    assert_eq!(
        turns.enter(&other, Stage::Brief, &mut second, noop),
        Entry::Waits
    );
    turns.leave(&cpu, 500_000, Next::GoOn(Stage::Brief), &mut first, noop);
    assert_eq!(
        turns.enter(&other, Stage::Brief, &mut second, noop),
        Entry::Waits
    );
    turns.leave(&cpu, 500_000, Next::GoOn(Stage::Long), &mut first, noop);
    assert!(first.is_long());
    assert_eq!(
        turns.enter(&cpu, Stage::Long, &mut first, noop),
        Entry::LetIn
    );
    assert_eq!(
        turns.enter(&other, Stage::Brief, &mut second, noop),
        Entry::LetIn
    );
    assert!(!second.is_long());
}

#[test]
fn a_share_that_could_not_be_used_is_not_saved_up() {
    let mut play = Play::new(2, &[1024, 10, 10]);
    for container in [0, 1, 2] {
        play.add(container);
    }
    // The first could have both places by its weight, but is only one.
    play.run(2_000);
    let before = play.slices.clone();
    (0..8).for_each(|_| {
        play.add(0);
    });
    play.containers[0].set(CpuLimits {
        weight: 10,
        quota: None,
    });
    play.run(300);
    let gained: Vec<u64> = play
        .slices
        .iter()
        .zip(before)
        .map(|(now, before)| now - before)
        .collect();
    assert!(gained[1] > 60 && gained[2] > 60, "{gained:?}");
}

#[test]
fn places_come_back_from_whoever_goes() {
    let turns = Turns::new(1, 1);
    let cpu = Cpu::new(CpuLimits::default());
    let mut all: Vec<Turn> = (0..4).map(|_| Turn::None).collect();
    for turn in &mut all {
        turns.enter(&cpu, Stage::Long, turn, Waker::noop());
    }
    let [running, waiting, let_in, last] = &mut all[..] else {
        unreachable!()
    };
    turns.give_up(cpu.account(), waiting);
    turns.give_up(cpu.account(), running);
    assert!(matches!(let_in, Turn::Waiting(pass) if pass.let_in.load(Ordering::Relaxed)));
    turns.give_up(cpu.account(), let_in);
    assert_eq!(
        turns.enter(&cpu, Stage::Long, last, Waker::noop()),
        Entry::LetIn
    );
    turns.leave(&cpu, SLICE, Next::Rest, last, Waker::noop());
    let state = turns.0.lock();
    for queue in [&state.brief, &state.long] {
        let waiting = (queue.order.len(), queue.waiting.len());
        assert_eq!((queue.free, waiting), (1, (0, 0)));
    }
}

#[test]
fn a_place_that_is_kept_too_long_is_lent_to_one_who_waits() {
    let turns = Turns::new(1, 1);
    let cpus: Vec<Cpu> = (0..4).map(|_| Cpu::new(CpuLimits::default())).collect();
    let mut all: Vec<Turn> = (0..4).map(|_| Turn::None).collect();
    let enter = |number: usize, turn: &mut Turn| {
        turns.enter(&cpus[number], Stage::Brief, turn, Waker::noop())
    };
    assert_eq!(enter(0, &mut all[0]), Entry::LetIn);
    assert_eq!(enter(1, &mut all[1]), Entry::Waits);
    turns.tick();
    assert_eq!(enter(1, &mut all[1]), Entry::Waits, "not a whole tick yet");
    turns.tick();
    assert_eq!(enter(1, &mut all[1]), Entry::LetIn);
    turns.tick();
    turns.tick();
    assert_eq!(enter(2, &mut all[2]), Entry::Waits, "one at a time");
    // The one that was late gives back what is somebody else's meanwhile, and is late no more.
    turns.leave(&cpus[0], SLICE, Next::Rest, &mut all[0], Waker::noop());
    turns.leave(&cpus[1], 1, Next::Rest, &mut all[1], Waker::noop());
    assert_eq!(enter(2, &mut all[2]), Entry::LetIn);
    assert_eq!(enter(3, &mut all[3]), Entry::Waits);
    turns.give_up(cpus[2].account(), &mut all[2]);
    turns.give_up(cpus[3].account(), &mut all[3]);
    let state = turns.0.lock();
    assert_eq!(
        (state.brief.free, state.taken.len(), state.lent),
        (1, 0, false)
    );
}
