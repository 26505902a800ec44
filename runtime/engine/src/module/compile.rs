//! Compilation: on threads of its own with the lowest priority, within a number, a budget of memory and a time.
//!
//! Nothing can stop a compilation once it runs. When its time is over, whoever waits is told so; the thread goes on,
//! keeps its place and its memory in the books until it really ends, and what it made is kept for the next who asks.
//! Until then no second one is begun for the same digest. So it is with a module's file, which may be where reading it takes
//! for ever.

use crate::schedule::Priority;
use crate::{EngineConfig, LoadError, ModuleSource};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::error::Elapsed;
use wasmparser::{Parser, Payload};

/// The unit memory is counted in.
const MIB: u64 = 1 << 20;

/// What a compilation takes, roughly and rather too much: for the compiler itself, for each byte of the file, and for
/// each byte of its functions. `compile_bench` measures it.
const BASE: u64 = 16 * MIB;
const PER_BYTE: u64 = 2;
const PER_CODE_BYTE: u64 = 12;

/// A module up to this size need not wait behind larger ones: there is a place for it beside theirs, in which one at a
/// time is compiled, and what that takes is not counted: 30 MiB by the estimate above.
const SMALL_BYTES: u64 = MIB;

/// Stack of a compiling thread; the compiler recurses with the nesting of blocks, which is bounded by validation.
const STACK_BYTES: usize = 8 << 20;

/// A compilation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiling {
    /// Size of the module, in bytes.
    pub module_bytes: u64,
    /// How long it has been compiled.
    pub elapsed: Duration,
}

pub(super) struct Compiler {
    places: Arc<Semaphore>,
    small: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_limit: u64,
    time_limit: Duration,
    under_way: Arc<Mutex<HashMap<String, Progress>>>,
    /// Digests whose files are being read.
    reading: Arc<Mutex<HashSet<String>>>,
    /// Digests that wait for a place or for memory.
    waiting: Mutex<HashSet<String>>,
}

struct Progress {
    module_bytes: u64,
    began: Instant,
}

/// The right to compile one module.
pub(super) struct Place {
    digest: String,
    /// Whether it is the one beside the others.
    beside: bool,
    _thread: OwnedSemaphorePermit,
}

/// Told as long as it is held.
struct Waits<'a> {
    waiting: &'a Mutex<HashSet<String>>,
    digest: &'a str,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.digest);
    }
}

/// What is held until a file was really read.
struct Reading {
    reading: Arc<Mutex<HashSet<String>>>,
    digest: String,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.reading.lock().remove(&self.digest);
    }
}

/// What is held until a compilation has really ended.
struct Held {
    under_way: Arc<Mutex<HashMap<String, Progress>>>,
    place: Place,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.place.digest);
    }
}

