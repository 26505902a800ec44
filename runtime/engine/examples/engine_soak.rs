//! Starts containers of every kind for a long time and watches what the process holds:
//! `cargo run --release -p sampan-engine --example engine_soak [STARTS] [SECONDS]`, by default 100,000 over an hour.
//!
//! A line per sample; at the end the verdict, and exit code 1 if anything grew beyond its bound. The bounds compare the
//! middle of the run with its end: what caches and pools fill with at first is no growth.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run by hand"
)]

mod allocator;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use sampan_engine::{
    Container, ContainerSpec, Engine, EngineConfig, Exit, Module, ModuleSource, Mount, OutputSink,
};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Containers alive at once.
const AT_ONCE: usize = 8;

/// After so many starts comes a module nobody has seen, compiled, run once and evicted.
const FRESH_MODULE_EVERY: usize = 500;

/// Samples over the whole run.
const SAMPLES: usize = 60;

/// What each thing may have grown by from the middle of the run to its end.
const MAX_GROWTH: Held = Held {
    resident: 4 << 20,
    descriptors: 16,
    mappings: 128,
    disk: 1 << 20,
};

/// Forgets what it is given.
struct Forget;

#[async_trait::async_trait]
impl OutputSink for Forget {
    async fn write(&self, _data: Bytes) {}
}

/// What the process holds.
#[derive(Clone, Copy, Default)]
struct Held {
    resident: usize,
    descriptors: usize,
    mappings: usize,
    disk: usize,
}

/// A module, its arguments, and how it ends.
type Command = (Module, Vec<String>, fn(&Exit) -> bool);

/// A figure out of a sample.
type Figure = fn(&Held) -> usize;

struct Guests {
    dir: tempfile::TempDir,
    engine: Engine,
    commands: Vec<Command>,
    handler: Module,
    sleeper: Module,
}

