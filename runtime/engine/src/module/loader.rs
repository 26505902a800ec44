//! From a file to a [`Module`]: at most one load per digest at a time, shared by all who ask.

use super::cache::{Artifact, Cache};
use super::compile::{Compiler, Compiling, Size, panicked};
use super::inspect::{Inspected, inspect};
use super::{LoadError, Loaded, Module, ModuleSource};
use crate::backend::Backends;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;

type Load = Shared<BoxFuture<'static, Result<Arc<Loaded>, LoadError>>>;

/// Loads modules and remembers those in use.
pub(crate) struct Loader {
    known: Arc<Known>,
    work: Arc<Work>,
}

/// Modules in memory, and loads under way.
#[derive(Default)]
struct Known {
    modules: Mutex<HashMap<String, Weak<Loaded>>>,
    loading: Mutex<HashMap<String, Load>>,
}

/// What one load needs; shared with the threads that do it.
struct Work {
    cache: Cache,
    backends: Arc<Backends>,
    compiler: Compiler,
    max_module_bytes: u64,
    compiled: AtomicU64,
    mapped: AtomicU64,
}

impl Loader {
    /// Opens the cache of these backends.
    pub(crate) fn open(backends: Arc<Backends>, config: &crate::EngineConfig) -> io::Result<Self> {
        let compatibility = backends.compatibility();
        let cache = Cache::open(&config.cache_dir, &compatibility, config.max_cache_bytes)?;
        Ok(Loader {
            known: Arc::default(),
            work: Arc::new(Work {
                cache,
                backends,
                compiler: Compiler::new(config),
                max_module_bytes: config.max_module_bytes,
                compiled: AtomicU64::new(0),
                mapped: AtomicU64::new(0),
            }),
        })
    }

    /// The module of a source, from memory, from the cache, or compiled.
    pub(crate) async fn load(
        &self,
        source: &ModuleSource,
        threads: &Handle,
    ) -> Result<Module, LoadError> {
        check_digest(&source.digest)?;
        let known = self.known.modules.lock().get(&source.digest).cloned();
        if let Some(loaded) = known.as_ref().and_then(Weak::upgrade) {
            return Ok(Module::new(loaded));
        }
        self.join(source, threads).await.map(Module::new)
    }

    /// The load of a digest that is under way, or a new one. It is a task of its own: whoever asked for it may go away,
    /// and what it holds is given back by its end.
    fn join(&self, source: &ModuleSource, threads: &Handle) -> Load {
        let mut loading = self.known.loading.lock();
        if let Some(load) = loading.get(&source.digest) {
            return load.clone();
        }
        let digest = source.digest.clone();
        let load = self.work.clone().load(source.clone(), threads.clone());
        let (known, ended) = (self.known.clone(), digest.clone());
        // Not where the caller is: that may be shut down while others wait for this.
        let load = threads.spawn(async move {
            let result = AssertUnwindSafe(load).catch_unwind().await;
            let result = result.unwrap_or_else(|_panic| Err(panicked()));
            known.ended(&ended, &result);
            result
        });
        let load = load
            .map(|result| result.unwrap_or(Err(LoadError::ShuttingDown)))
            .boxed()
            .shared();
        loading.insert(digest, load.clone());
        load
    }

    /// Forgets the compiled code of a digest. Modules in use stay usable.
    pub(crate) fn evict(&self, digest: &str) {
        if check_digest(digest).is_ok() {
            self.work.cache.remove(digest);
        }
    }

    /// The compilation of a digest, if it is under way.
    pub(crate) fn compiling(&self, digest: &str) -> Option<Compiling> {
        self.work.compiler.progress(digest)
    }

    /// Whether a module waits for others to be compiled.
    pub(crate) fn waits_to_compile(&self, digest: &str) -> bool {
        self.work.compiler.waits(digest)
    }

    /// How many modules were compiled, and how many came from the cache on disk.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.work.compiled.load(Ordering::Relaxed),
            self.work.mapped.load(Ordering::Relaxed),
        )
    }

    /// Modules in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.known
            .modules
            .lock()
            .values()
            .filter(|module| module.strong_count() > 0)
            .count()
    }
}

impl Known {
    fn ended(&self, digest: &str, result: &Result<Arc<Loaded>, LoadError>) {
        if let Ok(loaded) = result {
            let mut modules = self.modules.lock();
            modules.retain(|_, module| module.strong_count() > 0);
            modules.insert(digest.to_owned(), Arc::downgrade(loaded));
        }
        self.loading.lock().remove(digest);
    }
}

