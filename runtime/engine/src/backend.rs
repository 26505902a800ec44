//! wasmtime as we configure it: a pooling engine, an on-demand engine behind it, and the host functions of each.
//!
//! Both engines compile alike, so one compiled file serves both; they differ in where instances get memory and stacks.
//! There are two such pairs, since what WASI 0.3 needs (tasks, streams and futures) makes each call of a host function
//! and of an export dearer: modules of WASI p1 and 0.2 run without it.

use crate::EngineConfig;
use crate::files;
use crate::host;
use crate::http;
use crate::signals;
use crate::sleep;
use crate::sockets;
use crate::state::{ComponentState, P1State};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Memories and tables of one core module, and memories of one component, that the pool has room for; others run on
/// demand, and do not take what is many instances' room.
const MAX_PER_MODULE: u32 = 4;

/// Heaps for garbage-collected languages in the pool; further ones run on demand.
const POOLED_GC_HEAPS: u32 = 64;

/// Bytes of a used stack that are cleared by hand; the rest is given back to the kernel.
const STACK_KEPT: usize = 16 << 10;

/// Bytes of a used memory and table that are cleared by hand; the rest is given back to the kernel.
const MEMORY_KEPT: usize = 64 << 10;

/// Room on a stack for host calls, beside what the guest may use.
const HOST_STACK: usize = 1 << 20;

/// One wasmtime engine with its linkers.
pub(crate) struct Backend {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) p1: wasmtime::Linker<P1State>,
    pub(crate) components: wasmtime::component::Linker<ComponentState>,
}

impl Backend {
    /// An engine that takes instances from a pool made now.
    fn pooled(config: &EngineConfig, concurrent: bool) -> wasmtime::Result<Self> {
        let strategy = pool(config);
        Self::new(
            base(config, concurrent).allocation_strategy(strategy),
            concurrent,
        )
    }

    /// An engine that allocates each instance when it starts.
    fn on_demand(config: &EngineConfig, concurrent: bool) -> wasmtime::Result<Self> {
        let strategy = InstanceAllocationStrategy::OnDemand;
        Self::new(
            base(config, concurrent).allocation_strategy(strategy),
            concurrent,
        )
    }

    fn new(config: &Config, concurrent: bool) -> wasmtime::Result<Self> {
        let wasm = wasmtime::Engine::new(config)?;
        let mut p1 = wasmtime::Linker::new(&wasm);
        wasmtime_wasi::p1::add_to_linker_async(&mut p1, |state: &mut P1State| &mut state.wasi)?;
        p1.allow_shadowing(true);
        files::p1::guard(&mut p1)?;
        sleep::guard(&mut p1)?;
        p1.func_wrap("wasi_snapshot_preview1", "proc_exit", proc_exit)?;
        signals::link_functions(&mut p1)?;
        let mut components = wasmtime::component::Linker::new(&wasm);
        wasmtime_wasi::p2::add_to_linker_async(&mut components)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut components)?;
        components.allow_shadowing(true);
        files::p2::guard(&mut components)?;
        sockets::p2::guard(&mut components)?;
        http::measured::guard_p2(&mut components)?;
        signals::link_interface(&mut components)?;
        if concurrent {
            wasmtime_wasi::p3::add_to_linker(&mut components)?;
            wasmtime_wasi_http::p3::add_to_linker(&mut components)?;
            files::p3::guard(&mut components)?;
            sockets::p3::guard(&mut components)?;
            http::measured::guard_p3(&mut components)?;
            signals::link_interface_p3(&mut components)?;
        }
        host::add_to_linker(&mut components)?;
        Ok(Backend {
            wasm,
            p1,
            components,
        })
    }

    /// A name for everything compiled code depends on: wasmtime's version, its settings, the processor.
    fn compatibility(&self) -> String {
        let mut hasher = StableHasher(Sha256::new());
        self.wasm.precompile_compatibility_hash().hash(&mut hasher);
        hex::encode(&hasher.0.finalize()[..16])
    }
}

/// The two backends of modules of one sort. The second is made when it is first needed.
pub(crate) struct Pair {
    pub(crate) pooled: Backend,
    on_demand: OnceLock<Arc<Backend>>,
    config: Arc<EngineConfig>,
    concurrent: bool,
}

impl Pair {
    fn new(config: Arc<EngineConfig>, concurrent: bool) -> wasmtime::Result<Self> {
        let pooled = match Backend::pooled(&config, concurrent) {
            Ok(backend) => backend,
            Err(error) => {
                tracing::warn!(%error, "no room for a pool of instances; allocating them on demand");
                Backend::on_demand(&config, concurrent)?
            }
        };
        Ok(Pair {
            pooled,
            on_demand: OnceLock::new(),
            config,
            concurrent,
        })
    }

