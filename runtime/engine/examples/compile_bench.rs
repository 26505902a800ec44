//! Measures what compiling a large module does to the rest of the process, and how fast its code is found again:
//! `cargo run --release -p sampan-engine --example compile_bench [MEGABYTES]`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run by hand"
)]

mod allocator;

use sampan_engine::{Engine, EngineConfig, ModuleSource};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemArg, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};

/// Time between two looks at the event loop.
const PACE: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() {
    allocator::refuse_huge_pages();
    let megabytes = std::env::args()
        .nth(1)
        .map_or(10, |megabytes| megabytes.parse::<usize>().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let source = module(dir.path(), megabytes << 20);
    let engine = open(dir.path());

    let idle = Arc::new(AtomicBool::new(true));
    let stop = idle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.store(false, Ordering::Relaxed);
    });
    row("event loop, idle", latencies(idle).await);

    let before = peak_resident();
    let compiling = Arc::new(AtomicBool::new(true));
    let begun = Instant::now();
    let load = tokio::spawn({
        let (engine, source, compiling) = (engine.clone(), source.clone(), compiling.clone());
        async move {
            let loaded = engine.load(&source).await;
            compiling.store(false, Ordering::Relaxed);
            loaded.map(drop)
        }
    });
    row("event loop, compiling", latencies(compiling).await);
    load.await.unwrap().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    row(
        &format!("compile {megabytes} MB"),
        format!("{seconds:.1} s"),
    );
    let grown = peak_resident().saturating_sub(before) as f64;
    let each = grown / (megabytes << 20) as f64;
    row(
        "memory it took",
        format!("{:.0} MiB, {each:.1} bytes a byte", grown / 1_048_576.0),
    );
    drop(engine);

    found_again(dir.path(), &source, "start after a restart").await;
    for folder in std::fs::read_dir(dir.path().join("cache")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "seen")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    found_again(dir.path(), &source, "start after a boot").await;
}

fn open(dir: &Path) -> Engine {
    let mut config = EngineConfig::new(dir.join("cache"));
    config.max_compile_memory = 8 << 30;
    config.compile_time_limit = Duration::from_secs(3_600);
    Engine::new(config).unwrap()
}

async fn found_again(dir: &Path, source: &ModuleSource, what: &str) {
    let engine = open(dir);
    let begun = Instant::now();
    engine.load(source).await.unwrap();
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(engine.stats().compiled, 0);
    row(what, format!("{took:.2} ms to the module"));
}

/// How late a task runs that the event loop should run at once, seen again and again while the flag is up.
async fn latencies(going_on: Arc<AtomicBool>) -> String {
    let mut times = Vec::new();
    while going_on.load(Ordering::Relaxed) {
        let due = Instant::now() + PACE;
        tokio::time::sleep_until(due.into()).await;
        tokio::spawn(async {}).await.unwrap();
        times.push(due.elapsed());
    }
    times.sort();
    let at = |part: f64| {
        let index = ((times.len() - 1) as f64 * part) as usize;
        times[index].as_secs_f64() * 1e3
    };
    format!(
        "late by p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, at most {:.2} ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// A core module of so many bytes of functions that compute something.
fn module(dir: &Path, bytes: usize) -> ModuleSource {
    const STEPS: i32 = 150;
    let address = MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([], []);
    let mut body = Function::new([]);
    for n in 0..STEPS {
        let mut step = body.instructions();
        step.local_get(0).i32_const(n % 63).i32_mul();
        step.local_get(0).i32_load(address).i32_xor().local_set(0);
    }
    body.instructions().local_get(0).end();
    let mut start = Function::new([]);
    start.instructions().end();
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    functions.function(1);
    code.function(&start);
    for _ in 0..bytes / body.byte_len() {
        functions.function(0);
        code.function(&body);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    let module = module.finish();
    let path = dir.join("large.wasm");
    std::fs::write(&path, &module).unwrap();
    ModuleSource {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(&module))),
        path,
    }
}

fn peak_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

fn row(what: &str, value: String) {
    println!("{what:28} {value}");
}
