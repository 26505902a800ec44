//! The engine: one per process, everything else hangs on it.

use crate::backend::Backends;
use crate::config::{MAPPINGS_PER_INSTANCE, MOST_MEMORIES, RESERVED_MAPPINGS};
use crate::container::{Control, Ending, StartError};
use crate::files::{self, FileBudget, Pace, Preopens, Scratch};
use crate::limits::Meter;
use crate::module::{Compiling, LoadError, Loader, Module, ModuleSource, Workload};
use crate::places::{Kept, Places};
use crate::schedule::{Clock, Threads, Ticker};
use crate::signals::Signals;
use crate::state::Template;
use crate::{Container, ContainerSpec, EngineConfig, Exit, command, http};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Why an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the configuration or this machine.
    #[error("cannot set up wasmtime: {message}")]
    Wasmtime {
        /// wasmtime's words.
        message: String,
    },
    /// The cache folder cannot be used.
    #[error("cannot use the folder {}", path.display())]
    CacheDir {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start the guests' threads")]
    Threads {
        /// Why.
        source: std::io::Error,
    },
}

/// What an engine has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Modules compiled since the start.
    pub compiled: u64,
    /// Modules loaded from the cache on disk since the start.
    pub cache_hits: u64,
    /// Modules in memory.
    pub modules: usize,
    /// Instances alive. One of several memories counts for each.
    pub instances: usize,
    /// The most instances that may be alive at once.
    pub max_instances: usize,
}

/// Loads modules and runs them. Clones are handles of the same engine; dropping the last one ends its containers and
/// its threads.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<EngineConfig>,
    backends: Arc<Backends>,
    loader: Loader,
    scratch: Arc<Scratch>,
    file_budget: Arc<FileBudget>,
    first_connections: Arc<FileBudget>,
    instances: Arc<Places>,
    warm: Arc<http::Pools>,
    max_instances: usize,
    ticker: Ticker,
    shutdown: CancellationToken,
    /// `None` only while being dropped.
    threads: Option<Threads>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(threads) = self.threads.take() {
            threads.end();
        }
    }
}

/// What running containers need of the engine. It does not keep the engine's threads alive.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) backends: Arc<Backends>,
    pub(crate) clock: Arc<Clock>,
    /// One place per instance alive, or as many as its module takes (`Loaded::places`).
    pub(crate) instances: Arc<Places>,
    /// Instances that only wait for requests, and give way to others.
    pub(crate) warm: Arc<http::Pools>,
    /// Descriptors of the first connections of all handlers.
    pub(crate) first_connections: Arc<FileBudget>,
}

impl Engine {
    /// Sets up wasmtime, the guests' threads and the cache folder.
    pub fn new(config: EngineConfig) -> Result<Engine, EngineError> {
        files::widen_descriptor_table();
        let config = Arc::new(config);
        let backends = Backends::new(config.clone()).map_err(|error| EngineError::Wasmtime {
            message: format!("{error:#}"),
        })?;
        let backends = Arc::new(backends);
        let cache_dir = |source| EngineError::CacheDir {
            path: config.cache_dir.clone(),
            source,
        };
        let loader = Loader::open(backends.clone(), &config).map_err(cache_dir)?;
        // The other threads are for guests' files, and for modules.
        let turns = config.max_blocking_threads / 2;
        let scratch = Scratch::open(&config.cache_dir, turns).map_err(cache_dir)?;
        let no_threads = |source| EngineError::Threads { source };
        let threads = Threads::start(&config).map_err(no_threads)?;
        let ticker = Ticker::start(&config, &threads, {
            let backends = backends.clone();
            move || backends.tick()
        });
        let max_instances = max_instances(&config);
        let warm = Arc::<http::Pools>::default();
        Ok(Engine {
            inner: Arc::new(Inner {
                loader,
                scratch: Arc::new(scratch),
                file_budget: FileBudget::of_process(),
                first_connections: FileBudget::of_first_connections(),
                instances: Places::new(max_instances, warm.clone()),
                warm,
                max_instances,
                ticker: ticker.map_err(no_threads)?,
                shutdown: CancellationToken::new(),
                threads: Some(threads),
                config,
                backends,
            }),
        })
    }