impl Work {
    async fn load(
        self: Arc<Self>,
        source: ModuleSource,
        threads: Handle,
    ) -> Result<Arc<Loaded>, LoadError> {
        let cached = {
            let (work, digest) = (self.clone(), source.digest.clone());
            move || work.load_cached(&digest)
        };
        if let Some(loaded) = blocking(&threads, cached.clone()).await? {
            return Ok(loaded);
        }
        let path = source.path.clone();
        // What cannot be looked at is told when it is read.
        let look = move || Ok(std::fs::metadata(path).map_or(u64::MAX, |file| file.len()));
        let length = self.compiler.read(&source, look).await?;
        let place = self.compiler.place(&source.digest, length).await?;
        let (work, file) = (self.clone(), source.clone());
        let read = self.compiler.read(&source, move || {
            // An overdue compilation may have ended while this one waited for its place.
            if let Some(loaded) = cached() {
                return Ok(Err(loaded));
            }
            let bytes = work.read(&file)?;
            let (inspected, size) = (inspect(&bytes)?, Size::of(&bytes));
            Ok(Ok((place, inspected, size, bytes::Bytes::from(bytes))))
        });
        let (place, inspected, size, bytes) = match read.await? {
            Ok(module) => module,
            Err(loaded) => return Ok(loaded),
        };
        let work = self.clone();
        let compile = move || work.compile(&source.digest, inspected, bytes);
        self.compiler.run(place, size, compile).await
    }

    fn load_cached(&self, digest: &str) -> Option<Arc<Loaded>> {
        let artifact = match self.cache.find(digest) {
            Ok(artifact) => artifact,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, digest, "compiled code is not usable; compiling again");
                // What the system has no means to read now may be as it was.
                if error.raw_os_error().is_none() {
                    self.cache.remove(digest);
                }
                return None;
            }
        };
        match self.link(digest, artifact) {
            Ok(loaded) => {
                self.mapped.fetch_add(1, Ordering::Relaxed);
                Some(loaded)
            }
            // Its content is what was written: where there is no room for it now, there may be later.
            Err(error) => {
                tracing::warn!(%error, digest, "compiled code does not load; compiling again");
                None
            }
        }
    }

    fn compile(
        &self,
        digest: &str,
        inspected: Inspected,
        bytes: bytes::Bytes,
    ) -> Result<Arc<Loaded>, LoadError> {
        let backends = self.backends.of(inspected.concurrent);
        let engine = &backends.map_err(|error| compile_error(&error))?.pooled.wasm;
        let code = match inspected.component {
            true => engine.precompile_component(&bytes),
            false => engine.precompile_module(&bytes),
        };
        let code = code.map_err(|error| compile_error(&error))?;
        drop(bytes);
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let artifact = self
            .cache
            .store(digest, inspected, &code)
            .map_err(|error| LoadError::Cache {
                source: Arc::new(error),
            })?;
        self.link(digest, artifact)
            .map_err(|error| compile_error(&error))
    }

    fn read(&self, source: &ModuleSource) -> Result<Vec<u8>, LoadError> {
        let io = |error| LoadError::Io {
            path: source.path.clone(),
            source: Arc::new(error),
        };
        // Nobody waits for who writes to a pipe.
        let mut open = std::fs::OpenOptions::new();
        let open = open.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = open.open(&source.path).map_err(io)?;
        let limit = self.max_module_bytes;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(io::Error::other("it is not a file")));
        }
        let size = metadata.len();
        if size > limit {
            return Err(LoadError::TooLarge { size, limit });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        // One byte more than allowed tells a file that grew meanwhile.
        io::Read::read_to_end(&mut io::Read::take(file, limit + 1), &mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit {
            return Err(LoadError::TooLarge {
                size: bytes.len() as u64,
                limit,
            });
        }
        let actual = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        if actual != source.digest {
            return Err(LoadError::Digest {
                expected: source.digest.clone(),
                actual,
            });
        }
        Ok(bytes)
    }

    fn link(&self, digest: &str, artifact: Artifact) -> wasmtime::Result<Arc<Loaded>> {
        Loaded::new(digest.to_owned(), artifact, &self.backends).map(Arc::new)
    }
}

