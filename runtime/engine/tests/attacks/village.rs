//! The neighbourhood an attack happens in: an HTTP handler and a small command, and how long they take.

use crate::support::{Bench, Collected, Running, get, soon};
use http::StatusCode;
use sampan_engine::{Container, ContainerSpec, Engine, EngineConfig, Exit, Module, Priority};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// One village at a time: another's attack is not a neighbour's noise.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Requests and commands of one measurement.
const REQUESTS: usize = 200;
const COMMANDS: usize = 50;

/// Between two of them: the neighbours need less than their share of the processors. Who needs more has to wait like
/// the attackers.
const PAUSE: Duration = Duration::from_millis(5);

/// The neighbours may take twice what they took before, or a little more: other work on the machine adds to anything,
/// most of all to the slowest of many.
const FACTOR: u32 = 2;

/// What other work on the machine may add to p50 and to p99: a few of the kernel's ticks, which are 4 ms apart. Nothing
/// with `ATTACKS_STRICT` in the environment, for a machine that has nothing else to do.
static NOISE: LazyLock<(Duration, Duration)> =
    LazyLock::new(|| match std::env::var_os("ATTACKS_STRICT") {
        Some(_) => (Duration::ZERO, Duration::ZERO),
        None => (Duration::from_millis(2), Duration::from_millis(25)),
    });

/// Measurements during an attack, of which the best counts: a machine that stalls for a moment proves nothing.
const TRIES: usize = 8;

/// What the neighbours took.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p50: Duration,
    p99: Duration,
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Latency {
            p50: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
        }
    }

    fn bears(&self, during: &Latency) -> bool {
        let within =
            |before: Duration, now: Duration, noise| now <= (before * FACTOR).max(before + noise);
        within(self.p50, during.p50, NOISE.0) && within(self.p99, during.p99, NOISE.1)
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms",
            millis(self.p50),
            millis(self.p99)
        )
    }
}

pub(crate) struct Village {
    pub(crate) bench: Arc<Bench>,
    neighbour: Running,
    command: Module,
    _alone: MutexGuard<'static, ()>,
}

impl Village {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let alone = ALONE.lock().await;
        let bench = Arc::new(Bench::with(change));
        let neighbour = bench.neighbour().await;
        Village {
            command: bench.load("hello").await,
            bench,
            neighbour,
            _alone: alone,
        }
    }

    /// Measures the neighbours, begins the attack, measures them until they bear it, prints both, and returns what
    /// the attack left behind.
    pub(crate) async fn under<A>(&self, name: &str, attack: impl AsyncFnOnce(&Bench) -> A) -> A {
        // The first of anything takes longer.
        self.measure().await;
        let (http, command) = self.measure().await;
        let attacker = attack(&self.bench).await;
        let mut during = self.measure().await;
        for _ in 1..TRIES {
            if http.bears(&during.0) && command.bears(&during.1) {
                break;
            }
            let (again, again_command) = self.measure().await;
            during.0 = best(during.0, again);
            during.1 = best(during.1, again_command);
        }
        let all = [
            ("HTTP handler", http, during.0),
            ("command", command, during.1),
        ];
        for (what, before, during) in &all {
            println!("{name:24} {what:12} before: {before}; during: {during}");
        }
        for (what, before, during) in &all {
            assert!(
                before.bears(during),
                "{name}: the neighbour's {what} suffers: {before} before, {during} during"
            );
        }
        attacker
    }

    /// Nothing of the attack is left, and the neighbours are as they were.
    pub(crate) async fn recovers(&self) {
        self.neighbour.is_healthy().await;
        self.bench.empty().await;
    }

    async fn measure(&self) -> (Latency, Latency) {
        let (engine, command) = (self.bench.engine.clone(), self.command.clone());
        let addr = self.neighbour.addr();
        // On a thread of its own that the kernel runs at once: what the test does meanwhile, and what the client waits for
        // a processor, is not the neighbour's latency.
        let measuring = std::thread::spawn(move || {
            Priority::Prompt(Some(-10)).take();
            on_own_runtime(measure(engine, command, addr))
        });
        let measured = tokio::task::spawn_blocking(|| measuring.join());
        let measured = measured.await.expect("no panic in joining");
        measured.expect("the neighbours are well")
    }
}

async fn measure(engine: Engine, command: Module, addr: SocketAddr) -> (Latency, Latency) {
    let mut requests = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        assert_eq!(soon(get(addr, "/")).await.0, StatusCode::OK);
        requests.push(begun.elapsed());
    }
    let mut commands = Vec::with_capacity(COMMANDS);
    for _ in 0..COMMANDS {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        let container = start(&engine, &command, |_| {}).await;
        assert_eq!(soon(container.wait()).await, Exit::Code(0));
        commands.push(begun.elapsed());
    }
    (Latency::of(requests), Latency::of(commands))
}

/// Puts the calling thread below all nice values: of two threads at the lowest of those and at the usual one, the first
/// may still go on for some milliseconds while the other waits.
#[allow(
    unsafe_code,
    reason = "no safe function for this system call; see the SAFETY comment"
)]
fn take_what_is_left() -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the structure, and keeps no pointer to it.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn on_own_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Starts a loaded module, its output kept.
pub(crate) async fn start(
    engine: &Engine,
    module: &Module,
    change: impl FnOnce(&mut ContainerSpec),
) -> Container {
    let sink = Collected::new();
    let mut spec = ContainerSpec::new("command", sink.clone(), sink);
    change(&mut spec);
    engine.start(module, spec).await.expect("it starts")
}

fn best(one: Latency, other: Latency) -> Latency {
    Latency {
        p50: one.p50.min(other.p50),
        p99: one.p99.min(other.p99),
    }
}

/// An attack that ends quickly, made again and again until it is told to stop: on a thread of its own that gets what
/// nobody else on the processors wants, as attackers come from elsewhere and their own work is not the attack.
pub(crate) struct Repeated {
    stop: Arc<AtomicBool>,
    times: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Repeated {
    /// So many at once.
    pub(crate) fn start<F>(at_once: usize, attack: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let (stop, times) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stopped, count) = (stop.clone(), times.clone());
        let thread = std::thread::spawn(move || {
            take_what_is_left().expect("a thread may always ask for less");
            let one = || async {
                while !stopped.load(Ordering::Relaxed) {
                    attack().await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            };
            on_own_runtime(futures::future::join_all((0..at_once).map(|_| one())));
        });
        Repeated {
            stop,
            times,
            thread,
        }
    }

    /// Fails the test if one of the attacks did not end as it should.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        let ended = soon(joined).await.expect("no panic in joining");
        ended.expect("the attack ended as it should");
        assert!(self.times.load(Ordering::Relaxed) > 0, "it attacked");
    }
}
