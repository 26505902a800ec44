//! What an engine may use of its host: sizes, counts and folders. It reads no file and no environment.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest a guest runs without a pause. Also how long a kill of a busy guest may take.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Longest a busy guest runs before it gives way to others that are as busy.
pub(crate) const TIME_SLICE: Duration = Duration::from_millis(5);

/// Kernel mappings left to the process beside its instances (code, heaps, threads, files).
pub(crate) const RESERVED_MAPPINGS: u64 = 8_192;

/// Mappings one instance costs at most: linear memory with its image and guard, a stack with its guard. One with more
/// memories counts as more instances.
pub(crate) const MAPPINGS_PER_INSTANCE: u64 = 6;

/// Memories there may be at once. Each takes 4 GiB of addresses and its guards, of which a process has 128 TiB.
pub(crate) const MOST_MEMORIES: u64 = 24_576;

/// Tables that go with a memory. Large ones are mappings as well.
pub(crate) const TABLES_PER_MEMORY: u32 = 4;

/// Limits and folders of an [`crate::Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Folder for compiled code and for the private folders of single-file mounts. Created with mode 0700.
    pub cache_dir: PathBuf,
    /// Bytes of compiled code kept in `cache_dir`; the least recently used goes first.
    pub max_cache_bytes: u64,
    /// Instances kept in the pool. Those beyond it are allocated on demand: slower to start, otherwise the same.
    pub pool_instances: u32,
    /// Instances alive at once, in the pool and beyond it. Lowered to what `vm.max_map_count` allows. An instance of
    /// several memories counts as one for each.
    pub max_instances: u32,
    /// Memory of a container that names no limit, in bytes.
    pub default_memory_limit: u64,
    /// Elements of one table.
    pub max_table_elements: usize,
    /// Core instances, memories and tables one component may hold (each).
    pub max_core_instances: usize,
    /// Size of a module file, in bytes.
    pub max_module_bytes: u64,
    /// Stack of a guest, in bytes.
    pub max_stack_bytes: usize,
    /// Modules compiled at once, beside one that is small. Each compilation uses one thread.
    pub compile_parallelism: usize,
    /// Memory that compilations may take together, in bytes, by an estimate from the size of the module's code. What
    /// would take more alone is refused.
    pub max_compile_memory: u64,
    /// Time for one compilation, and for reading the file before; then the load fails.
    pub compile_time_limit: Duration,
    /// Guests on a processor at once that go on, and a third of those that have just begun to run. There are two
    /// threads more, for sockets and timers and for one that is overdue.
    pub worker_threads: usize,
    /// Threads for guests' file operations and for loading compiled code.
    pub max_blocking_threads: usize,
    /// How much the kernel favours other threads of the process over guests (0 = not at all, 19 = most). Guests that go
    /// on for more than a millisecond are favoured less still.
    pub guest_nice: i32,
    /// The block of pods' addresses, as in `127.64.0.0/18`: an address and the length of its prefix. Where pods have
    /// addresses of the loopback range, guests reach these of it and no other; with `None` none at all. The second
    /// address of the block must be no pod's: guests see the host's processes there.
    pub pod_addresses: Option<(Ipv4Addr, u8)>,
}

/// Half of the machine's memory, within reason.
fn compile_memory() -> u64 {
    let system = rustix::system::sysinfo();
    let memory = u64::from(system.mem_unit).saturating_mul(system.totalram as u64);
    (memory / 2).clamp(256 << 20, 2 << 30)
}

impl EngineConfig {
    /// Defaults that suit a node of any size.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        EngineConfig {
            cache_dir: cache_dir.into(),
            max_cache_bytes: 4 << 30,
            pool_instances: 1_000,
            max_instances: 20_000,
            default_memory_limit: 512 << 20,
            max_table_elements: 100_000,
            max_core_instances: 128,
            max_module_bytes: 128 << 20,
            max_stack_bytes: 1 << 20,
            compile_parallelism: cores,
            max_compile_memory: compile_memory(),
            compile_time_limit: Duration::from_secs(300),
            worker_threads: cores,
            max_blocking_threads: 64,
            guest_nice: 4,
            pod_addresses: None,
        }
    }
}
