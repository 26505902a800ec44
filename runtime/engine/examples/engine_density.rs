//! How much and how long one more costs, the more there are; a table and a plot each:
//! `cargo run --release -p sampan-engine --example engine_density [INSTANCES] [HANDLERS] [--plot FILE.svg]`, by default
//! 10,000 and 50,000. The file shows the plots as a picture.
//!
//! Blocked instances need mappings of the kernel's (`vm.max_map_count`, about 7 each), waiting handlers a descriptor
//! each (`ulimit -n`, raised here as far as allowed). What does not fit is said and left out; where a process may not
//! have more, several show it, each in a network of its own: `unshare -n sh -c 'ip link set lo up; exec PROGRAM 100 16700'`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run by hand"
)]

mod allocator;
mod plot;

use bytes::Bytes;
use plot::{Chart, Line};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sampan_engine::{
    Container, ContainerSpec, Engine, EngineConfig, Module, ModuleSource, OutputSink,
};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Rows of each table.
const STEPS: usize = 20;

/// Columns of the plots' bars.
const WIDTH: f64 = 40.0;

/// Descriptors for everything that is no listener.
const OTHER_DESCRIPTORS: u64 = 200;

/// Counts chunks: a blocked instance has said so.
#[derive(Default)]
struct Count(AtomicUsize);

#[async_trait::async_trait]
impl OutputSink for Count {
    async fn write(&self, _data: Bytes) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What one more costs of something.
struct Measured {
    what: &'static str,
    wanted_kib: f64,
    steps: Vec<Step>,
}

/// A point of a plot.
struct Step {
    count: usize,
    kib_each: f64,
    start_p50: Duration,
    start_p99: Duration,
}

#[tokio::main]
async fn main() {
    allocator::refuse_huge_pages();
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let plot = args.iter().position(|arg| arg == "--plot");
    let plot = plot.map(|at| args.drain(at..at + 2).next_back().unwrap());
    let number = |at: usize, default| args.get(at).map_or(default, |text| text.parse().unwrap());
    let (instances, handlers): (usize, usize) = (number(0, 10_000), number(1, 50_000));
    raise_descriptors();
    let dir = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::new(dir.path().join("cache"));
    config.max_instances = u32::try_from(instances).unwrap();
    let engine = Engine::new(config).unwrap();

    let fits = instances.min(engine.stats().max_instances);
    if fits < instances {
        println!("{fits} instances and not {instances}: raise vm.max_map_count for more");
    }
    let sleeper = load(&engine, dir.path(), "sleep").await;
    let blocked = Measured {
        what: "blocked instances",
        wanted_kib: 24.0,
        steps: blocked(&engine, &sleeper, fits).await,
    };
    blocked.print();

    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let allowed = usize::try_from(allowed.saturating_sub(OTHER_DESCRIPTORS)).unwrap();
    let fits = handlers.min(allowed);
    if fits < handlers {
        println!("{fits} handlers and not {handlers}: raise the limit of open files for more");
    }
    let handler = load(&engine, dir.path(), "http-handler").await;
    let waiting = Measured {
        what: "HTTP workloads waiting for a request",
        wanted_kib: 4.0,
        steps: waiting(&engine, &handler, fits).await,
    };
    waiting.print();
    if let Some(file) = plot {
        let charts = [blocked.charts(), waiting.charts()];
        std::fs::write(&file, plot::svg(charts.as_flattened(), 2)).unwrap();
        println!("\nthe plots are in {file}");
    }
}

async fn blocked(engine: &Engine, module: &Module, count: usize) -> Vec<Step> {
    let sink = Arc::new(Count::default());
    let spec = ContainerSpec::new("sleep", sink.clone(), sink.clone());
    measure(count, async |number| {
        let container = engine.start(module, spec.clone()).await.unwrap();
        while sink.0.load(Ordering::Relaxed) <= number {
            tokio::task::yield_now().await;
        }
        container
    })
    .await
}

async fn waiting(engine: &Engine, module: &Module, count: usize) -> Vec<Step> {
    let sink = Arc::new(Count::default());
    let first = u32::from(Ipv4Addr::new(127, 100, 0, 1));
    measure(count, async |number| {
        let mut spec = ContainerSpec::new("http", sink.clone(), sink.clone());
        let address = Ipv4Addr::from(first + u32::try_from(number).unwrap());
        spec.listen = vec![SocketAddr::from((address, 8080))];
        engine.start(module, spec).await.unwrap()
    })
    .await
}

/// Starts one after the other, and looks at the process in between.
async fn measure(count: usize, start: impl AsyncFn(usize) -> Container) -> Vec<Step> {
    let mut held = Vec::with_capacity(count);
    let mut steps = Vec::new();
    let before = resident();
    for step in 1..=STEPS {
        let mut times = Vec::new();
        for number in held.len()..count * step / STEPS {
            let begun = Instant::now();
            held.push(start(number).await);
            times.push(begun.elapsed());
        }
        if times.is_empty() {
            continue;
        }
        times.sort();
        steps.push(Step {
            count: held.len(),
            kib_each: resident().saturating_sub(before) as f64 / held.len() as f64 / 1024.0,
            start_p50: times[times.len() / 2],
            start_p99: times[times.len() * 99 / 100],
        });
    }
    for container in &held {
        container.kill();
    }
    for container in &held {
        container.wait().await;
    }
    steps
}

impl Measured {
    fn print(&self) {
        let memory = self.steps.iter().map(|step| step.kib_each);
        let time = self.steps.iter().map(|step| step.start_p50.as_secs_f64());
        let (most_memory, most_time) = (memory.fold(0.0, f64::max), time.fold(0.0, f64::max));
        println!(
            "\n{} (wanted: at most {} KiB each)",
            self.what, self.wanted_kib
        );
        println!("  count  KiB each  start p50 µs  p99 µs");
        for step in &self.steps {
            println!(
                "{:7}  {:8.1}  {:12.0}  {:6.0}  {:WIDTH$}|{}",
                step.count,
                step.kib_each,
                micros(step.start_p50),
                micros(step.start_p99),
                bar('m', step.kib_each / most_memory),
                bar('t', step.start_p50.as_secs_f64() / most_time),
                WIDTH = WIDTH as usize,
            );
        }
        println!("  m: memory of each, t: time of a start (p50), both of their maximum");
    }

