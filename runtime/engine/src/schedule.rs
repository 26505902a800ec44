//! Where and how long guests run: threads of their own, the epoch ticker, and the measuring of their time.
//!
//! Guests have threads of their own, so a busy guest never delays the rest of the process; the ticker makes every
//! guest pause each [`TICK`](crate::config::TICK). One that goes on after that moves from the threads where guests
//! start, requests come in and timers fire to threads of lower priority (`metered`). So whoever has been waiting for
//! something finds a free thread, and soon a processor, whatever else runs.
//!
//! As many guests run at once as there are places of each kind (`cpu/turns`), and one more while a place is lent. Of the
//! threads where guests start there are two more than places, so that sockets and timers are served even then.

mod clock;
mod metered;
mod priority;
mod threads;

pub(crate) use clock::{Clock, Ticker};
pub(crate) use metered::{Metered, Milestone};
pub use priority::Priority;
pub(crate) use threads::Threads;

use crate::EngineConfig;

/// How many guests that go on may run at once.
fn long_places(config: &EngineConfig) -> usize {
    config.worker_threads.max(1)
}

/// How many guests that have just begun may. More than there are processors: the kernel may have given the processor of one
/// of them to somebody else, and whoever could run meanwhile must not wait for its place.
fn brief_places(config: &EngineConfig) -> usize {
    3 * long_places(config)
}
