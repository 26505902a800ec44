//! The handle of a running container: wait, terminate, kill, stats.

use crate::limits::Meter;
use crate::signals::Signals;
use crate::{Capability, CpuLimits, Exit};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Why a container could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The module does not export what it is to be run as.
    #[error(transparent)]
    Entry(#[from] crate::LoadError),
    /// The module is an HTTP handler, and the specification has no address for it.
    #[error("an HTTP handler needs at least one address to listen on")]
    NoAddress,
    /// A mount cannot be shown to the guest.
    #[error("cannot mount {} at {guest}", host.display())]
    Mount {
        /// The path on the host.
        host: std::path::PathBuf,
        /// The path in the guest.
        guest: String,
        /// Why.
        source: std::io::Error,
    },
    /// As many instances run as the engine allows.
    #[error("the engine already runs {limit} instances, which is its limit")]
    TooManyInstances {
        /// The limit.
        limit: u32,
    },
    /// An instance of the module would have more memories, or tables, than the engine allows.
    #[error("the module has {memories} memories and their tables, more than the limit of {limit}")]
    TooManyMemories {
        /// Its memories.
        memories: u32,
        /// The limit.
        limit: usize,
    },
    /// The module imports an interface the specification does not have.
    #[error("the module imports {import}, and the container does not have {capability}")]
    NotGiven {
        /// The import.
        import: String,
        /// What it needs.
        capability: Capability,
    },
    /// The engine is being shut down.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time its guest code used since the start.
    pub cpu_nanos: u64,
    /// Linear memory and tables its instances hold now, and what the host holds behind their handles.
    pub memory_bytes: u64,
    /// Instances of an HTTP handler that wait for their next request.
    pub waiting_instances: usize,
}

/// A running container. Clones are handles of the same one; dropping the last kills it.
#[derive(Clone)]
pub struct Container {
    shared: Arc<Shared>,
}

struct Shared {
    control: Control,
    meter: Arc<Meter>,
    signals: Signals,
    addresses: Vec<SocketAddr>,
    end: Arc<End>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.control.kill.cancel();
    }
}

/// The end of a container, once it has come.
#[derive(Default)]
pub(crate) struct End {
    exit: OnceLock<Exit>,
    come: Notify,
}

/// Tells the end of a container. Dropped without a word, it says that the engine was shut down.
pub(crate) struct Ending(Arc<End>);

impl Ending {
    pub(crate) fn new() -> Self {
        Ending(Arc::default())
    }

    /// What those who wait for it hold.
    pub(crate) fn end(&self) -> Arc<End> {
        self.0.clone()
    }

    /// The first word counts.
    pub(crate) fn tell(&self, exit: Exit) {
        if self.0.exit.set(exit).is_ok() {
            self.0.come.notify_waiters();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.exit.get().is_none() {
            self.tell(Exit::Failed {
                message: "the engine was shut down".to_owned(),
            });
        }
    }
}

/// The two requests a container's task listens to.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) terminate: CancellationToken,
    pub(crate) kill: CancellationToken,
}

impl Control {
    /// Requests to one container, which is also killed with its engine.
    pub(crate) fn new(engine: &CancellationToken) -> Self {
        Control {
            terminate: CancellationToken::new(),
            kill: engine.child_token(),
        }
    }
}

impl Container {
    pub(crate) fn new(
        control: Control,
        meter: Arc<Meter>,
        signals: Signals,
        addresses: Vec<SocketAddr>,
        end: Arc<End>,
    ) -> Self {
        Container {
            shared: Arc::new(Shared {
                control,
                meter,
                signals,
                addresses,
                end,
            }),
        }
    }

    /// Waits until the container has ended and all its output was taken by the sinks (unless it was killed).
    pub async fn wait(&self) -> Exit {
        let end = &self.shared.end;
        loop {
            // Made before the look, so that an end that comes in between is heard of.
            let come = end.come.notified();
            if let Some(exit) = end.exit.get() {
                return exit.clone();
            }
            come.await;
        }
    }

    /// Asks the container to end. A command that can see it (`wit/signal.wit`, or the end of its standard input) is
    /// left to end by itself; any other ends at once with `Exit::Signal` of the specification's signal. An HTTP handler stops accepting,
    /// finishes what it has begun, and ends with `Exit::Code(0)`.
    /// The caller bounds the time by [`Container::kill`].
    pub fn terminate(&self) {
        self.shared.control.terminate.cancel();
    }

    /// Whether a command can see that it was asked to end: it imports signals, or has looked at its standard input.
    pub fn observes_signals(&self) -> bool {
        self.shared.signals.are_observed()
    }

    /// Ends the container at once with `Exit::Signal(9)`.
    pub fn kill(&self) {
        self.shared.control.kill.cancel();
    }

    /// What the container uses.
    pub fn stats(&self) -> Stats {
        Stats {
            cpu_nanos: self.shared.meter.cpu.used_nanos(),
            memory_bytes: self.shared.meter.memory(),
            waiting_instances: self.shared.meter.waiting(),
        }
    }

    /// Other limits from now on, for all its instances. What is `None` stays as it is. A memory limit below what the
    /// container holds takes nothing away: it grows no more.
    pub fn update(&self, cpu: Option<CpuLimits>, memory_limit: Option<u64>) {
        if let Some(cpu) = cpu {
            self.shared.meter.cpu.set(cpu);
        }
        if let Some(bytes) = memory_limit {
            self.shared.meter.set_memory_limit(bytes);
        }
    }

    /// The addresses an HTTP handler answers on, with the ports the kernel chose where 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container")
            .field("addresses", &self.shared.addresses)
            .finish_non_exhaustive()
    }
}