    /// Memory and starts, both by how many there are.
    fn charts(&self) -> [Chart<'_>; 2] {
        let line = |name, value: &dyn Fn(&Step) -> f64| {
            let points = self
                .steps
                .iter()
                .map(|step| (step.count as f64, value(step)));
            Line(name, points.collect())
        };
        let chart = |y, lines| Chart {
            title: self.what,
            x: "how many",
            y,
            lines,
        };
        let memory = vec![
            line("memory of each", &|step| step.kib_each),
            line("wanted: at most", &|_| self.wanted_kib),
        ];
        let starts = vec![
            line("a start, p50", &|step| micros(step.start_p50)),
            line("p99", &|step| micros(step.start_p99)),
        ];
        [chart("KiB", memory), chart("µs", starts)]
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn bar(of: char, part: f64) -> String {
    let length = (part * WIDTH).round().max(0.0) as usize;
    std::iter::repeat_n(of, length).collect()
}

fn raise_descriptors() {
    // Only root gets beyond the hard limit; what is refused leaves what there is.
    for limit in [1 << 20, 1 << 17, 1 << 16] {
        let raised = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return;
        }
    }
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        println!("the limit of open files stays as it is: {error}");
    }
}

async fn load(engine: &Engine, dir: &Path, guest: &str) -> Module {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/guests/{guest}.wat"));
    let bytes = wat::parse_file(text).unwrap();
    let path = dir.join(format!("{guest}.wasm"));
    std::fs::write(&path, &bytes).unwrap();
    let source = ModuleSource {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))),
        path,
    };
    engine.load(&source).await.unwrap()
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
