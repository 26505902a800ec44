//! Modules: what a file contains, compiled and ready to be instantiated any number of times.

mod cache;
mod inspect;
mod loader;

pub(crate) use cache::private_dir;
#[cfg(test)]
pub(crate) use inspect::P1_FUNCTIONS;
pub(crate) use loader::Loader;

use crate::backend::{Backend, Backends};
use crate::state::{ComponentState, P1State};
use cache::Artifact;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSource {
    /// `sha256:` and 64 hexadecimal digits: the digest of the file's content, verified before it is compiled.
    pub digest: String,
    /// The file.
    pub path: PathBuf,
}

/// What a module is run as, told by its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Workload {
    /// Runs from its start to its end: a core module with `_start`, or a component with `wasi:cli/run`.
    Command,
    /// Answers requests: a component with `wasi:http/incoming-handler`.
    HttpHandler,
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
    /// The module is invalid, or uses a feature of Wasm that the engine does not have.
    #[error("the module does not compile: {message}")]
    Compile {
        /// The compiler's words.
        message: String,
    },
    /// The module imports what the engine does not offer.
    #[error("the module imports what this runtime does not offer: {}", names.join(", "))]
    UnsupportedImport {
        /// Each such import.
        names: Vec<String>,
    },
    /// The module has nothing that could be run.
    #[error(
        "the module exports none of _start (core module), wasi:cli/run@0.2 and wasi:http/incoming-handler@0.2 \
         (component); its exports: {}", if exports.is_empty() { "none".to_owned() } else { exports.join(", ") }
    )]
    NoEntryPoint {
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

/// A compiled module. Clones share it; it is dropped with the last clone and the last container that runs it.
#[derive(Clone)]
pub struct Module {
    loaded: Arc<Loaded>,
}

impl Module {
    pub(crate) fn new(loaded: Arc<Loaded>) -> Self {
        Module { loaded }
    }

    /// What the module is run as.
    pub fn workload(&self) -> Workload {
        self.loaded.artifact.meta.workload
    }

    /// What the module imports: `module.name` of a core module, the interface names of a component.
    pub fn imports(&self) -> &[String] {
        &self.loaded.artifact.meta.imports
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
    /// `None` if the module is too big for the pool's slots.
    pooled: Option<Prepared>,
    on_demand: OnceLock<Prepared>,
}

/// A module with its imports resolved, ready for quick instantiation.
pub(crate) enum Prepared {
    P1(wasmtime::InstancePre<P1State>),
    Command(CommandPre<ComponentState>),
    Http(ProxyPre<ComponentState>),
}

impl Loaded {
    fn new(digest: String, artifact: Artifact, backends: &Backends) -> wasmtime::Result<Self> {
        let pool = &backends.pooled;
        let pooled = artifact.map(&pool.wasm).and_then(|code| code.link(pool));
        let (pooled, unfit) = match pooled {
            Ok(prepared) => (Some(prepared), None),
            Err(reason) => (None, Some(reason)),
        };
        let loaded = Loaded {
            digest,
            artifact,
            pooled,
            on_demand: OnceLock::new(),
        };
        if let Some(reason) = unfit {
            tracing::debug!(digest = loaded.digest, %reason, "the module does not fit the pool");
            loaded.on_demand(&*backends.on_demand()?)?;
        }
        Ok(loaded)
    }

    pub(crate) fn pooled(&self) -> Option<&Prepared> {
        self.pooled.as_ref()
    }

    /// The module linked for on-demand allocation; maps its code a second time on first use.
    pub(crate) fn on_demand(&self, backend: &Backend) -> wasmtime::Result<&Prepared> {
        if let Some(prepared) = self.on_demand.get() {
            return Ok(prepared);
        }
        let prepared = self.artifact.map(&backend.wasm)?.link(backend)?;
        Ok(self.on_demand.get_or_init(|| prepared))
    }
}

/// Compiled code in memory, not linked yet.
pub(crate) enum Code {
    Module(wasmtime::Module),
    Component(wasmtime::component::Component, Workload),
}

impl Code {
    fn link(&self, backend: &Backend) -> wasmtime::Result<Prepared> {
        Ok(match self {
            Code::Module(module) => Prepared::P1(backend.p1.instantiate_pre(module)?),
            Code::Component(component, workload) => {
                let pre = backend.components.instantiate_pre(component)?;
                match workload {
                    Workload::Command => Prepared::Command(CommandPre::new(pre)?),
                    Workload::HttpHandler => Prepared::Http(ProxyPre::new(pre)?),
                }
            }
        })
    }
}
