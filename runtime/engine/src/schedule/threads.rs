//! The threads guests run on, and what the kernel thinks of them.

use super::{Priority, brief_places, long_places};
use crate::EngineConfig;
use parking_lot::Mutex;
use rustix::process::getpriority_process;
use std::sync::Arc;
use std::sync::mpsc::{self, SendError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Task polls after which a worker looks at sockets and timers. With every worker busy, a timer is late by at most
/// this many ticks.
const EVENT_INTERVAL: u32 = 8;

/// Threads that are no guest's: one for a place that is lent, and one that looks at sockets and timers.
const SPARE: usize = 2;

/// How much lower the priority of guests that go on is than that of guests that start.
const LONG_NICE: i32 = 6;

/// What blocks may go on for so long when the others have ended.
const LAST_TASKS: Duration = Duration::from_secs(60);

/// Two runtimes: one where guests start and everything around them happens, one for those that go on.
pub(crate) struct Threads {
    brief: Runtime,
    long: Runtime,
}

/// Handles of both. They keep no thread alive.
#[derive(Clone)]
pub(super) struct Handles {
    pub(super) brief: Handle,
    pub(super) long: Handle,
}

/// Starts all threads for blocking work, and gives them their priority: to the runtime they are threads like its others. One
/// that is needed later would be started by whoever needs it, with the priority of that, and without privileges nobody may
/// raise it again.
fn start_blocking(runtime: &Handle, threads: usize, nice: Option<i32>) {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    for _ in 0..threads {
        let gate = gate.clone();
        // None is idle before all are there. Where there can be no more threads, those there are do their work.
        drop(runtime.spawn_blocking(move || {
            Priority::Blocking(nice).take();
            drop(gate.lock());
        }));
    }
    drop(closed);
}

impl Threads {
    pub(crate) fn start(config: &EngineConfig) -> std::io::Result<Self> {
        // Relative to the thread that makes the engine, but set as an absolute value: threads inherit priorities.
        let own = getpriority_process(None).ok();
        let nice = own.map(|own| own.saturating_add(config.guest_nice));
        let long_nice = nice.map(|nice| nice.saturating_add(LONG_NICE));
        let blocking = config.max_blocking_threads.max(1);
        let brief = Builder::new_multi_thread()
            .worker_threads(brief_places(config) + SPARE)
            .max_blocking_threads(blocking)
            .thread_keep_alive(Duration::MAX)
            .event_interval(EVENT_INTERVAL)
            .thread_name("sampan-guest")
            .on_thread_start(move || Priority::Prompt(nice).take())
            .enable_all()
            .build()?;
        start_blocking(brief.handle(), blocking, nice);
        // Without sockets and timers: what happens here uses those of the other.
        let long = Builder::new_multi_thread()
            .worker_threads(long_places(config))
            .thread_name("sampan-long")
            .on_thread_start(move || Priority::Long(long_nice).take())
            .build()?;
        Ok(Threads { brief, long })
    }

    /// Where guests start.
    pub(crate) fn handle(&self) -> &Handle {
        self.brief.handle()
    }

    pub(super) fn handles(&self) -> Handles {
        Handles {
            brief: self.brief.handle().clone(),
            long: self.long.handle().clone(),
        }
    }

    /// Ends the threads; their tasks are dropped at their next pause. Nobody here waits for that: a runtime must not be waited
    /// for inside another. Still somebody has to: of a thread that nobody waits for and that ends just then, the C library
    /// may read what is gone (`pthread_detach`, glibc's bug 19951), and the process ends with it.
    pub(crate) fn end(self) {
        for runtime in [self.brief, self.long] {
            let (give, taken) = mpsc::channel::<Runtime>();
            let wait = move || {
                if let Ok(runtime) = taken.recv() {
                    runtime.shutdown_timeout(LAST_TASKS);
                }
            };
            let waiting = std::thread::Builder::new().name("sampan-end".to_owned());
            if let Err(error) = waiting.spawn(wait) {
                tracing::debug!(%error, "nobody waits for the engine's threads");
            }
            // Where there can be no thread, nobody takes it.
            if let Err(SendError(runtime)) = give.send(runtime) {
                runtime.shutdown_background();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::setpriority_process;
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    use std::sync::Barrier;

    #[test]
    fn blocking_work_does_not_get_the_priority_of_who_asks_for_it() {
        let mut config = EngineConfig::new("unused");
        config.max_blocking_threads = 3;
        let own = getpriority_process(None).expect("it has one");
        let threads = Threads::start(&config).expect("started");
        let handle = threads.handle().clone();
        let nices = std::thread::spawn(move || {
            setpriority_process(None, 19).expect("lower is allowed");
            // Nor may a thread that this one starts raise it.
            let none = CapabilitySet::empty();
            let sets = CapabilitySets {
                effective: none,
                permitted: none,
                inheritable: none,
            };
            set_capabilities(None, sets).expect("fewer are allowed");
            let gate = Arc::new(Barrier::new(3));
            let nices = (0..3).map(|_| {
                let gate = gate.clone();
                handle.spawn_blocking(move || {
                    gate.wait();
                    getpriority_process(None).expect("it has one")
                })
            });
            let nices: Vec<_> = nices.collect();
            handle.block_on(futures::future::join_all(nices))
        });
        for nice in nices.join().expect("no panic") {
            assert_eq!(nice.expect("no panic"), own + config.guest_nice);
        }
        threads.end();
    }
}