#[tokio::main]
async fn main() -> ExitCode {
    allocator::refuse_huge_pages();
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().map_or(default, |text| text.parse().unwrap());
    let starts: usize = number(100_000);
    let time = Duration::from_secs(number(3_600) as u64);
    let guests = Arc::new(Guests::load().await);
    println!("starts   seconds  resident MiB  descriptors  mappings  disk KiB");
    let begun = Instant::now();
    let mut samples = Vec::new();
    for sample in 1..=SAMPLES {
        let from = starts * (sample - 1) / SAMPLES;
        let to = starts * sample / SAMPLES;
        let workers = (0..AT_ONCE).map(|worker| {
            let guests = guests.clone();
            tokio::spawn(async move {
                for number in (from..to).filter(|number| number % AT_ONCE == worker) {
                    let due = time.mul_f64(number as f64 / starts as f64);
                    tokio::time::sleep_until((begun + due).into()).await;
                    guests.one(number).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let held = Held::now(guests.dir.path());
        println!(
            "{to:7}  {:7.0}  {:12.1}  {:11}  {:8}  {:8}",
            begun.elapsed().as_secs_f64(),
            held.resident as f64 / 1_048_576.0,
            held.descriptors,
            held.mappings,
            held.disk / 1024
        );
        samples.push(held);
    }
    verdict(&samples)
}

fn verdict(samples: &[Held]) -> ExitCode {
    // The highest of a fifth of the samples: a single one may catch a moment of work.
    let highest = |samples: &[Held], of: Figure| samples.iter().map(of).max().unwrap();
    let (middle, end) = (samples.len() * 2 / 5, samples.len() * 4 / 5);
    let rows: [(&str, Figure); 4] = [
        ("resident bytes", |held| held.resident),
        ("descriptors", |held| held.descriptors),
        ("mappings", |held| held.mappings),
        ("disk bytes", |held| held.disk),
    ];
    let mut grown = false;
    for (what, of) in rows {
        let before = highest(&samples[middle..samples.len() * 3 / 5], of);
        let after = highest(&samples[end..], of);
        let growth = after.saturating_sub(before);
        let bound = of(&MAX_GROWTH);
        let word = if growth > bound { "GREW" } else { "holds" };
        grown |= growth > bound;
        println!("{what:15} {word:6} {before} -> {after}, bound +{bound}");
    }
    if grown {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

impl Guests {
    async fn load() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("files")).unwrap();
        let engine = Engine::new(EngineConfig::new(dir.path().join("cache"))).unwrap();
        let load = async |guest: &str| {
            let module = source(dir.path(), guest, "");
            engine.load(&module).await.unwrap()
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let succeeds = |exit: &Exit| *exit == Exit::Code(0);
        let traps = |exit: &Exit| matches!(exit, Exit::Trap { .. });
        let is_out_of_memory = |exit: &Exit| *exit == Exit::OutOfMemory;
        let commands: Vec<Command> = vec![
            (load("hello").await, words(&["hello"]), succeeds),
            (load("p2-command").await, words(&["p2"]), succeeds),
            (
                load("write-file").await,
                words(&["write-file", "f", "text"]),
                succeeds,
            ),
            (load("trap").await, words(&["trap"]), traps),
            (load("recurse").await, words(&["recurse"]), traps),
            (
                load("memory-hog").await,
                words(&["memory-hog"]),
                is_out_of_memory,
            ),
        ];
        Guests {
            handler: load("http-handler").await,
            sleeper: load("sleep").await,
            commands,
            engine,
            dir,
        }
    }

    /// One start, run and end. The kinds take turns.
    async fn one(&self, number: usize) {
        if number.is_multiple_of(FRESH_MODULE_EVERY) {
            return self.fresh(number).await;
        }
        match number % (self.commands.len() + 2) {
            0 => self.request().await,
            1 => {
                let container = self.start(&self.sleeper, Vec::new()).await;
                container.kill();
                assert_eq!(container.wait().await, Exit::Signal(9));
            }
            kind => {
                let (module, args, as_expected) = &self.commands[kind - 2];
                let container = self.start(module, args.clone()).await;
                let exit = container.wait().await;
                assert!(as_expected(&exit), "{args:?}: {exit:?}");
            }
        }
    }

    async fn start(&self, module: &Module, args: Vec<String>) -> Container {
        let mut spec = ContainerSpec::new("soak", Arc::new(Forget), Arc::new(Forget));
        spec.args = args;
        spec.memory_limit = Some(16 << 20);
        spec.mounts.push(Mount {
            host: self.dir.path().join("files").canonicalize().unwrap(),
            guest: "/data".to_owned(),
            read_only: false,
        });
        spec.listen = vec!["127.0.0.1:0".parse().unwrap()];
        self.engine.start(module, spec).await.unwrap()
    }

    /// A handler that answers once and is asked to end.
    async fn request(&self) {
        let container = self.start(&self.handler, Vec::new()).await;
        let stream = TcpStream::connect(container.addresses()[0]).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", "soak")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        drop(sender);
        connection.await.unwrap().unwrap();
        container.terminate();
        assert_eq!(container.wait().await, Exit::Code(0));
    }

    async fn fresh(&self, number: usize) {
        let module = source(
            self.dir.path(),
            "hello",
            &format!("(@custom \"number\" \"{number}\")"),
        );
        let loaded = self.engine.load(&module).await.unwrap();
        let container = self.start(&loaded, vec!["hello".to_owned()]).await;
        assert_eq!(container.wait().await, Exit::Code(0));
        self.engine.evict(&module.digest).await;
        std::fs::remove_file(&module.path).unwrap();
    }
}

impl Held {
    fn now(disk: &Path) -> Self {
        let count = |path: &str| std::fs::read_dir(path).unwrap().count();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        Held {
            resident: statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096,
            descriptors: count("/proc/self/fd"),
            mappings: maps.lines().count(),
            disk: size(disk),
        }
    }
}

fn size(path: &Path) -> usize {
    // What is being removed right now is gone.
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len() as usize,
        Err(_gone) => 0,
    });
    sizes.sum()
}

/// A guest of the tests, with a section put in before its end.
fn source(dir: &Path, guest: &str, section: &str) -> ModuleSource {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/guests/{guest}.wat"));
    let text = std::fs::read_to_string(text).unwrap();
    let end = text.rfind(')').unwrap();
    let bytes = wat::parse_str(format!("{}{section})", &text[..end])).unwrap();
    let digest = hex::encode(Sha256::digest(&bytes));
    let path = dir.join(format!("{digest}.wasm"));
    std::fs::write(&path, &bytes).unwrap();
    ModuleSource {
        digest: format!("sha256:{digest}"),
        path,
    }
}
