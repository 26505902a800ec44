//! Where and how long guests run: their own tokio runtime, the epoch ticker, and the measuring of their time.
//!
//! Guests have threads of their own, so a busy guest never delays the rest of the process; the ticker makes a busy
//! guest give way to other guests every [`TIME_SLICE`], and sooner where one waits that has used less than its share.
//! The ticker sleeps while no guest is being run: an idle engine has no timer at all.
//!
//! As many guests run at once as there are places. There is one thread more than places, so that sockets and timers
//! are served while all places are taken.

use crate::EngineConfig;
use crate::config::{MIN_TIME_SLICE, TIME_SLICE};
use crate::cpu::{Entry, Stopwatch, Turn, Turns};
use crate::limits::Meter;
use rustix::process::{getpriority_process, setpriority_process};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Sleep, sleep};

/// Task polls after which a worker looks at sockets and timers. With every worker busy, a timer is late by at most
/// this many time slices.
const EVENT_INTERVAL: u32 = 8;

/// Builds the runtime guests run on.
pub(crate) fn guest_runtime(config: &EngineConfig) -> std::io::Result<Runtime> {
    // Relative to the thread that makes the engine, but set as an absolute value: threads inherit priorities.
    let nice = getpriority_process(None).map_or(0, |own| own.saturating_add(config.guest_nice));
    Builder::new_multi_thread()
        .worker_threads(places(config) + 1)
        .max_blocking_threads(config.max_blocking_threads.max(1))
        .event_interval(EVENT_INTERVAL)
        .thread_name("sampan-guest")
        .on_thread_start(move || {
            // On Linux this concerns the calling thread only. A refusal costs fairness, not correctness.
            if let Err(error) = setpriority_process(None, nice) {
                tracing::debug!(%error, "guest threads keep their priority");
            }
        })
        .enable_all()
        .build()
}

/// How many guests may run at once.
fn places(config: &EngineConfig) -> usize {
    config.worker_threads.max(1)
}

/// Increments the epochs while guests run. Its thread ends after it is dropped, once no guest runs any more: the
/// last ones need ticks to notice that they were cancelled.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
}

/// Counts the guests that are on a processor right now, and says who is next.
pub(crate) struct Clock {
    turns: Turns,
    running: AtomicU32,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(
        config: &EngineConfig,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let clock = Arc::new(Clock {
            turns: Turns::new(places(config)),
            running: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let thread = std::thread::Builder::new()
            .name("sampan-epoch".to_owned())
            .spawn({
                let clock = clock.clone();
                move || clock.run(tick)
            })?;
        clock.thread.get_or_init(|| thread.thread().clone());
        Ok(Ticker { clock })
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.stop.store(true, Ordering::SeqCst);
        self.clock.wake();
    }
}

impl Clock {
    fn run(&self, tick: impl Fn()) {
        let mut ticked = Instant::now();
        loop {
            if self.is_idle() {
                if self.stop.load(Ordering::SeqCst) {
                    return;
                }
                self.asleep.store(true, Ordering::SeqCst);
                // Looked at again after the flag is up, so that a guest that begins in between is not missed.
                if self.is_idle() && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
            } else {
                std::thread::park_timeout(TIME_SLICE);
                // Woken early for a guest that should not wait; the others still get a little done in between.
                if let Some(early) = MIN_TIME_SLICE.checked_sub(ticked.elapsed()) {
                    std::thread::sleep(early);
                }
                tick();
                ticked = Instant::now();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.running.load(Ordering::SeqCst) == 0
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn enter(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(self)
    }
}

struct Running<'a>(&'a Clock);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A guest's future: waits for its container's quota and for its turn, keeps the ticker awake while polled, and adds
/// the processor time to the container's meter.
pub(crate) struct Metered<F> {
    guest: Pin<Box<F>>,
    clock: Arc<Clock>,
    meter: Arc<Meter>,
    turn: Turn,
    /// Until the quota lets the container run again.
    pause: Option<Pin<Box<Sleep>>>,
    waker: Option<(Arc<Watched>, Waker)>,
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

impl<F> Metered<F> {
    pub(crate) fn new(guest: F, clock: Arc<Clock>, meter: Arc<Meter>) -> Self {
        Metered {
            guest: Box::pin(guest),
            clock,
            meter,
            turn: Turn::None,
            pause: None,
            waker: None,
        }
    }

    fn poll_quota(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            // Other instances of the container may have used up what was waited for.
            let Some(wait) = self.meter.cpu.wait() else {
                return Poll::Ready(());
            };
            self.clock
                .turns
                .give_up(self.meter.cpu.account(), &mut self.turn);
            self.pause = Some(Box::pin(sleep(wait)));
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let cpu = &self.meter.cpu;
        match self.clock.turns.enter(cpu, &mut self.turn, cx.waker()) {
            Entry::LetIn => Poll::Ready(()),
            Entry::Waits => Poll::Pending,
            Entry::WaitsInFront => {
                self.clock.wake();
                Poll::Pending
            }
        }
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

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        std::task::ready!(self.poll_quota(cx));
        std::task::ready!(self.poll_turn(cx));
        let (watched, waker) = self.watched(cx.waker());
        watched.woken.store(false, Ordering::Relaxed);
        let Metered {
            guest,
            clock,
            meter,
            turn,
            ..
        } = &mut *self;
        let running = clock.enter();
        let watch = Stopwatch::start();
        let result = guest.as_mut().poll(&mut Context::from_waker(&waker));
        let used = watch.nanos();
        drop(running);
        meter.cpu.charge(used);
        let again = result.is_pending() && watched.woken.load(Ordering::Relaxed);
        clock.turns.leave(&meter.cpu, used, again, turn, cx.waker());
        result
    }
}

impl<F> Drop for Metered<F> {
    fn drop(&mut self) {
        self.clock
            .turns
            .give_up(self.meter.cpu.account(), &mut self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuLimits;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    fn config() -> EngineConfig {
        EngineConfig::new("unused")
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "this takes too long"
            );
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_ticker_runs_only_while_a_guest_does() {
        let ticks = Arc::new(AtomicU64::new(0));
        let count = ticks.clone();
        let ticker = Ticker::start(&config(), move || {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .expect("threads can be started");
        let clock = ticker.clock();
        wait_until(|| clock.asleep.load(Ordering::SeqCst));
        assert_eq!(ticks.load(Ordering::SeqCst), 0);
        let running = clock.enter();
        wait_until(|| ticks.load(Ordering::SeqCst) > 2);
        drop(running);
        wait_until(|| clock.asleep.load(Ordering::SeqCst));
        let running = clock.enter();
        let before = ticks.load(Ordering::SeqCst);
        drop(ticker);
        wait_until(|| ticks.load(Ordering::SeqCst) > before);
        drop(running);
        // The thread holds one clock until it ends, this test the other.
        wait_until(|| Arc::strong_count(&clock) == 1);
    }

    #[test]
    fn guests_time_is_measured() {
        let ticker = Ticker::start(&config(), || {}).expect("threads can be started");
        let meter = Arc::new(Meter::new(0, CpuLimits::default()));
        let busy = async {
            let watch = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let used = || {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                (now - watch).tv_nsec
            };
            while used() < 1_000_000 {}
        };
        futures::executor::block_on(Metered::new(busy, ticker.clock(), meter.clone()));
        assert!(meter.cpu.used_nanos() >= 1_000_000);
    }
}
