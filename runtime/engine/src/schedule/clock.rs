//! The epoch ticker. It sleeps while no guest is being run: an idle engine has no timer at all.

use super::threads::{Handles, Threads};
use super::{Priority, brief_places, long_places};
use crate::EngineConfig;
use crate::config::TICK;
use crate::cpu::Turns;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// Increments the epochs while guests run. Its thread ends after it is dropped, once no guest runs any more: the
/// last ones need ticks to notice that they were cancelled.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
}

/// Counts the guests that are on a processor right now, and says who is next.
pub(crate) struct Clock {
    pub(super) turns: Turns,
    pub(super) threads: Handles,
    running: AtomicU32,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(
        config: &EngineConfig,
        threads: &Threads,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let clock = Arc::new(Clock {
            turns: Turns::new(brief_places(config), long_places(config)),
            threads: threads.handles(),
            running: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let thread = std::thread::Builder::new()
            .name("sampan-epoch".to_owned())
            .spawn({
                let clock = clock.clone();
                move || {
                    Priority::Ticker.take();
                    clock.run(tick);
                }
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
                std::thread::park_timeout(TICK);
                tick();
                self.turns.tick();
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

    pub(super) fn enter(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(self)
    }
}

/// A guest on a processor.
pub(super) struct Running<'a>(&'a Clock);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

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
        let config = EngineConfig::new("unused");
        let threads = Threads::start(&config).expect("threads can be started");
        let ticks = Arc::new(AtomicU64::new(0));
        let count = ticks.clone();
        let ticker = Ticker::start(&config, &threads, move || {
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
}
