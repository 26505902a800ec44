//! A guest's future: waits for its container's quota and for its turn, keeps the ticker awake while polled, and adds
//! the processor time to the container's meter.
//!
//! It is polled in the task that holds it for as long as the guest is brief. One that goes on for longer than a tick
//! is moved into a task of its own on the threads for such guests, and comes back when it waits for something, or has
//! finished what it was at.

use super::clock::Clock;
use crate::config::TICK;
use crate::cpu::{Entry, Next, Stage, Stopwatch, Turn};
use crate::limits::Meter;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

/// Processor time after which a guest that has not rested is brief no more.
const BRIEF_NANOS: u64 = TICK.as_nanos() as u64;

/// A guest, wherever it is.
pub(crate) struct Metered<F: Future>(Place<F>);

enum Place<F: Future> {
    Here(Guest<F>),
    Away(JoinHandle<Return<F>>),
    Ended,
}

/// How a guest comes back from the threads for long ones.
enum Return<F: Future> {
    Ended(F::Output),
    Resting(Guest<F>),
}

struct Guest<F> {
    future: Pin<Box<F>>,
    clock: Arc<Clock>,
    meter: Arc<Meter>,
    stage: Stage,
    turn: Turn,
    /// Used since the guest last rested.
    burst_nanos: u64,
    milestone: Option<Milestone>,
    /// Until the quota lets the container run again.
    pause: Option<Pin<Box<Sleep>>>,
    waker: Option<(Arc<Watched>, Waker)>,
}

/// Reached by a guest that has finished one of many things, such as a request. It may have the next at hand, but it is
/// not one that goes on: it gives its place up like one that rests, so that a share is all it gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Milestone(Arc<AtomicBool>);

impl Milestone {
    pub(crate) fn reach(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was reached since the last look.
    fn was_reached(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// A task's waker that remembers whether it was called: a guest that was woken while it ran wants to go on.
struct Watched {
    task: Waker,
    woken: AtomicBool,
}

impl Wake for Watched {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

impl<F> Metered<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    pub(crate) fn new(guest: F, clock: Arc<Clock>, meter: Arc<Meter>) -> Self {
        Self::of(guest, clock, meter, None)
    }

    /// A guest that does many things one after the other, and says when one of them is done.
    pub(crate) fn with_milestone(
        guest: F,
        clock: Arc<Clock>,
        meter: Arc<Meter>,
        milestone: Milestone,
    ) -> Self {
        Self::of(guest, clock, meter, Some(milestone))
    }

    fn of(guest: F, clock: Arc<Clock>, meter: Arc<Meter>, milestone: Option<Milestone>) -> Self {
        Metered(Place::Here(Guest {
            future: Box::pin(guest),
            clock,
            meter,
            stage: Stage::Brief,
            turn: Turn::None,
            burst_nanos: 0,
            milestone,
            pause: None,
            waker: None,
        }))
    }

    /// Ends the guest, and returns when nothing of it is left. A busy one pauses at the next tick. Whoever just drops
    /// it does not wait for that.
    pub(crate) async fn end(mut self) {
        if let Place::Away(task) = std::mem::replace(&mut self.0, Place::Ended) {
            task.abort();
            // However it ended, it has.
            let _end = task.await;
        }
    }

    fn send_away(&mut self) {
        match std::mem::replace(&mut self.0, Place::Ended) {
            Place::Here(mut guest) => {
                guest.stage = Stage::Long;
                let threads = guest.clock.threads.long.clone();
                self.0 = Place::Away(threads.spawn(Away(Some(guest))));
            }
            elsewhere => self.0 = elsewhere,
        }
    }
}

impl<F> Future for Metered<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match &mut self.0 {
                Place::Here(guest) => {
                    let polled = guest.poll(cx);
                    if !guest.turn.is_long() {
                        return match ready!(polled) {
                            Step::Ended(output) => {
                                self.0 = Place::Ended;
                                Poll::Ready(output)
                            }
                            Step::Rests | Step::GoesOn => Poll::Pending,
                        };
                    }
                    self.send_away();
                }
                Place::Away(task) => match ready!(Pin::new(task).poll(cx)) {
                    Ok(Return::Ended(output)) => {
                        self.0 = Place::Ended;
                        return Poll::Ready(output);
                    }
                    // What it waits for is to wake this task, so it is polled once more.
                    Ok(Return::Resting(mut guest)) => {
                        guest.stage = Stage::Brief;
                        self.0 = Place::Here(guest);
                    }
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        // The engine is going down, and this task with it.
                        Err(_cancelled) => return Poll::Pending,
                    },
                },
                Place::Ended => unreachable!("it is not polled after its end"),
            }
        }
    }
}

impl<F: Future> Drop for Metered<F> {
    fn drop(&mut self) {
        if let Place::Away(task) = &self.0 {
            task.abort();
        }
    }
}

/// A guest on the threads for long ones.
struct Away<F>(Option<Guest<F>>);