    /// Loads a module: from memory if it is in use, from the cache on disk, or compiled now. Simultaneous loads of
    /// a digest share one.
    pub async fn load(&self, source: &ModuleSource) -> Result<Module, LoadError> {
        self.inner.loader.load(source, self.inner.threads()).await
    }

    /// The compilation of a digest, if it is under way.
    pub fn compiling(&self, digest: &str) -> Option<Compiling> {
        self.inner.loader.compiling(digest)
    }

    /// Whether the module of a digest waits for others to be compiled.
    pub fn waits_to_compile(&self, digest: &str) -> bool {
        self.inner.loader.waits_to_compile(digest)
    }

    /// Removes a digest's compiled code from disk, for when its image is removed. Running containers keep it.
    pub async fn evict(&self, digest: &str) {
        let (inner, digest) = (self.inner.clone(), digest.to_owned());
        let removal = self
            .inner
            .threads()
            .spawn_blocking(move || inner.loader.evict(&digest));
        if let Err(error) = removal.await {
            tracing::debug!(%error, "compiled code was not removed");
        }
    }

    /// Starts a container. For an HTTP handler this returns once it listens. A command begins on the caller's thread if the
    /// pool has room for it, so that a short one costs no switch of threads; one that waits or has run until the next tick,
    /// a millisecond at most, goes on on the engine's. How it ends is told by [`Container::wait`].
    pub async fn start(
        &self,
        module: &Module,
        spec: ContainerSpec,
    ) -> Result<Container, StartError> {
        let inner = &self.inner;
        check_given(module, &spec)?;
        inner.check_memories(module)?;
        // A command is one instance for as long as it lives; a handler takes instances as requests come.
        let permit = match module.check(&spec.entry)? {
            Workload::Command | Workload::Function => Some(inner.reserve(module)?),
            Workload::HttpHandler if spec.listen.is_empty() => return Err(StartError::NoAddress),
            Workload::HttpHandler => None,
        };
        let preopens = self.preopens(&spec).await?;
        let meter = Arc::new(Meter::in_group(
            spec.memory_limit,
            inner.config.default_memory_limit,
            spec.cpu,
            spec.group.as_ref().map(|group| group.meter().clone()),
        ));
        let control = Control::new(&inner.shutdown);
        let signals = Signals::new(control.terminate.clone(), module.imports(), &spec);
        let template = Arc::new(Template {
            signals: signals.clone(),
            file_budget: inner.file_budget.of_container(spec.max_open_files),
            spec,
            config: inner.config.clone(),
            meter: meter.clone(),
            preopens,
            network: OnceLock::new(),
        });
        let ending = Ending::new();
        let end = ending.end();
        let addresses = match permit {
            Some(permit) => {
                let run = command::run(
                    inner.runner(),
                    module.clone(),
                    template.clone(),
                    control.clone(),
                    permit,
                );
                let task = to_the_end(run, template, ending);
                match inner.is_quick(module) {
                    true => begin_here(task, inner.threads()),
                    false => drop(inner.threads().spawn(task)),
                }
                Vec::new()
            }
            None => {
                let server = http::Server::bind(
                    inner.runner(),
                    module.clone(),
                    template.clone(),
                    control.clone(),
                    inner.threads(),
                )?;
                let addresses = server.addresses();
                let task = to_the_end(server.run(), template, ending);
                inner.threads().spawn(task);
                addresses
            }
        };
        Ok(Container::new(control, meter, signals, addresses, end))
    }

    /// What the engine has done and holds.
    pub fn stats(&self) -> EngineStats {
        let (compiled, cache_hits) = self.inner.loader.counts();
        EngineStats {
            compiled,
            cache_hits,
            modules: self.inner.loader.in_memory(),
            instances: self.inner.max_instances - self.inner.instances.free(),
            max_instances: self.inner.max_instances,
        }
    }

