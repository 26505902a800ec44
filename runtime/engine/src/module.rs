//! Modules: what a file contains, compiled and ready to be instantiated any number of times.

mod cache;
mod compile;
mod entry;
mod inspect;
mod loader;
mod p3;
mod prepared;

pub(crate) use cache::private_dir;
pub use compile::Compiling;
pub use entry::Entry;
#[cfg(test)]
pub(crate) use inspect::P1_FUNCTIONS;
pub(crate) use loader::Loader;
pub(crate) use prepared::{CommandPre, Prepared};

use crate::backend::{Backend, Backends, Pair};
use crate::capability::{Capability, capabilities};
use crate::config::TABLES_PER_MEMORY;
use cache::Artifact;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSource {
    /// `sha256:` and 64 hexadecimal digits: the digest of the file's content, verified before it is compiled.
    pub digest: String,
    /// The file.
    pub path: PathBuf,
}

/// What a module is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Runs from its start to its end: a core module with `_start`, or a component with `wasi:cli/run`.
    Command,
    /// Answers requests: a component with `wasi:http/incoming-handler` (0.2) or `wasi:http/handler` (0.3).
    HttpHandler,
    /// One exported function is called with the container's arguments.
    Function,
}

/// Why a module cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a Wasm module or component, or it ends early.
    #[error("not a WebAssembly module: {reason}")]
    NotWasm {
        /// What is wrong with it.
        reason: String,
    },
    /// The file is larger than the engine accepts.
    #[error("the module has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The module's imports and exports are too many or too long to be read.
    #[error("the module has more than {limit}, which is the limit")]
    TooManyNames {
        /// The limit, and of what.
        limit: String,
    },
    /// The module is invalid, or uses a feature of Wasm that the engine does not have.
    #[error("the module does not compile: {message}")]
    Compile {
        /// The compiler's words.
        message: String,
    },
    /// Compiling the module might take more memory than there is for it.
    #[error(
        "compiling the module may take {needed} bytes of memory, more than the limit of {limit}"
    )]
    CompileMemory {
        /// The estimate.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The module is not compiled within the time for it.
    #[error("the module is not compiled after {} s, which is the limit", limit.as_secs_f32())]
    CompileTime {
        /// The limit.
        limit: Duration,
    },
    /// The module's file is not read within the time for compiling one.
    #[error("the module {} is not read after {} s, which is the limit", path.display(), limit.as_secs_f32())]
    ReadTime {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// The module imports what the engine does not offer.
    #[error("the module imports what this runtime does not offer: {}", names.join(", "))]
    UnsupportedImport {
        /// Each such import.
        names: Vec<String>,
    },
    /// The module has nothing that could be run.
    #[error(
        "the module exports none of _start (core module), wasi:cli/run and wasi:http/incoming-handler@0.2 or \
         wasi:http/handler@0.3 (component), and no function was named; its exports: {}",
        list(exports)
    )]
    NoEntryPoint {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// The module cannot be run as it was asked to.
    #[error("the module exports none of {wanted}; its exports: {}", list(exports))]
    NotExported {
        /// What it would have to export.
        wanted: String,
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// The file's content does not have the digest it should have.
    #[error("the module's digest is {actual}, not {expected}")]
    Digest {
        /// The digest asked for.
        expected: String,
        /// The file's digest.
        actual: String,
    },
    /// The file cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// Compiled code cannot be kept: the disk is full, or the engine's folder is not writable.
    #[error("cannot keep the compiled module in the engine's cache: {source}")]
    Cache {
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The engine is being shut down.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

fn list(exports: &[String]) -> String {
    match exports.is_empty() {
        true => "none".to_owned(),
        false => exports.join(", "),
    }
}

/// A compiled module. Clones share it; it is dropped with the last clone and the last container that runs it.
#[derive(Clone)]
pub struct Module {
    loaded: Arc<Loaded>,
}

impl Module {
    pub(crate) fn new(loaded: Arc<Loaded>) -> Self {
        Module { loaded }
    }

    /// What the module is run as if nothing else is asked for, told by its exports.
    pub fn workload(&self) -> Workload {
        self.loaded.artifact.meta.entries.workload()
    }

    /// What the module is run as if `entry` is asked for; an error if it does not export that.
    pub fn check(&self, entry: &Entry) -> Result<Workload, LoadError> {
        let workload = self.loaded.artifact.meta.entries.choose(entry)?;
        if let Entry::Function(name) = entry {
            self.loaded.check_function(name)?;
        }
        Ok(workload)
    }

    /// What the module imports: `module.name` of a core module, the interface names of a component.
    pub fn imports(&self) -> &[String] {
        &self.loaded.artifact.meta.imports
    }

    /// What the module can reach outside itself, in the order of [`Capability`].
    pub fn capabilities(&self) -> &[Capability] {
        &self.loaded.capabilities
    }

    /// The first import that gives a capability; none for what the module does not have or only exports tell.
    pub fn import_behind(&self, capability: Capability) -> Option<&str> {
        let mut imports = self.imports().iter();
        imports
            .find(|import| Capability::of_import(import) == Some(capability))
            .map(String::as_str)
    }

    /// The digest it was loaded by.
    pub fn digest(&self) -> &str {
        &self.loaded.digest
    }

    pub(crate) fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("digest", &self.loaded.digest)
            .field("workload", &self.workload())
            .finish_non_exhaustive()
    }
}

/// A module in memory: linked for the pool, and for on-demand allocation once that was needed.
pub(crate) struct Loaded {
    digest: String,
    artifact: Artifact,
    capabilities: Vec<Capability>,
    /// `None` if the module is too big for the pool's slots.
    pooled: Option<Prepared>,
    on_demand: OnceLock<Prepared>,
    memories: u32,
    tables: u32,
}

impl Loaded {
    fn new(digest: String, artifact: Artifact, backends: &Backends) -> wasmtime::Result<Self> {
        let backends = backends.of(artifact.meta.concurrent)?;
        let pool = &backends.pooled;
        let pooled = artifact.map(&pool.wasm).and_then(|code| code.link(pool));
        let (pooled, unfit) = match pooled {
            Ok(prepared) => (Some(prepared), None),
            Err(reason) => (None, Some(reason)),
        };
        let mut loaded = Loaded {
            digest,
            capabilities: capabilities(
                &artifact.meta.imports,
                artifact.meta.entries.http.is_some(),
            ),
            artifact,
            pooled,
            on_demand: OnceLock::new(),
            memories: 0,
            tables: 0,
        };
        if let Some(reason) = unfit {
            tracing::debug!(digest = loaded.digest, %reason, "the module does not fit the pool");
            loaded.on_demand(&*backends.on_demand()?)?;
        }
        if let Some(resources) = loaded.prepared().and_then(Prepared::resources) {
            (loaded.memories, loaded.tables) = (resources.num_memories, resources.num_tables);
        }
        Ok(loaded)
    }

    /// What it runs on; there since it was loaded.
    pub(crate) fn backends<'a>(&self, all: &'a Backends) -> wasmtime::Result<&'a Pair> {
        all.of(self.artifact.meta.concurrent)
    }

    pub(crate) fn pooled(&self) -> Option<&Prepared> {
        self.pooled.as_ref()
    }

    /// One of the two is there since the module was loaded.
    fn prepared(&self) -> Option<&Prepared> {
        self.pooled.as_ref().or_else(|| self.on_demand.get())
    }

    /// Memories of an instance.
    pub(crate) fn memories(&self) -> u32 {
        self.memories
    }

    /// Places among the engine's instances that one takes: what costs mappings and addresses are its memories, and large
    /// tables.
    pub(crate) fn places(&self) -> u32 {
        let tables = self.tables.div_ceil(TABLES_PER_MEMORY);
        self.memories.max(tables).max(1)
    }

    /// The module linked for on-demand allocation; maps its code a second time on first use.
    pub(crate) fn on_demand(&self, backend: &Backend) -> wasmtime::Result<&Prepared> {
        if let Some(prepared) = self.on_demand.get() {
            return Ok(prepared);
        }
        let prepared = self.artifact.map(&backend.wasm)?.link(backend)?;
        Ok(self.on_demand.get_or_init(|| prepared))
    }

    /// Whether an instance can answer HTTP requests side by side.
    pub(crate) fn answers_side_by_side(&self) -> bool {
        self.artifact.meta.entries.http == Some(entry::Wasi::P3)
    }

    /// Whether there is such a function to call.
    fn check_function(&self, name: &str) -> Result<(), LoadError> {
        let has = |prepared: &Prepared| prepared.has_function(name);
        match self.prepared().is_some_and(has) {
            true => Ok(()),
            false => Err(LoadError::NotExported {
                wanted: format!("a function {name}"),
                exports: self.artifact.meta.entries.listed(),
            }),
        }
    }
}