impl<F: Future> Future for Away<F> {
    type Output = Return<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Return<F>> {
        let Some(guest) = &mut self.0 else {
            unreachable!("it is not polled after its end");
        };
        let threads = guest.clock.threads.brief.clone();
        // Its sockets, timers and tasks belong there.
        let _entered = threads.enter();
        match ready!(guest.poll(cx)) {
            Step::Ended(output) => Poll::Ready(Return::Ended(output)),
            Step::GoesOn => {
                // Priorities are shares to the kernel: where this thread has not used its own, it may go before a
                // thread of higher priority that is ready, and then keeps the processor for milliseconds.
                std::thread::yield_now();
                Poll::Pending
            }
            Step::Rests => match self.0.take() {
                Some(guest) => Poll::Ready(Return::Resting(guest)),
                None => Poll::Pending,
            },
        }
    }
}

/// What a guest's time on a processor led to.
enum Step<T> {
    Ended(T),
    /// It waits for something, or has finished something and may have been woken for more.
    Rests,
    /// It has only paused, and its task was woken already.
    GoesOn,
}

impl<F: Future> Guest<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step<F::Output>> {
        ready!(self.poll_quota(cx));
        ready!(self.poll_turn(cx));
        if self.turn.is_long() && self.stage == Stage::Brief {
            return Poll::Pending;
        }
        Poll::Ready(self.run(cx))
    }

    fn poll_quota(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            // Other instances of the container, or of its group, may have used up what was waited for.
            let Some(wait) = self.meter.cpu_wait() else {
                return Poll::Ready(());
            };
            self.clock
                .turns
                .give_up(self.meter.cpu.account(), &mut self.turn);
            self.pause = Some(Box::pin(sleep(wait)));
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (turns, cpu) = (&self.clock.turns, &self.meter.cpu);
        match turns.enter(cpu, self.stage, &mut self.turn, cx.waker()) {
            Entry::LetIn => Poll::Ready(()),
            Entry::Waits => Poll::Pending,
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Step<F::Output> {
        let (watched, waker) = self.watched(cx.waker());
        watched.woken.store(false, Ordering::Relaxed);
        let running = self.clock.enter();
        let watch = Stopwatch::start();
        let result = self.future.as_mut().poll(&mut Context::from_waker(&waker));
        let used = watch.nanos();
        drop(running);
        self.meter.cpu_used(used);
        self.burst_nanos = self.burst_nanos.saturating_add(used);
        let finished = (self.milestone.as_ref()).is_some_and(Milestone::was_reached);
        let (step, next) = match result {
            Poll::Ready(output) => (Step::Ended(output), Next::Rest),
            Poll::Pending if finished || !watched.woken.load(Ordering::Relaxed) => {
                self.burst_nanos = 0;
                (Step::Rests, Next::Rest)
            }
            Poll::Pending if self.burst_nanos < BRIEF_NANOS => {
                (Step::GoesOn, Next::GoOn(self.stage))
            }
            Poll::Pending => (Step::GoesOn, Next::GoOn(Stage::Long)),
        };
        let turns = &self.clock.turns;
        turns.leave(&self.meter.cpu, used, next, &mut self.turn, cx.waker());
        step
    }

    fn watched(&mut self, task: &Waker) -> (Arc<Watched>, Waker) {
        if let Some(known) = &self.waker
            && known.0.task.will_wake(task)
        {
            return known.clone();
        }
        let watched = Arc::new(Watched {
            task: task.clone(),
            woken: AtomicBool::new(false),
        });
        let waker = Waker::from(watched.clone());
        self.waker.insert((watched, waker)).clone()
    }
}

impl<F> Drop for Guest<F> {
    fn drop(&mut self) {
        self.clock
            .turns
            .give_up(self.meter.cpu.account(), &mut self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Threads, Ticker};
    use crate::{CpuLimits, EngineConfig};

    fn busy() {
        let clock = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let begun = clock();
        while (clock() - begun).tv_nsec < 1_000_000 {}
    }

    fn run<F>(milestone: &Milestone, guest: F) -> (F::Output, Arc<Meter>)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let config = EngineConfig::new("unused");
        let threads = Threads::start(&config).expect("threads can be started");
        let ticker = Ticker::start(&config, &threads, || {}).expect("threads can be started");
        let meter = Arc::new(Meter::new(0, CpuLimits::default()));
        let (clock, milestone) = (ticker.clock(), milestone.clone());
        let guest = Metered::with_milestone(guest, clock, meter.clone(), milestone);
        (futures::executor::block_on(guest), meter)
    }

    #[test]
    fn guests_time_is_measured() {
        let ((), meter) = run(&Milestone::default(), async { busy() });
        assert!(meter.cpu.used_nanos() >= 1_000_000);
    }

    #[test]
    fn a_guest_that_goes_on_is_moved_and_one_that_has_more_to_do_is_not() {
        for finishes in [false, true] {
            let milestone = Milestone::default();
            let reached = milestone.clone();
            let guest = async move {
                for _ in 0..3 {
                    busy();
                    if finishes {
                        reached.reach();
                    }
                    tokio::task::yield_now().await;
                }
                std::thread::current().name() == Some("sampan-long")
            };
            let (is_moved, _) = run(&milestone, guest);
            assert_eq!(is_moved, !finishes);
        }
    }
}
