//! Modules that are an attack themselves: on the parser, the compiler, the memory.

use crate::support::{Bench, module_file, soon};
use crate::village::{Repeated, Village};
use sampan_engine::{LoadError, ModuleSource};
use std::path::Path;

/// A core module whose functions take so many bytes in all.
fn code_module(bytes: usize) -> Vec<u8> {
    // i32.const 0, drop: three bytes.
    const PER_FUNCTION: usize = 1 << 20;
    let functions = bytes.div_ceil(PER_FUNCTION);
    let mut body = vec![0_u8]; // no locals
    body.extend([0x41, 0, 0x1a].repeat(PER_FUNCTION / 3));
    body.push(0x0b);
    let mut code = leb(functions);
    for _ in 0..functions {
        code.extend(leb(body.len()));
        code.extend(&body);
    }
    let mut types = leb(functions);
    types.extend(vec![0; functions]);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    section(&mut module, 3, &types);
    section(&mut module, 7, b"\x01\x06_start\x00\x00");
    section(&mut module, 10, &code);
    module
}

/// A core module with so many bytes of data for its memory, and next to no code.
fn data_module(bytes: usize) -> Vec<u8> {
    let mut data = vec![1, 0, 0x41, 0, 0x0b];
    data.extend(leb(bytes));
    data.resize(data.len() + bytes, 7);
    let mut memory = vec![1, 0];
    memory.extend(leb(bytes.div_ceil(65_536)));
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    section(&mut module, 3, &[1, 0]);
    section(&mut module, 5, &memory);
    section(&mut module, 7, b"\x01\x06_start\x00\x00");
    section(&mut module, 10, &[1, 2, 0, 0x0b]);
    section(&mut module, 11, &data);
    module
}

fn section(module: &mut Vec<u8>, id: u8, content: &[u8]) {
    module.push(id);
    module.extend(leb(content.len()));
    module.extend(content);
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
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
        config.compile_time_limit = std::time::Duration::from_secs(1);
    })
    .await;
    let source = module_file(village.bench.dir.path(), "slow", &code_module(12 << 20));
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
