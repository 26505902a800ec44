use super::line::{LONGEST_TURN, QUIET};
use super::*;
use futures::FutureExt;
use std::pin::pin;

/// Instances that do nothing, by their places.
#[derive(Default)]
struct Resting(Mutex<Vec<Taken>>);

impl Idle for Arc<Resting> {
    fn give_up_one(&self) -> bool {
        let one = self.0.lock().pop();
        one.is_some()
    }

    fn places(&self) -> usize {
        self.0.lock().iter().map(Taken::count).sum()
    }
}

fn places(all: usize) -> Arc<Places> {
    Places::new(all, Arc::<Resting>::default())
}

async fn hold(places: &Arc<Places>, count: u32, time: Duration) {
    let taken = places.take(count, 7).await.expect("given");
    sleep(time).await;
    drop(taken);
}

#[tokio::test]
async fn who_waits_is_seen_by_those_who_could_give_way() {
    let places = places(1);
    let taken = places.try_take(1).expect("free");
    assert!(!places.are_waited_for());
    let mut waiting = Box::pin(places.take(1, 7));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(places.are_waited_for());
    assert_eq!(places.first_in_line(), Some(7));
    drop(taken);
    let taken = waiting.await.expect("given");
    assert!(!places.are_waited_for());
    drop(Box::pin(places.take(1, 7)).now_or_never());
    assert!(!places.are_waited_for(), "it gave up");
    assert_eq!(places.free(), 0);
    drop(taken);
    assert_eq!(places.free(), 1);
    // What it is given and does not look at any more is not lost.
    let taken = places.try_take(1).expect("free");
    let mut waiting = Box::pin(places.take(1, 7));
    assert!((&mut waiting).now_or_never().is_none());
    drop(taken);
    assert_eq!(places.free(), 0);
    drop(waiting);
    assert_eq!(places.free(), 1);
}

/// Those who wait already take longer than a turn is, and there are always as many.
#[tokio::test(start_paused = true)]
async fn who_needs_several_is_served_after_those_before_it_and_before_those_behind() {
    let places = places(2);
    let (all, served) = (300, AtomicUsize::new(0));
    let one = async || {
        loop {
            hold(&places, 1, Duration::from_millis(15)).await;
            served.fetch_add(1, Ordering::SeqCst);
        }
    };
    let several = async {
        sleep(Duration::from_millis(1)).await;
        let less = hold(&places, 2, Duration::ZERO);
        let more = hold(&places, 2, Duration::ZERO);
        tokio::join!(biased; less, more);
        served.load(Ordering::SeqCst)
    };
    tokio::select! {
        served = tokio::time::timeout(Duration::from_secs(60), several) => {
            assert_eq!(served.expect("it had a turn"), all);
        }
        _ = futures::future::join_all((0..all).map(|_| one())) => {}
    }
}

/// Of what does not come free in time, nobody keeps the others from what does.
#[tokio::test(start_paused = true)]
async fn others_go_on_while_one_waits_for_what_takes_long() {
    let places = places(2);
    let long = places.try_take(1).expect("free");
    let mut waiting = pin!(places.take(2, 8));
    let others = async {
        for _ in 0..100 {
            hold(&places, 1, Duration::from_millis(15)).await;
        }
    };
    tokio::select! {
        _ = &mut waiting => panic!("one is taken"),
        others = tokio::time::timeout(Duration::from_secs(10), others) => others.expect("they go on"),
    }
    drop(long);
    let taken = tokio::time::timeout(2 * LONGEST_TURN, waiting).await;
    assert!(taken.is_ok_and(|taken| taken.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_turn_in_which_nothing_comes_free_ends_early() {
    let places = places(2);
    let _long = places.try_take(1).expect("free");
    let mut waiting = pin!(places.take(2, 8));
    let (mut closed, looks) = (0, 1_000);
    for _ in 0..looks {
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("one is taken"),
            () = sleep(LOOK_AGAIN) => {}
        }
        let is_closed = places.are_waited_for();
        let first = places.first_in_line();
        assert_eq!(first, is_closed.then_some(8), "what is idle gives way");
        closed += u32::from(is_closed);
    }
    assert!((looks / 20..looks / 5).contains(&closed), "{closed}");
}

/// A container that has used up its quota is not polled, whatever it was waiting for.
#[tokio::test(start_paused = true)]
async fn a_turn_of_somebody_who_is_not_polled_keeps_others_for_so_long() {
    let places = places(2);
    let _long = places.try_take(1).expect("free");
    let mut waiting = pin!(places.take(2, 8));
    assert!((&mut waiting).now_or_never().is_none());
    let mut unpolled = pin!(places.take(1, 7));
    assert!((&mut unpolled).now_or_never().is_none(), "it is its turn");
    let other = tokio::time::timeout(2 * QUIET, places.take(1, 7));
    assert!(other.await.is_err(), "the place is for who came before");
    assert!(unpolled.now_or_never().is_some());
    assert!(places.take(1, 7).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_those_who_wait_in_vain_or_gave_up() {
    let places = places(2);
    let kept = places.try_take(1).expect("free").keep();
    assert_eq!(places.free(), 1);
    for _ in 0..2 {
        let mut waiting = Box::pin(places.take(2, 8));
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("one is kept"),
                () = sleep(LOOK_AGAIN) => {}
            }
            assert!(places.take(1, 7).now_or_never().is_some());
        }
    }
    drop(kept);
    let taken = places.try_take(1).expect("free");
    let mut waiting = Box::pin(places.take(2, 8));
    assert!((&mut waiting).now_or_never().is_none());
    let mut behind = pin!(places.take(1, 7));
    assert!((&mut behind).now_or_never().is_none(), "it has its turn");
    drop(waiting);
    behind.now_or_never().expect("it gave up");
    drop(taken);
    assert_eq!(places.free(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_does_nothing_gives_way_in_a_turn_if_that_is_enough() {
    let resting = Arc::<Resting>::default();
    let places = Places::new(4, resting.clone());
    let rests = || resting.0.lock().len();
    for _ in 0..2 {
        let one = places.try_take(1).expect("free");
        resting.0.lock().push(one);
    }
    let busy = places.try_take(2).expect("free");
    assert!(places.try_take(3).is_none());
    assert_eq!(rests(), 2, "it would not be enough");
    let mut waiting = pin!(places.take(3, 8));
    let waited = tokio::time::timeout(5 * LONGEST_TURN, &mut waiting);
    assert!(waited.await.is_err());
    assert_eq!(rests(), 2, "it would not be enough");
    drop(busy);
    let waited = tokio::time::timeout(2 * LONGEST_TURN, waiting).await;
    drop(waited.expect("its turn").expect("given"));
    assert_eq!(rests(), 1, "one was enough");
    drop(places.try_take(4).expect("free"));
    assert_eq!(rests(), 0);
}