    pub(crate) fn on_demand(&self) -> wasmtime::Result<Arc<Backend>> {
        if let Some(backend) = self.on_demand.get() {
            return Ok(backend.clone());
        }
        let backend = Arc::new(Backend::on_demand(&self.config, self.concurrent)?);
        Ok(self.on_demand.get_or_init(|| backend).clone())
    }

    fn tick(&self) {
        self.pooled.wasm.increment_epoch();
        if let Some(backend) = self.on_demand.get() {
            backend.wasm.increment_epoch();
        }
    }
}

/// The engine's backends: of modules that do one thing at a time, and, once there is such a module, of others.
pub(crate) struct Backends {
    plain: Pair,
    concurrent: OnceLock<Pair>,
}

impl Backends {
    pub(crate) fn new(config: Arc<EngineConfig>) -> wasmtime::Result<Self> {
        Ok(Backends {
            plain: Pair::new(config, false)?,
            concurrent: OnceLock::new(),
        })
    }

    /// Those for a module, by whether it needs what WASI 0.3 is made of.
    pub(crate) fn of(&self, concurrent: bool) -> wasmtime::Result<&Pair> {
        if !concurrent {
            return Ok(&self.plain);
        }
        if let Some(pair) = self.concurrent.get() {
            return Ok(pair);
        }
        let pair = Pair::new(self.plain.config.clone(), true)?;
        Ok(self.concurrent.get_or_init(|| pair))
    }

    /// A name for everything compiled code depends on, beside which of the pairs it is for.
    pub(crate) fn compatibility(&self) -> String {
        self.plain.pooled.compatibility()
    }

    /// Lets every guest that has run since the last tick give way.
    pub(crate) fn tick(&self) {
        self.plain.tick();
        if let Some(pair) = self.concurrent.get() {
            pair.tick();
        }
    }
}

/// wasmtime's own traps on codes from 126 up; containers use them.
fn proc_exit(code: i32) -> wasmtime::Result<()> {
    Err(wasmtime_wasi::I32Exit(code).into())
}

fn base(config: &EngineConfig, concurrent: bool) -> Config {
    let mut base = Config::new();
    base.epoch_interruption(true)
        .max_wasm_stack(config.max_stack_bytes)
        .async_stack_size(config.max_stack_bytes + HOST_STACK)
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .memory_may_move(false)
        .gc_heap_may_move(false)
        // One thread per compilation: how many run is ours to say (`compile_parallelism`).
        .parallel_compilation(false)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        // Tasks, streams and futures of WASI 0.3.
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent);
    base
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let count = config.pool_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(4))
        .total_memories(count)
        .total_tables(count.saturating_mul(4))
        .total_stacks(count)
        .total_gc_heaps(count.min(POOLED_GC_HEAPS))
        .max_memories_per_module(MAX_PER_MODULE)
        .max_memories_per_component(MAX_PER_MODULE)
        .max_tables_per_module(MAX_PER_MODULE)
        .table_elements(config.max_table_elements)
        .async_stack_keep_resident(STACK_KEPT)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(MEMORY_KEPT);
    pool
}

/// A hasher whose result does not change with the version of the standard library.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(
            digest[..8]
                .try_into()
                .expect("a SHA-256 digest has 32 bytes"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::P1_FUNCTIONS;

    fn config() -> EngineConfig {
        let mut config = EngineConfig::new("unused");
        config.pool_instances = 1;
        config
    }

    #[test]
    fn one_compiled_file_serves_both_backends() {
        for concurrent in [false, true] {
            let pooled =
                Backend::pooled(&config(), concurrent).expect("a small pool fits anywhere");
            let on_demand = Backend::on_demand(&config(), concurrent).expect("needs no room");
            assert_eq!(pooled.compatibility(), on_demand.compatibility());
        }
    }

    #[test]
    fn what_is_offered_is_linked() {
        let backend = Backend::on_demand(&config(), false).expect("needs no room");
        for function in P1_FUNCTIONS {
            // A wrong type is told apart from a missing function by the linker's words.
            let text = format!(
                r#"(module (import "wasi_snapshot_preview1" "{function}" (func (param f64 f64))))"#
            );
            let module = wasmtime::Module::new(&backend.wasm, text).expect("the text is valid");
            let error = backend
                .p1
                .instantiate_pre(&module)
                .err()
                .expect("the type is wrong");
            assert!(
                format!("{error:#}").contains("incompatible import type"),
                "{function}: {error:#}"
            );
        }
    }
}
