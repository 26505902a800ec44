//! Where and how long guests run: their own tokio runtime, the epoch ticker, and the measuring of their time.
//!
//! Guests have threads of their own, so a busy guest never delays the rest of the process; the ticker makes a busy
//! guest give way to other guests every [`TIME_SLICE`]. The ticker sleeps while no guest is being run: an idle engine
//! has no timer at all.

use crate::EngineConfig;
use crate::config::TIME_SLICE;
use crate::limits::Meter;
use rustix::time::{ClockId, clock_gettime};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::thread::{JoinHandle, Thread};
use tokio::runtime::{Builder, Runtime};

/// Task polls after which a worker looks at sockets and timers. With every worker busy, a timer is late by at most
/// this many time slices.
const EVENT_INTERVAL: u32 = 8;

/// Builds the runtime guests run on.
pub(crate) fn guest_runtime(config: &EngineConfig) -> std::io::Result<Runtime> {
    let nice = config.guest_nice;
    Builder::new_multi_thread()
        .worker_threads(config.worker_threads.max(1))
        .max_blocking_threads(config.max_blocking_threads.max(1))
        .event_interval(EVENT_INTERVAL)
        .thread_name("sampan-guest")
        .on_thread_start(move || {
            // On Linux this concerns the calling thread only. A refusal costs fairness, not correctness.
            if let Err(error) = rustix::process::nice(nice) {
                tracing::debug!(%error, "guest threads keep their priority");
            }
        })
        .enable_all()
        .build()
}

/// Increments the epochs while guests run.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

/// Counts the guests that are on a processor right now.
pub(crate) struct Clock {
    running: AtomicU32,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let clock = Arc::new(Clock {
            running: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let thread = std::thread::Builder::new()
            .name("sampan-epoch".to_owned())
            .spawn({
                let clock = clock.clone();
                move || clock.run(tick)
            })?;
        let _first = clock.thread.set(thread.thread().clone());
        Ok(Ticker {
            clock,
            thread: Some(thread),
        })
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the epoch ticker panicked");
            }
        }
    }
}

impl Clock {
    fn run(&self, tick: impl Fn()) {
        while !self.stop.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) == 0 {
                self.asleep.store(true, Ordering::SeqCst);
                // Looked at again after the flag is up, so that a guest that begins in between is not missed.
                if self.running.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                continue;
            }
            std::thread::park_timeout(TIME_SLICE);
            tick();
        }
    }

    fn enter(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
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

/// A guest's future: keeps the ticker awake while polled, and adds the processor time to the container's meter.
pub(crate) struct Metered<F> {
    guest: Pin<Box<F>>,
    clock: Arc<Clock>,
    meter: Arc<Meter>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(guest: F, clock: Arc<Clock>, meter: Arc<Meter>) -> Self {
        Metered {
            guest: Box::pin(guest),
            clock,
            meter,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Metered {
            guest,
            clock,
            meter,
        } = &mut *self;
        let _running = clock.enter();
        let before = thread_nanos();
        let result = guest.as_mut().poll(cx);
        meter.add_cpu(thread_nanos().saturating_sub(before));
        result
    }
}

fn thread_nanos() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
