//! The threads guests run on, and what the kernel thinks of them.

use super::{Priority, places};
use crate::EngineConfig;
use rustix::process::getpriority_process;
use tokio::runtime::{Builder, Handle, Runtime};

/// Task polls after which a worker looks at sockets and timers. With every worker busy, a timer is late by at most
/// this many ticks.
const EVENT_INTERVAL: u32 = 8;

/// How much lower the priority of guests that go on is than that of guests that start.
const LONG_NICE: i32 = 6;

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

impl Threads {
    pub(crate) fn start(config: &EngineConfig) -> std::io::Result<Self> {
        // Relative to the thread that makes the engine, but set as an absolute value: threads inherit priorities.
        let own = getpriority_process(None).ok();
        let nice = own.map(|own| own.saturating_add(config.guest_nice));
        let long_nice = nice.map(|nice| nice.saturating_add(LONG_NICE));
        let brief = Builder::new_multi_thread()
            .worker_threads(places(config) + 1)
            .max_blocking_threads(config.max_blocking_threads.max(1))
            .event_interval(EVENT_INTERVAL)
            .thread_name("sampan-guest")
            .on_thread_start(move || Priority::Prompt(nice).take())
            .enable_all()
            .build()?;
        // Without sockets and timers: what happens here uses those of the other.
        let long = Builder::new_multi_thread()
            .worker_threads(places(config))
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

    /// Ends the threads without waiting for them: a runtime must not be waited for inside another. Their tasks are
    /// dropped at their next pause.
    pub(crate) fn end(self) {
        self.brief.shutdown_background();
        self.long.shutdown_background();
    }
}
