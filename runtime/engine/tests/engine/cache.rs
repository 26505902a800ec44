//! Loading: the cache on disk, shared loads, and files that are no usable modules.

use crate::support::{Bench, config, guest_file, module_file};
use sampan_engine::{Engine, LoadError};
use std::fs;
use std::path::{Path, PathBuf};

/// The file of compiled code below a cache folder.
fn compiled(dir: &Path) -> PathBuf {
    let found = fs::read_dir(dir.join("cache")).unwrap().flat_map(|folder| {
        fs::read_dir(folder.unwrap().path())
            .unwrap()
            .map(|file| file.unwrap().path())
    });
    found
        .into_iter()
        .filter(|path| path.parent().unwrap() == compiled_folder(dir))
        .find(|path| path.extension().is_some_and(|e| e == "code"))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_finds_what_the_first_compiled() {
    let dir = tempfile::tempdir().unwrap();
    for guest in ["hello", "p2-command", "http-handler"] {
        let source = guest_file(dir.path(), guest);
        let first = Engine::new(config(dir.path())).unwrap();
        let imports = first.load(&source).await.unwrap().imports().to_vec();
        assert_eq!((first.stats().compiled, first.stats().cache_hits), (1, 0));
        drop(first);
        let second = Engine::new(config(dir.path())).unwrap();
        let module = second.load(&source).await.unwrap();
        assert_eq!((second.stats().compiled, second.stats().cache_hits), (0, 1));
        assert_eq!(module.imports(), imports);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_code_is_compiled_again() {
    let damages: [fn(&Path); 5] = [
        |code| fs::write(code, b"").unwrap(),
        |code| {
            let mut bytes = fs::read(code).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(code, bytes).unwrap();
        },
        |code| fs::remove_file(code).unwrap(),
        |code| fs::write(code.with_extension("json"), b"{}").unwrap(),
        |code| {
            let mut bytes = fs::read(code).unwrap();
            bytes.truncate(bytes.len() - 1);
            fs::write(code, bytes).unwrap();
        },
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        let source = guest_file(dir.path(), "hello");
        Engine::new(config(dir.path()))
            .unwrap()
            .load(&source)
            .await
            .unwrap();
        damage(&compiled(dir.path()));
        let engine = Engine::new(config(dir.path())).unwrap();
        engine.load(&source).await.unwrap();
        assert_eq!((engine.stats().compiled, engine.stats().cache_hits), (1, 0));
    }
}

/// Makes a file as old as that.
fn age(path: &Path, days: u64) {
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(days * 24 * 3_600);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_hashed_once_as_long_as_it_is_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = guest_file(dir.path(), "hello");
    let load = async || {
        let engine = Engine::new(config(dir.path())).unwrap();
        engine.load(&source).await.unwrap();
        engine.stats().cache_hits
    };
    load().await;
    let code = compiled(dir.path());
    let seen = fs::read(code.with_extension("seen")).unwrap();
    assert_eq!(load().await, 1);
    assert_eq!(fs::read(code.with_extension("seen")).unwrap(), seen);
    // The same bytes in another file are looked at again; so is everything after a boot of the machine.
    fs::copy(&code, code.with_extension("copy")).unwrap();
    fs::rename(code.with_extension("copy"), &code).unwrap();
    assert_eq!(load().await, 1);
    let again = fs::read(code.with_extension("seen")).unwrap();
    assert_ne!(again, seen);
    fs::write(
        code.with_extension("seen"),
        String::from_utf8_lossy(&again).replace("boot\":\"", "boot\":\"not "),
    )
    .unwrap();
    assert_eq!(load().await, 1);
    assert_eq!(fs::read(code.with_extension("seen")).unwrap(), again);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let source = guest_file(dir.path(), "hello");
    Engine::new(config(dir.path()))
        .unwrap()
        .load(&source)
        .await
        .unwrap();
    let own = compiled_folder(dir.path());
    let root = own.parent().unwrap().to_owned();
    let other = |digit: &str, days| {
        let folder = root.join(digit.repeat(32));
        fs::create_dir(&folder).unwrap();
        for extension in ["code", "json"] {
            let file = folder.join("0").with_extension(extension);
            fs::write(&file, [0; 1_000]).unwrap();
            age(&file, days);
        }
        folder
    };
    let (old, recent) = (other("0", 40), other("1", 20));
    let orphans: Vec<_> = ["1-1.new", "a.code", "b.json", "c.seen"]
        .map(|name| own.join(name))
        .into();
    for orphan in &orphans {
        fs::write(orphan, b"").unwrap();
        age(orphan, 1);
    }
    let young = own.join("2-2.new");
    fs::write(&young, b"").unwrap();
    let engine = Engine::new(config(dir.path())).unwrap();
    assert!(!old.exists(), "unused for more than a month");
    assert!(recent.exists() && young.exists());
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
    engine.load(&source).await.unwrap();
    assert_eq!(engine.stats().cache_hits, 1);
    drop(engine);
    let mut tight = config(dir.path());
    tight.max_cache_bytes = fs::metadata(compiled(dir.path())).unwrap().len() + 500;
    let engine = Engine::new(tight).unwrap();
    assert!(!recent.exists(), "there is no room for it");
    engine.load(&source).await.unwrap();
    assert_eq!(engine.stats().cache_hits, 1, "its own stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn compilation_is_bounded_in_memory_and_shows() {
    let bench = Bench::with(|config| config.max_compile_memory = 1);
    let source = guest_file(bench.dir.path(), "hello");
    let error = bench.engine.load(&source).await.unwrap_err();
    assert!(matches!(error, LoadError::CompileMemory { .. }), "{error}");
    assert_eq!(bench.engine.compiling(&source.digest), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_others_could_have_written_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let source = guest_file(dir.path(), "hello");
    Engine::new(config(dir.path()))
        .unwrap()
        .load(&source)
        .await
        .unwrap();
    let code = compiled(dir.path());
    assert_eq!(
        code.parent()
            .unwrap()
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    fs::set_permissions(&code, fs::Permissions::from_mode(0o666)).unwrap();
    let engine = Engine::new(config(dir.path())).unwrap();
    engine.load(&source).await.unwrap();
    assert_eq!(engine.stats().compiled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_loads_share_one_compilation() {
    let bench = Bench::new();
    let source = guest_file(bench.dir.path(), "http-handler");
    let loads = (0..20).map(|_| bench.engine.load(&source));
    let modules: Vec<_> = futures::future::join_all(loads).await;
    assert!(modules.iter().all(Result::is_ok));
    let stats = bench.engine.stats();
    assert_eq!((stats.compiled, stats.cache_hits, stats.modules), (1, 0, 1));
    drop(modules);
    assert_eq!(
        bench.engine.stats().modules,
        0,
        "unused modules are dropped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn evicted_code_is_gone_from_disk_and_modules_keep_running() {
    let bench = Bench::new();
    let module = bench.load("hello").await;
    bench.engine.evict(module.digest()).await;
    let folder = compiled_folder(bench.dir.path());
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    let (exit, ..) = bench.run("hello", &[]).await;
    assert_eq!(exit.code(), 0);
}

fn compiled_folder(dir: &Path) -> PathBuf {
    let mut folders = fs::read_dir(dir.join("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    folders
        .find(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name != "mounts" && !name.starts_with("0000") && !name.starts_with("1111")
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_size() {
    let bench = Bench::with(|config| config.max_cache_bytes = 1);
    for guest in ["hello", "trap", "spin"] {
        bench.load(guest).await;
    }
    let folder = compiled_folder(bench.dir.path());
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        3,
        "one module: its code, its record and when that was seen"
    );
    let wide = Bench::new();
    let mut codes = 0;
    for guest in ["hello", "trap"] {
        wide.load(guest).await;
    }
    for entry in fs::read_dir(compiled_folder(wide.dir.path())).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "code" {
            codes += path.metadata().unwrap().len();
        }
    }
    let tight = Bench::with(|config| config.max_cache_bytes = codes);
    for guest in ["hello", "trap"] {
        tight.load(guest).await;
    }
    let folder = compiled_folder(tight.dir.path());
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        3,
        "there is room for two codes, not for their records"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_modules_say_why() {
    let bench = Bench::with(|config| config.max_module_bytes = 1_000);
    let dir = bench.dir.path();
    let load = async |name: &str, bytes: &[u8]| {
        bench
            .engine
            .load(&module_file(dir, name, bytes))
            .await
            .unwrap_err()
    };
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    assert!(matches!(
        load("script", b"#!/bin/sh").await,
        LoadError::NotWasm { .. }
    ));
    assert!(matches!(
        load("empty", b"").await,
        LoadError::NotWasm { .. }
    ));
    let whole = text(r#"(module (func (export "_start")))"#);
    assert!(matches!(
        load("cut", &whole[..whole.len() - 2]).await,
        LoadError::NotWasm { .. }
    ));
    let large = load("large", &[0; 2_000]).await;
    assert!(
        matches!(
            large,
            LoadError::TooLarge {
                size: 2_000,
                limit: 1_000
            }
        ),
        "{large}"
    );
    let import = text(r#"(module (import "env" "f" (func)) (func (export "_start")))"#);
    let import = load("import", &import).await;
    let LoadError::UnsupportedImport { names } = import else {
        panic!("{import}")
    };
    assert_eq!(names, ["env.f"]);
    let nothing = load("nothing", &text(r#"(module (memory (export "m") 1))"#)).await;
    assert!(
        matches!(nothing, LoadError::NoEntryPoint { .. }),
        "{nothing}"
    );
    // Well-formed, but adds a number to nothing.
    let invalid = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x05\x01\x03\0\x6a\x0b";
    let invalid = load("invalid", invalid).await;
    assert!(matches!(invalid, LoadError::Compile { .. }), "{invalid}");
    assert_eq!(bench.engine.stats().compiled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_of_import_or_entry_is_an_error() {
    let bench = Bench::new();
    let import =
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start")))"#;
    let source = module_file(bench.dir.path(), "import", &wat::parse_str(import).unwrap());
    let error = bench.engine.load(&source).await.unwrap_err();
    assert!(matches!(error, LoadError::Compile { .. }), "{error}");
    assert!(error.to_string().contains("fd_write"), "{error}");
    let start = r#"(module (func (export "_start") (param i32)))"#;
    let source = module_file(bench.dir.path(), "start", &wat::parse_str(start).unwrap());
    let module = bench.engine.load(&source).await.unwrap();
    let sink = crate::support::Collected::new();
    let spec = sampan_engine::ContainerSpec::new("start", sink.clone(), sink.clone());
    let container = bench.engine.start(&module, spec).await.unwrap();
    let exit = container.wait().await;
    assert!(
        matches!(exit, sampan_engine::Exit::Failed { .. }),
        "{exit:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_must_be_the_files() {
    let bench = Bench::new();
    let mut source = guest_file(bench.dir.path(), "hello");
    let digest = source.digest.clone();
    source.digest = format!("sha256:{}", "0".repeat(64));
    let error = bench.engine.load(&source).await.unwrap_err();
    let LoadError::Digest { actual, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(actual, digest);
    for digest in ["", "sha256:../../etc/passwd", "md5:00"] {
        source.digest = digest.to_owned();
        assert!(matches!(
            bench.engine.load(&source).await,
            Err(LoadError::Digest { .. })
        ));
    }
    source.digest = digest;
    source.path = "/nonexistent".into();
    assert!(matches!(
        bench.engine.load(&source).await,
        Err(LoadError::Io { .. })
    ));
}