impl Compiler {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let units = config.max_compile_memory.div_ceil(MIB).max(1);
        let units = usize::try_from(units)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Compiler {
            places: Arc::new(Semaphore::new(config.compile_parallelism.max(1))),
            small: Arc::new(Semaphore::new(1)),
            memory: Arc::new(Semaphore::new(units)),
            memory_limit: config.max_compile_memory,
            time_limit: config.compile_time_limit,
            under_way: Arc::default(),
            reading: Arc::default(),
            waiting: Mutex::default(),
        }
    }

    /// Whether a module waits for others to be compiled.
    pub(super) fn waits(&self, digest: &str) -> bool {
        self.waiting.lock().contains(digest)
    }

    fn wait<'a>(&'a self, digest: &'a str) -> Waits<'a> {
        let waiting = &self.waiting;
        waiting.lock().insert(digest.to_owned());
        Waits { waiting, digest }
    }

    /// Waits for a place for a module of so many bytes. A digest whose last compilation is overdue and still runs gets
    /// none.
    pub(super) async fn place(&self, digest: &str, bytes: u64) -> Result<Place, LoadError> {
        if self.under_way.lock().contains_key(digest) {
            return Err(self.overdue());
        }
        let waits = self.wait(digest);
        // In the others' places it may have to wait for memory behind them.
        let (beside, thread) = tokio::select! {
            biased;
            thread = self.small.clone().acquire_owned(), if bytes <= SMALL_BYTES => (true, thread),
            thread = self.places.clone().acquire_owned() => (false, thread),
        };
        drop(waits);
        Ok(Place {
            digest: digest.to_owned(),
            beside,
            _thread: thread.map_err(|_closed| LoadError::ShuttingDown)?,
        })
    }

    /// Does what a module's file is needed for before it is compiled: a large one takes as much time as a small one's
    /// compilation. The work goes on when the time is over, with the place that it was given.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        source: &ModuleSource,
        work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, LoadError> {
        let overdue = || LoadError::ReadTime {
            path: source.path.clone(),
            limit: self.time_limit,
        };
        let digest = source.digest.clone();
        if !self.reading.lock().insert(digest.clone()) {
            return Err(overdue());
        }
        let reading = Reading {
            reading: self.reading.clone(),
            digest,
        };
        self.on_thread(reading, work)
            .await
            .unwrap_or_else(|_late| Err(overdue()))
    }

    /// Does the work of compiling this module, once there is memory for it. The work goes on when the time is over.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        Size { bytes, needed }: Size,
        work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, LoadError> {
        if needed > self.memory_limit {
            return Err(LoadError::CompileMemory {
                needed,
                limit: self.memory_limit,
            });
        }
        let units = u32::try_from(needed.div_ceil(MIB)).unwrap_or(u32::MAX);
        // The place was given by what the file system said, before the file was read.
        let memory = match place.beside && bytes <= SMALL_BYTES {
            true => None,
            false => {
                let _waits = self.wait(&place.digest);
                let memory = self.memory.clone().acquire_many_owned(units).await;
                Some(memory.map_err(|_closed| LoadError::ShuttingDown)?)
            }
        };
        let digest = place.digest.clone();
        let held = Held {
            under_way: self.under_way.clone(),
            place,
            _memory: memory,
        };
        let progress = Progress {
            module_bytes: bytes,
            began: Instant::now(),
        };
        self.under_way.lock().insert(digest, progress);
        self.on_thread(held, work)
            .await
            .unwrap_or_else(|_late| Err(self.overdue()))
    }

    /// What comes of work on a thread of the lowest priority, if that does not take too long. `held` is held until the work
    /// has really ended.
    async fn on_thread<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
    ) -> Result<Result<T, LoadError>, Elapsed> {
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("sampan-compile".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                Priority::Last.take();
                let result = work();
                drop(held);
                // Nobody may be waiting any more.
                let _unheard = tell.send(result);
            });
        if let Err(error) = thread {
            let message = format!("cannot start a thread for the compiler: {error}");
            return Ok(Err(LoadError::Compile { message }));
        }
        let result = tokio::time::timeout(self.time_limit, told).await?;
        Ok(result.unwrap_or_else(|_dropped| Err(panicked())))
    }

    pub(super) fn progress(&self, digest: &str) -> Option<Compiling> {
        let under_way = self.under_way.lock();
        let progress = under_way.get(digest)?;
        Some(Compiling {
            module_bytes: progress.module_bytes,
            elapsed: progress.began.elapsed(),
        })
    }

    fn overdue(&self) -> LoadError {
        LoadError::CompileTime {
            limit: self.time_limit,
        }
    }
}

pub(super) fn panicked() -> LoadError {
    LoadError::Compile {
        message: "the compiler panicked".to_owned(),
    }
}

/// What is known of a module before it is compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    bytes: u64,
    /// Memory that compiling it may take.
    needed: u64,
}

impl Size {
    /// Reads all of a module, which may take a second.
    pub(super) fn of(module: &[u8]) -> Self {
        Size {
            bytes: module.len() as u64,
            needed: estimate(module),
        }
    }
}

