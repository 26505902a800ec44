//! Modules that are an attack themselves: on the parser, the compiler, the memory.

use crate::support::{Bench, module_file, soon};
use crate::village::{Repeated, Village};
use sampan_engine::{LoadError, ModuleSource};
use std::path::Path;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    MemorySection, MemoryType, Module, TypeSection,
};

/// A core module whose functions take so many bytes in all.
fn code_module(bytes: usize) -> Vec<u8> {
    const PER_FUNCTION: usize = 1 << 20;
    let mut body = Function::new([]);
    while body.byte_len() < PER_FUNCTION {
        body.instructions().i32_const(0).drop();
    }
    body.instructions().end();
    program(None, None, &body, bytes.div_ceil(PER_FUNCTION))
}

/// A core module with so many bytes of data for its memory, and next to no code.
fn data_module(bytes: usize) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: bytes.div_ceil(65_536) as u64,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), vec![7; bytes]);
    let mut body = Function::new([]);
    body.instructions().end();
    program(Some(&memories), Some(&data), &body, 1)
}

/// A program of that function so many times, the first of which is run.
fn program(
    memories: Option<&MemorySection>,
    data: Option<&DataSection>,
    body: &Function,
    times: usize,
) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..times {
        functions.function(0);
        code.function(body);
    }
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions);
    if let Some(memories) = memories {
        module.section(memories);
    }
    module.section(&exports).section(&code);
    if let Some(data) = data {
        module.section(data);
    }
    module.finish()
}

/// Loads a file again and again, and looks at how that ends.
async fn refused(
    village: &Village,
    name: &str,
    file: impl Fn(&Path) -> ModuleSource,
    ended: impl Fn(LoadError) + Clone + Send + Sync + 'static,
) {
    let source = file(village.bench.dir.path());
    let attack = village.under(name, async |_: &Bench| {
        let bench = village.bench.clone();
        Repeated::start(2, move || {
            let (bench, source, ended) = (bench.clone(), source.clone(), ended.clone());
            async move {
                let loaded = bench.engine.load(&source).await;
                ended(loaded.expect_err("it is refused"));
            }
        })
    });
    attack.await.stop().await;
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_ten_thousand_imports() {
    let village = Village::new().await;
    let imports: String = (0..10_000)
        .map(|number| format!("(import \"acme:flood/i{number}@1.0.0\" (instance))"))
        .collect();
    let text = format!("(component {imports})");
    let bytes = wat::parse_str(text).unwrap();
    let file = |dir: &Path| module_file(dir, "imports", &bytes);
    refused(&village, "10,000 imports", file, |error| {
        let message = error.to_string();
        assert!(
            matches!(error, LoadError::UnsupportedImport { .. }),
            "{message}"
        );
        assert!(message.contains("acme:flood/i0@1.0.0"), "{message}");
        assert!(message.len() < 4_096, "{} bytes", message.len());
    })
    .await;
    // A core module may say the same thing ten thousand times.
    let import = r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#;
    let text = format!(
        r#"(module {} (func (export "_start")))"#,
        import.repeat(10_000)
    );
    let source = module_file(
        village.bench.dir.path(),
        "same",
        &wat::parse_str(text).unwrap(),
    );
    let module = soon(village.bench.engine.load(&source)).await.unwrap();
    assert_eq!(module.imports(), ["wasi_snapshot_preview1.sched_yield"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_of_code() {
    let village = Village::with(|config| config.max_compile_memory = 512 << 20).await;
    let file = |dir: &Path| module_file(dir, "code", &code_module(100_000_000));
    refused(&village, "100 MB of code", file, |error| {
        assert!(matches!(error, LoadError::CompileMemory { .. }), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_megabytes_than_a_module_may_have() {
    let village = Village::new().await;
    let file = |dir: &Path| module_file(dir, "data", &data_module(140_000_000));
    refused(&village, "140 MB module", file, |error| {
        assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compilation_that_takes_long() {
    let village = Village::new().await;
    let source = module_file(village.bench.dir.path(), "slow", &code_module(6 << 20));
    let digest = source.digest.clone();
    let loading = village.under("compiling 6 MB", async |bench: &Bench| {
        let engine = bench.engine.clone();
        let loading = tokio::spawn(async move { engine.load(&source).await });
        let progress = || bench.engine.compiling(&digest);
        crate::support::until(|| progress().is_some()).await;
        (loading, progress())
    });
    let (loading, _progress) = loading.await;
    let module = tokio::time::timeout(std::time::Duration::from_secs(300), loading);
    module
        .await
        .unwrap()
        .unwrap()
        .expect("it compiles in the end");
    assert_eq!(village.bench.engine.compiling(&digest), None);
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compilation_that_takes_too_long_is_told_and_kept() {
    let village = Village::with(|config| {
        config.compile_time_limit = std::time::Duration::from_millis(500);
    })
    .await;
    let source = module_file(village.bench.dir.path(), "slow", &code_module(32 << 20));
    let engine = &village.bench.engine;
    let before = engine.stats().compiled;
    let error = soon(engine.load(&source)).await.unwrap_err();
    assert!(matches!(error, LoadError::CompileTime { .. }), "{error}");
    // Refused at once while it still runs; what it made is kept.
    let begun = std::time::Instant::now();
    while engine.load(&source).await.is_err() {
        assert!(begun.elapsed().as_secs() < 300, "it ends in the end");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(engine.stats().compiled, before + 1);
    village.recovers().await;
}
