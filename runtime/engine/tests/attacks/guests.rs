//! Guests that take all they can get.

use crate::support::{Bench, Collected, Running, listen_locally, soon};
use crate::village::{Repeated, Village, start};
use bytes::Bytes;
use sampan_engine::{ContainerSpec, Exit, Mount, OutputSink, StartError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Busy guests at once: more than there are processors for them.
const BUSY: usize = 8;

async fn kill_all(attackers: Vec<Running>) {
    for attacker in attackers {
        attacker.container.kill();
        assert_eq!(soon(attacker.container.wait()).await, Exit::Signal(9));
    }
}

async fn busy(bench: &Bench, guest: &str) -> Vec<Running> {
    let mut running = Vec::new();
    for _ in 0..BUSY {
        running.push(bench.start(guest, &[]).await);
    }
    running
}

/// Runs a guest again and again, and looks at each of its ends.
async fn repeated(
    village: &Village,
    guest: &'static str,
    change: impl Fn(&mut ContainerSpec) + Clone + Send + Sync + 'static,
    ended: impl Fn(Exit) + Clone + Send + Sync + 'static,
) {
    let attack = village.under(guest, async |_: &Bench| {
        // Compiled before, so that it is the guest that is measured.
        let module = village.bench.load(guest).await;
        let engine = village.bench.engine.clone();
        Repeated::start(2, move || {
            let (engine, module) = (engine.clone(), module.clone());
            let (change, ended) = (change.clone(), ended.clone());
            async move {
                let container = start(&engine, &module, change).await;
                ended(soon(container.wait()).await);
            }
        })
    });
    attack.await.stop().await;
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn infinite_loops() {
    let village = Village::new().await;
    for (name, guest) in [("loop", "spin"), ("loop in start function", "start-spin")] {
        let attackers = village.under(name, async |bench: &Bench| busy(bench, guest).await);
        kill_all(attackers.await).await;
        village.recovers().await;
    }
}

/// Returns when the connection breaks.
async fn never_answered(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let request = b"GET /spin HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    let _broken = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end() {
    let village = Village::new().await;
    let attack = village.under("loops in requests", async |bench: &Bench| {
        let handler = bench.start_with("http-handler", &[], |spec| {
            listen_locally(spec);
            spec.http.response_timeout = std::time::Duration::from_secs(3_600);
        });
        let handler = handler.await;
        for _ in 0..64 {
            let addr = handler.addr();
            tokio::spawn(never_answered(addr));
        }
        crate::support::until(|| bench.engine.stats().instances >= 64).await;
        handler
    });
    kill_all(vec![attack.await]).await;
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_recursion() {
    let village = Village::new().await;
    repeated(
        &village,
        "recurse",
        |_| {},
        |exit| {
            let Exit::Trap { message } = exit else {
                panic!("{exit:?}")
            };
            assert!(message.contains("call stack exhausted"), "{message}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_memory() {
    let village = Village::new().await;
    let limited = |spec: &mut ContainerSpec| spec.memory_limit = Some(64 << 20);
    repeated(&village, "memory-hog", limited, |exit| {
        assert_eq!(exit, Exit::OutOfMemory);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_tables() {
    let village = Village::new().await;
    repeated(
        &village,
        "table-hog",
        |_| {},
        |exit| {
            assert_eq!(exit, Exit::Code(7));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_open_files() {
    let village = Village::new().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "").unwrap();
    let host = std::fs::canonicalize(dir.path()).unwrap();
    let mounted = move |spec: &mut ContainerSpec| {
        spec.mounts = vec![Mount {
            host: host.clone(),
            guest: "/data".to_owned(),
            read_only: true,
        }];
    };
    repeated(&village, "fd-flood", mounted, |exit| {
        // EMFILE of its own limit, or ENFILE of all guests'.
        assert!(matches!(exit, Exit::Code(33 | 41)), "{exit:?}");
    })
    .await;
}

/// Takes everything at once, as a fast disk would.
#[derive(Default)]
struct Counted(AtomicUsize);

#[async_trait::async_trait]
impl OutputSink for Counted {
    async fn write(&self, data: Bytes) {
        self.0.fetch_add(data.len(), Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logs() {
    let village = Village::new().await;
    let sink = Arc::new(Counted::default());
    let attackers = village.under("log flood", async |bench: &Bench| {
        let mut running = Vec::new();
        for _ in 0..BUSY {
            let sink = sink.clone();
            let start = bench.start_with("stdout-flood", &[], |spec| spec.stdout = sink);
            running.push(start.await);
        }
        running
    });
    kill_all(attackers.await).await;
    assert!(sink.0.load(Ordering::Relaxed) > 1 << 20, "it did flood");
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_want_no_end() {
    let village = Village::new().await;
    let attackers = village.under("deaf to signals", async |bench: &Bench| {
        let running = busy(bench, "signal-deaf").await;
        for attacker in &running {
            attacker.container.terminate();
        }
        running
    });
    kill_all(attackers.await).await;
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_core_instances_than_allowed() {
    let village = Village::new().await;
    let attack = village.under("many-instances", async |_: &Bench| {
        let module = village.bench.load("many-instances").await;
        let engine = village.bench.engine.clone();
        Repeated::start(2, move || {
            let (engine, module) = (engine.clone(), module.clone());
            async move {
                let sink = Collected::new();
                let spec = ContainerSpec::new("many-instances", sink.clone(), sink);
                let error = engine.start(&module, spec).await.unwrap_err();
                let expected = matches!(error, StartError::TooManyMemories { memories: 201, .. });
                assert!(expected, "{error}");
            }
        })
    });
    attack.await.stop().await;
    village.recovers().await;
}

/// One swaps a folder for a link that leads out of the volume, others open what is in it and make folders there.
#[tokio::test(flavor = "multi_thread")]
async fn path_escapes() {
    let village = Village::new().await;
    let dir = tempfile::tempdir().unwrap();
    let (volume, outside) = (dir.path().join("volume"), dir.path().join("outside"));
    std::fs::create_dir_all(volume.join("dir")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(volume.join("dir/file"), "inside").unwrap();
    std::fs::write(outside.join("file"), "Secret").unwrap();
    let shared = move |spec: &mut ContainerSpec| {
        spec.mounts.push(Mount {
            host: volume.clone(),
            guest: "/data".into(),
            read_only: false,
        });
    };
    let opening = village.bench.load("open-swapped").await;
    let attack = village.under("path escapes", async |bench: &Bench| {
        let swapping = bench.start_with("swap", &[], shared.clone()).await;
        let engine = bench.engine.clone();
        let opened = Repeated::start(2, move || {
            let (engine, module, shared) = (engine.clone(), opening.clone(), shared.clone());
            async move {
                let container = start(&engine, &module, shared).await;
                assert_eq!(soon(container.wait()).await, Exit::Code(0));
            }
        });
        (swapping, opened)
    });
    let (swapping, opened) = attack.await;
    opened.stop().await;
    kill_all(vec![swapping]).await;
    village.recovers().await;
    let names: Vec<_> = std::fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"], "nothing was made outside");
}

/// With all that could be known of where they are.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_other_pods_files() {
    let village = Village::new().await;
    let dir = tempfile::tempdir().unwrap();
    let pod = |name: &str| {
        let volume = dir.path().join(name);
        std::fs::create_dir_all(&volume).unwrap();
        std::fs::write(volume.join("file"), format!("{name}'s")).unwrap();
        move |spec: &mut ContainerSpec| {
            spec.mounts.push(Mount {
                host: volume.clone(),
                guest: "/data".into(),
                read_only: true,
            });
        }
    };
    let (mine, other) = (pod("mine"), pod("other"));
    let file = dir.path().join("other/file");
    let file = file.to_str().expect("a text");
    let mut guesses = vec![
        "../other/file".to_owned(),
        "./../mine/../other/file".to_owned(),
        file.to_owned(),
        format!("..{file}"),
        "../".repeat(16) + &file[1..],
        format!("/proc/self/root{file}"),
        format!("/proc/{}/root{file}", std::process::id()),
        "/dev/fd/3/../other/file".to_owned(),
        "/data/../other/file".to_owned(),
    ];
    // A link in its own volume leads nowhere else either.
    for (number, target) in ["../other/file", file].into_iter().enumerate() {
        let link = format!("link-{number}");
        std::os::unix::fs::symlink(target, dir.path().join("mine").join(&link)).unwrap();
        guesses.push(link);
    }
    let module = village.bench.load("read-file").await;
    let guesses = Arc::new(guesses);
    let made = Arc::new(AtomicUsize::new(0));
    let attack = village.under("guessed files", async |bench: &Bench| {
        let neighbour = bench.start_with("sleep", &[], other).await;
        let (engine, next, guesses) = (bench.engine.clone(), made.clone(), guesses.clone());
        let attack = Repeated::start(2, move || {
            let (engine, module, mine) = (engine.clone(), module.clone(), mine.clone());
            let number = next.fetch_add(1, Ordering::Relaxed);
            let guess = guesses[number % guesses.len()].clone();
            async move {
                let read = Collected::new();
                let run = async |path: &str| {
                    let mut spec = ContainerSpec::new("guess", read.clone(), read.clone());
                    spec.args = vec!["read-file".into(), path.into()];
                    mine(&mut spec);
                    let container = engine.start(&module, spec).await.expect("it starts");
                    soon(container.wait()).await
                };
                let exit = run(&guess).await;
                assert!(matches!(exit, Exit::Code(1..)), "{guess}: {exit:?}");
                assert_eq!(read.text(), "", "{guess}");
                // It can read what it has.
                assert_eq!(run("file").await, Exit::Code(0));
                assert_eq!(read.text(), "mine's");
            }
        });
        (neighbour, attack)
    });
    let (neighbour, attack) = attack.await;
    attack.stop().await;
    let made = made.load(Ordering::Relaxed);
    assert!(made >= guesses.len(), "only {made} of them were made");
    kill_all(vec![neighbour]).await;
    village.recovers().await;
}