/// Runs blocking work on the guests' threads. A panic in it becomes an error of this load alone.
async fn blocking<T: Send + 'static>(
    threads: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    threads
        .spawn_blocking(work)
        .await
        .map_err(|error| match error.is_panic() {
            true => panicked(),
            false => LoadError::ShuttingDown,
        })
}

fn compile_error(error: &wasmtime::Error) -> LoadError {
    let mut message = format!("{error:#}");
    crate::exit::truncate(&mut message, 2_048);
    LoadError::Compile { message }
}

/// A digest names files, so it must be exactly what it should be.
fn check_digest(digest: &str) -> Result<(), LoadError> {
    let valid = digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    match valid {
        true => Ok(()),
        false => Err(LoadError::Digest {
            expected: "sha256: and 64 hexadecimal digits".to_owned(),
            actual: digest.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode};
    use std::time::Duration;

    fn source(dir: &std::path::Path, function: &str) -> ModuleSource {
        let text = format!(r#"(module (func (export "{function}")))"#);
        let bytes = wat::parse_str(text).expect("valid");
        let path = dir.join(function);
        std::fs::write(&path, &bytes).expect("written");
        ModuleSource {
            digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))),
            path,
        }
    }

    fn loader(dir: &std::path::Path) -> Loader {
        let mut config = crate::EngineConfig::new(dir.join("cache"));
        config.pool_instances = 1;
        config.compile_parallelism = 1;
        let config = Arc::new(config);
        let backends = Arc::new(Backends::new(config.clone()).expect("a small pool"));
        Loader::open(backends, &config).expect("opened")
    }

    /// Opening a pipe waits for who writes to it.
    #[tokio::test]
    async fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let loader = loader(dir.path());
        let mut source = source(dir.path(), "first");
        source.path = dir.path().join("pipe");
        let (pipe, owner) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(CWD, &source.path, pipe, owner, 0).expect("made");
        let threads = Handle::current();
        let loading = tokio::time::timeout(Duration::from_secs(20), loader.load(&source, &threads));
        let Err(error) = loading.await.expect("nobody waits") else {
            panic!("it is no module");
        };
        assert!(error.to_string().ends_with("it is not a file"), "{error}");
    }

    /// As when the process has as many files open as it may.
    #[tokio::test]
    async fn code_that_cannot_be_read_for_now_is_not_removed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let loader = loader(dir.path());
        let source = source(dir.path(), "first");
        let loaded = loader.load(&source, &Handle::current()).await;
        drop(loaded.expect("valid"));
        let folder = std::fs::read_dir(dir.path().join("cache")).expect("there");
        let folder = folder.flatten().next().expect("of this version").path();
        let digest = source.digest.trim_start_matches("sha256:");
        let path = |extension| folder.join(digest).with_extension(extension);
        let (record, kept) = (path("json"), path("kept"));
        std::fs::rename(&record, &kept).expect("there");
        std::os::unix::fs::symlink(&record, &record).expect("leads nowhere");
        assert!(loader.work.load_cached(&source.digest).is_none());
        assert!(path("code").exists());
        std::fs::rename(&kept, &record).expect("there");
        assert!(loader.work.load_cached(&source.digest).is_some());
        // What was altered is of no use any more.
        std::fs::write(&record, "{}").expect("there");
        assert!(loader.work.load_cached(&source.digest).is_none());
        assert!(!path("code").exists());
    }

    #[tokio::test]
    async fn a_load_that_nobody_waits_for_keeps_no_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let loader = loader(dir.path());
        let threads = Handle::current();
        let (first, second) = (source(dir.path(), "first"), source(dir.path(), "second"));
        let compiler = &loader.work.compiler;
        // The one for small modules, too.
        let large = compiler.place("sha256:0", u64::MAX).await.expect("free");
        let small = compiler.place("sha256:1", 0).await.expect("free");
        let waiting = loader.load(&first, &threads);
        let abandoned = tokio::time::timeout(Duration::from_millis(300), waiting).await;
        assert!(abandoned.is_err(), "every place is taken");
        drop((large, small));
        let loading = loader.load(&second, &threads);
        let loaded = tokio::time::timeout(Duration::from_secs(60), loading).await;
        loaded.expect("the place is free").expect("valid");
        // What was begun came to its end.
        loader.load(&first, &threads).await.expect("valid");
        assert_eq!(loader.counts().0, 2);
        assert!(loader.known.loading.lock().is_empty());
    }
}