/// Memory that compiling a module may take, in bytes. What is malformed is found by the compiler.
fn estimate(module: &[u8]) -> u64 {
    let code: u64 = Parser::new(0)
        .parse_all(module)
        .map_while(Result::ok)
        .map(|payload| match payload {
            Payload::CodeSectionStart { size, .. } => u64::from(size),
            _ => 0,
        })
        .sum();
    BASE + PER_BYTE * module.len() as u64 + PER_CODE_BYTE * code
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0";
    const LARGE: u64 = 2 * SMALL_BYTES;

    fn compiler(change: impl FnOnce(&mut EngineConfig)) -> Compiler {
        let mut config = EngineConfig::new("unused");
        config.compile_parallelism = 1;
        change(&mut config);
        Compiler::new(&config)
    }

    #[tokio::test]
    async fn what_takes_too_long_is_refused_until_it_has_ended() {
        let compiler = compiler(|config| config.compile_time_limit = Duration::ZERO);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let place = compiler.place(DIGEST, LARGE).await.expect("free");
        let slow = move || {
            wait.recv().ok();
            Ok(())
        };
        let result = compiler.run(place, Size::of(b""), slow).await;
        assert!(matches!(result, Err(LoadError::CompileTime { .. })));
        assert!(compiler.progress(DIGEST).is_some());
        assert!(
            compiler.place(DIGEST, LARGE).await.is_err(),
            "not a second time"
        );
        let other = compiler.place("sha256:1", LARGE);
        let none_free = tokio::time::timeout(Duration::from_millis(20), other).await;
        assert!(none_free.is_err(), "its place is still taken");
        drop(go);
        compiler.place("sha256:1", LARGE).await.expect("free again");
        assert_eq!(compiler.progress(DIGEST), None);
    }

    #[tokio::test]
    async fn a_file_that_takes_too_long_is_refused_until_it_was_read() {
        let compiler = compiler(|config| config.compile_time_limit = Duration::ZERO);
        let source = ModuleSource {
            digest: DIGEST.to_owned(),
            path: "file".into(),
        };
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let place = compiler.place(DIGEST, LARGE).await.expect("free");
        let slow = move || {
            wait.recv().ok();
            Ok(place)
        };
        let result = compiler.read(&source, slow).await;
        assert!(matches!(result, Err(LoadError::ReadTime { .. })));
        let again = compiler.read(&source, || Ok(()));
        let again = again.await.expect_err("not a second time");
        assert!(matches!(again, LoadError::ReadTime { .. }));
        let mut other = std::pin::pin!(compiler.place("sha256:1", LARGE));
        assert!(
            futures::poll!(other.as_mut()).is_pending(),
            "its place is still taken"
        );
        drop(go);
        other.await.expect("free again");
        assert!(compiler.reading.lock().is_empty());
    }

    #[tokio::test]
    async fn small_modules_pass_large_ones() {
        let compiler = compiler(|_| {});
        let large = compiler.place(DIGEST, LARGE).await.expect("free");
        let small = compiler.place("sha256:1", 100).await;
        let small = small.expect("beside the large one");
        let waits = |bytes| {
            let place = compiler.place("sha256:2", bytes);
            tokio::time::timeout(Duration::from_millis(20), place)
        };
        assert!(!compiler.waits("sha256:1"));
        assert!(waits(100).await.is_err(), "one at a time");
        assert!(waits(LARGE).await.is_err());
        let mut other = std::pin::pin!(compiler.place("sha256:2", LARGE));
        assert!(futures::poll!(other.as_mut()).is_pending());
        assert!(compiler.waits("sha256:2"));
        compiler
            .run(small, Size::of(b""), || Ok(()))
            .await
            .expect("small");
        assert!(waits(100).await.is_ok());
        drop(large);
        other.await.expect("free");
        assert!(!compiler.waits("sha256:2"));
    }

    #[tokio::test]
    async fn small_modules_do_not_wait_for_memory_behind_large_ones() {
        let compiler = compiler(|config| {
            config.compile_parallelism = 3;
            config.max_compile_memory = BASE;
        });
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let large = compiler.place(DIGEST, LARGE).await.expect("free");
        let large = compiler.run(large, Size::of(b""), move || {
            wait.recv().ok();
            Ok(())
        });
        let mut large = std::pin::pin!(large);
        assert!(futures::poll!(large.as_mut()).is_pending());
        let place = compiler.place("sha256:1", 100).await.expect("free");
        let small = compiler.run(place, Size::of(b""), || Ok(()));
        let small = tokio::time::timeout(Duration::from_secs(20), small).await;
        small.expect("it need not wait").expect("compiled");
        // One that has become larger since its place was given does.
        let place = compiler.place("sha256:1", 100).await.expect("free");
        let grown = Size {
            bytes: LARGE,
            needed: BASE,
        };
        let mut grown = std::pin::pin!(compiler.run(place, grown, || Ok(())));
        assert!(futures::poll!(grown.as_mut()).is_pending());
        assert!(compiler.waits("sha256:1"));
        drop(go);
        large.await.expect("compiled");
        grown.await.expect("compiled");
    }

    #[tokio::test]
    async fn memory_is_estimated_by_the_code_and_bounded() {
        let text = format!("(module (func {}))", "(drop (i32.const 1))".repeat(100_000));
        let module = wat::parse_str(text).expect("valid");
        assert!(estimate(&module) > BASE + (PER_BYTE + PER_CODE_BYTE) * 300_000);
        let compiler = compiler(|config| config.max_compile_memory = BASE + MIB);
        let place = compiler.place(DIGEST, LARGE).await.expect("free");
        let result = compiler.run(place, Size::of(&module), || Ok(())).await;
        let Err(LoadError::CompileMemory { needed, limit }) = result else {
            panic!("{result:?}")
        };
        assert_eq!((needed, limit), (estimate(&module), BASE + MIB));
        let place = compiler.place(DIGEST, LARGE).await.expect("free");
        compiler
            .run(place, Size::of(b""), || Ok(()))
            .await
            .expect("small");
    }

    #[tokio::test]
    async fn a_panic_of_the_compiler_is_an_error_of_one_load() {
        let compiler = compiler(|_| {});
        let place = compiler.place(DIGEST, LARGE).await.expect("free");
        let work = || -> Result<(), LoadError> { panic!("as asked") };
        let result = compiler.run(place, Size::of(b""), work).await;
        assert!(matches!(result, Err(LoadError::Compile { .. })));
        compiler.place(DIGEST, LARGE).await.expect("free again");
    }
}
