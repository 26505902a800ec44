//! Measures how much of its thread's processor time a guest takes.
//!
//! A thread's clock is a system call, half a microsecond and more, and most guests run for a few dozen; the wall clock is
//! none. So what is over within [`INEXACT`] is measured by the wall clock, which is too much only where the thread was
//! taken off the processor meanwhile, and a reading of the thread's clock is used for as long again. Both errors are
//! for the guest to pay and at most [`INEXACT`]; a busy guest, which runs for a whole slice, is measured exactly.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The greatest error.
const INEXACT: Duration = Duration::from_micros(100);

thread_local! {
    /// The last reading of this thread's clock, and when it was.
    static LAST: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// Runs from its making on, on one thread.
pub(crate) struct Stopwatch {
    began: Instant,
    thread: u64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let began = Instant::now();
        let thread = match LAST.get() {
            Some((at, nanos)) if began.duration_since(at) < INEXACT => nanos,
            _ => read(began),
        };
        Stopwatch { began, thread }
    }

    /// Nanoseconds on the processor since the start.
    pub(crate) fn nanos(self) -> u64 {
        let now = Instant::now();
        let wall = now.duration_since(self.began);
        if wall < INEXACT {
            return wall.as_nanos() as u64;
        }
        read(now).saturating_sub(self.thread)
    }
}

/// Reads the thread's clock and remembers it.
fn read(now: Instant) -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    LAST.set(Some((now, nanos)));
    nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> u64 {
        read(Instant::now())
    }

    fn busy(nanos: u64) {
        let begun = thread();
        while thread() - begun < nanos {}
    }

    #[test]
    fn what_takes_long_is_exact_but_for_what_came_right_before() {
        busy(2_000_000);
        let before = thread();
        let watch = Stopwatch::start();
        busy(2_000_000);
        let (used, whole) = (watch.nanos(), thread() - before);
        assert!((2_000_000..=whole).contains(&used), "{used} of {whole}");
    }

    #[test]
    fn time_off_the_processor_is_not_counted() {
        let watch = Stopwatch::start();
        let other = std::thread::spawn(|| busy(50_000_000));
        other.join().expect("it ends");
        let used = watch.nanos();
        assert!(used < 25_000_000, "{used}");
    }

    #[test]
    fn short_times_are_never_too_little() {
        for _ in 0..1_000 {
            let (watch, before) = (Stopwatch::start(), thread());
            let whole = thread() - before;
            let used = watch.nanos();
            assert!(used >= whole, "{used} of {whole}");
        }
    }
}