    async fn preopens(&self, spec: &ContainerSpec) -> Result<Preopens, StartError> {
        if spec.mounts.is_empty() && spec.files.is_empty() {
            return Ok(Preopens::none());
        }
        let (scratch, spec) = (self.inner.scratch.clone(), spec.clone());
        let turns = scratch.turns().clone();
        let open = move |pace: &Pace| Preopens::try_open(&scratch, &spec, pace);
        let opened = turns.run(self.inner.threads(), open).await;
        opened.unwrap_or(Err(StartError::ShuttingDown))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn threads(&self) -> &Handle {
        self.threads
            .as_ref()
            .expect("they are taken only by drop")
            .handle()
    }

    fn runner(&self) -> Runner {
        Runner {
            backends: self.backends.clone(),
            clock: self.ticker.clock(),
            instances: self.instances.clone(),
            warm: self.warm.clone(),
            first_connections: self.first_connections.clone(),
        }
    }

    /// Whether an instance can be made in microseconds: it fits the pool, and not all of that is taken. On demand code may
    /// have to be mapped and linked first.
    fn is_quick(&self, module: &Module) -> bool {
        let taken = self.max_instances - self.instances.free();
        module.loaded().pooled().is_some() && taken <= self.config.pool_instances as usize
    }

    /// Refuses a module of which no instance could ever be made.
    fn check_memories(&self, module: &Module) -> Result<(), StartError> {
        let loaded = module.loaded();
        let limit = self.config.max_core_instances.min(self.max_instances);
        match loaded.memories().max(loaded.places()) as usize > limit {
            true => Err(StartError::TooManyMemories {
                memories: loaded.memories(),
                limit,
            }),
            false => Ok(()),
        }
    }

    fn reserve(&self, module: &Module) -> Result<Kept, StartError> {
        let limit = self.max_instances as u32;
        let place = self.instances.try_take(module.loaded().places());
        let place = place.ok_or(StartError::TooManyInstances { limit })?;
        Ok(place.keep())
    }
}

/// Finds an import that the specification has nothing for before anything runs.
fn check_given(module: &Module, spec: &ContainerSpec) -> Result<(), StartError> {
    let mut missing = module.capabilities().iter();
    let Some(&capability) = missing.find(|capability| !spec.host.give(**capability)) else {
        return Ok(());
    };
    let import = module.import_behind(capability).unwrap_or_default();
    Err(StartError::NotGiven {
        import: import.to_owned(),
        capability,
    })
}

/// Runs a container to its end, and tells it. A box around all of it, so that the task is as small as tasks can be;
/// combinators and not one async block, which would have room for `run` twice.
fn to_the_end(
    run: impl Future<Output = Exit> + Send + 'static,
    template: Arc<Template>,
    ending: Ending,
) -> BoxFuture<'static, ()> {
    let finish = move |exit: std::thread::Result<Exit>| async move {
        template.preopens.finish().await;
        drop(template);
        ending.tell(exit.unwrap_or_else(|_panic| Exit::Failed {
            message: "the engine panicked while it ran the container".to_owned(),
        }));
    };
    AssertUnwindSafe(run).catch_unwind().then(finish).boxed()
}

/// Runs a command's task up to its first pause; what it has to do then it does on the engine's threads. It waits for its
/// quota and its turn like any other.
fn begin_here(mut task: BoxFuture<'static, ()>, threads: &Handle) {
    // Its sockets, timers and tasks belong there.
    let entered = threads.enter();
    let ended = (&mut task).now_or_never().is_some();
    drop(entered);
    if !ended {
        // Whatever has woken it meanwhile was not heard, but a new task is polled at once.
        threads.spawn(task);
    }
}

/// How many instances the kernel has mappings for, at most what is configured. Beyond `vm.max_map_count` any
/// allocation in the process may fail, so instances are refused before. The same for addresses.
fn max_instances(config: &EngineConfig) -> usize {
    let configured = u64::from(config.max_instances);
    let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .unwrap_or(65_530);
    let allowed = mappings.saturating_sub(RESERVED_MAPPINGS) / MAPPINGS_PER_INSTANCE;
    configured.min(allowed.clamp(1, MOST_MEMORIES)) as usize
}
