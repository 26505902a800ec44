//! WASI 0.3: commands, files, handlers, and the limits that hold for them as for others.

use crate::support::{Bench, Blocked, Running, get, listen_locally, raw, soon, until};
use bytes::Bytes;
use http::StatusCode;
use sampan_engine::{ContainerSpec, Exit, Mount, VolumeLimit, Workload};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Numbers of `wasi:filesystem` error codes of 0.3, as the guest reports them.
const QUOTA: Exit = Exit::Code(105);
const READ_ONLY: Exit = Exit::Code(132);
const INSUFFICIENT_SPACE: Exit = Exit::Code(122);
const NAME_TOO_LONG: Exit = Exit::Code(117);

/// So many arguments, the guest's name included.
fn arguments(count: usize) -> Vec<&'static str> {
    vec!["x"; count - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run() {
    let bench = Bench::new();
    let module = bench.load("p3-command").await;
    assert_eq!(module.workload(), Workload::Command);
    for (count, expected) in [(1, 0), (2, 1), (3, 42), (8, 0)] {
        let (exit, stdout, stderr) = bench.run("p3-command", &arguments(count)).await;
        let expected = (Exit::Code(expected), "hello from p3\n", "");
        assert_eq!((exit, stdout.as_str(), stderr.as_str()), expected);
    }
    let (exit, stdout, stderr) = bench.run("p3-command", &arguments(4)).await;
    let Exit::Trap { message } = exit else {
        panic!("{exit:?}")
    };
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(
        (stdout.as_str(), stderr),
        ("hello from p3\n", format!("{message}\n"))
    );
}

/// A guest in a tight loop, one that waits for a clock, and one blocked on a full sink.
async fn stubborn(bench: &Bench) -> Vec<Running> {
    let spinning = bench.start("p3-command", &arguments(5)).await;
    spinning.stdout.contains("hello").await;
    let sleeping = bench.start("p3-command", &arguments(6)).await;
    sleeping.stdout.contains("hello").await;
    let sink = Arc::new(Blocked::default());
    let blocked = |spec: &mut ContainerSpec| spec.stdout = sink.clone();
    let flooding = bench.start_with("p3-command", &arguments(7), blocked).await;
    until(|| *sink.offered.lock() > 0).await;
    vec![spinning, sleeping, flooding]
}

#[tokio::test(flavor = "multi_thread")]
async fn any_command_can_be_ended() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    for running in stubborn(&bench).await {
        neighbour.is_healthy().await;
        running.container.kill();
        assert_eq!(soon(running.container.wait()).await, Exit::Signal(9));
    }
    for running in stubborn(&bench).await {
        running.container.terminate();
        assert_eq!(soon(running.container.wait()).await, Exit::Signal(15));
    }
    drop(stubborn(&bench).await);
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_as_fast_as_its_sink() {
    let bench = Bench::new();
    let sink = Arc::new(Blocked::default());
    let blocked = |spec: &mut ContainerSpec| spec.stdout = sink.clone();
    let flooding = bench.start_with("p3-command", &arguments(7), blocked).await;
    until(|| *sink.offered.lock() > 0).await;
    // One write is under way; what the guest has beyond it stays in its own memory.
    assert!(*sink.offered.lock() <= 64 << 10);
    assert!(flooding.container.stats().memory_bytes <= 256 << 10);
}

async fn with_mount(
    bench: &Bench,
    (host, guest): (&Path, &str),
    count: usize,
    change: impl FnOnce(&mut ContainerSpec),
) -> Exit {
    let mount = Mount {
        host: host.to_owned(),
        guest: guest.to_owned(),
        read_only: false,
    };
    let mounted = |spec: &mut ContainerSpec| {
        spec.mounts = vec![mount];
        spec.max_open_files = 50;
        change(spec);
    };
    let (exit, ..) = bench.run_with("p3-files", &arguments(count), mounted).await;
    exit
}

async fn with_files(bench: &Bench, dir: &Path, count: usize, read_only: bool) -> Exit {
    let change = |spec: &mut ContainerSpec| spec.mounts[0].read_only = read_only;
    with_mount(bench, (dir, "/data"), count, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_holds_what_it_may() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    let limit = VolumeLimit {
        path: dir.path().to_owned(),
        bytes: 100 << 10,
    };
    let limited = |spec: &mut ContainerSpec| spec.volume_limits = vec![limit];
    let exit = with_mount(&bench, (dir.path(), "/data"), 7, limited).await;
    assert_eq!(exit, INSUFFICIENT_SPACE);
    let length = fs::metadata(&file).unwrap().len();
    assert!(length > 0 && length <= 100 << 10, "{length}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_path_does_not_wait_for_a_full_volume() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for number in 0..1_024 {
        fs::write(dir.path().join(number.to_string()), "").unwrap();
    }
    let limited = |spec: &mut ContainerSpec| {
        spec.volume_limits = vec![VolumeLimit {
            path: dir.path().to_owned(),
            bytes: 0,
        }];
    };
    for (count, expected) in [(2, INSUFFICIENT_SPACE), (8, NAME_TOO_LONG)] {
        let exit = with_mount(&bench, (dir.path(), "/data"), count, limited).await;
        assert_eq!(exit, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_under_way_are_limited_and_memory() {
    let bench = Bench::new();
    let (exit, ..) = bench.run("p3-many-waits", &[]).await;
    let Exit::Trap { message } = exit else {
        panic!("{exit:?}")
    };
    assert!(message.contains("handle"), "{message}");
    let small = |spec: &mut ContainerSpec| spec.memory_limit = Some(4 << 20);
    let (exit, ..) = bench.run_with("p3-many-waits", &[], small).await;
    assert_eq!(exit, Exit::OutOfMemory);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_mounted_file_nothing_is_made() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    let exit = with_mount(&bench, (&file, "/data/f"), 2, |_| {}).await;
    assert_eq!(exit, READ_ONLY);
    let exit = with_mount(&bench, (&file, "/data/f"), 6, |_| {}).await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(fs::read(&file).unwrap(), b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_a_read_only_mount_say_so() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "").unwrap();
    // Opens for writing; makes a folder; writes to what was opened for reading.
    for count in [1, 2, 4] {
        assert_eq!(
            with_files(&bench, dir.path(), count, true).await,
            READ_ONLY,
            "{count}"
        );
    }
    assert!(!dir.path().join("g").exists());
    for count in [1, 2, 6] {
        assert_eq!(
            with_files(&bench, dir.path(), count, false).await,
            Exit::Code(0),
            "{count}"
        );
    }
    assert!(dir.path().join("g").is_dir());
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_are_counted_until_they_are_closed() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "").unwrap();
    assert_eq!(with_files(&bench, dir.path(), 3, false).await, QUOTA);
    assert_eq!(
        with_files(&bench, dir.path(), 5, false).await,
        Exit::Code(0)
    );
}

async fn handler(bench: &Bench, change: impl FnOnce(&mut ContainerSpec)) -> Running {
    let listening = |spec: &mut ContainerSpec| {
        listen_locally(spec);
        change(spec);
    };
    bench.start_with("p3-http-handler", &[], listening).await
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_answer_with_an_instance_per_request() {
    let bench = Bench::new();
    let module = bench.load("p3-http-handler").await;
    assert_eq!(module.workload(), Workload::HttpHandler);
    let handler = handler(&bench, |_| {}).await;
    let requests = (0..50).map(|_| get(handler.addr(), "/n"));
    for (status, body) in soon(futures::future::join_all(requests)).await {
        let expected = (StatusCode::OK, Bytes::from_static(b"1 req\n"));
        assert_eq!((status, body.unwrap()), expected);
    }
    bench.empty().await;
    handler.is_healthy().await;
    assert!(handler.container.stats().cpu_nanos > 0);
    handler.container.terminate();
    assert_eq!(soon(handler.container.wait()).await, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_one_requests_own() {
    let bench = Bench::new();
    let handler = handler(&bench, |spec| {
        spec.memory_limit = Some(4 << 20);
        spec.http.response_timeout = Duration::from_millis(300);
    })
    .await;
    let cases = [
        ("/t", StatusCode::INTERNAL_SERVER_ERROR),
        ("/m", StatusCode::SERVICE_UNAVAILABLE),
        ("/s", StatusCode::GATEWAY_TIMEOUT),
        ("/i", StatusCode::GATEWAY_TIMEOUT),
    ];
    for (path, expected) in cases {
        assert_eq!(soon(get(handler.addr(), path)).await.0, expected, "{path}");
        handler.is_healthy().await;
    }
    handler.stderr.contains("unreachable").await;
    handler.stderr.contains("memory limit").await;
    let answer = soon(raw(handler.addr(), "/h")).await;
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "half a response does not look whole: {answer}"
    );
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_may_work_on_after_its_response_until_its_time_is_over() {
    let bench = Bench::new();
    let handler = handler(&bench, |spec| {
        spec.http.request_timeout = Duration::from_millis(500);
    })
    .await;
    assert_eq!(soon(get(handler.addr(), "/w")).await.1.unwrap(), "hello\n");
    handler.stderr.contains("its time was over").await;
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_instance_along() {
    let bench = Bench::new();
    let handler = handler(&bench, |_| {}).await;
    for path in ["/i", "/s"] {
        let request = tokio::spawn(get(handler.addr(), path));
        until(|| bench.engine.stats().instances == 1).await;
        request.abort();
        bench.empty().await;
    }
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_follow_the_rules_of_outgoing_requests() {
    let bench = Bench::with(|config| config.pod_addresses = Some(([127, 0, 0, 0].into(), 28)));
    let server = bench
        .start_with("p3-http-handler", &[], |spec| {
            spec.listen = vec!["127.0.0.3:0".parse().unwrap()];
        })
        .await;
    let authority = server.addr().to_string();
    let (exit, ..) = bench.run("p3-http-client", &[&authority]).await;
    assert_eq!(exit, Exit::Code(0));
    let forbidden = |spec: &mut ContainerSpec| spec.http.allow_outgoing = false;
    let (exit, ..) = bench
        .run_with("p3-http-client", &[&authority], forbidden)
        .await;
    assert_eq!(exit, Exit::Code(115), "denied");
    let host = format!("127.0.0.53:{}", server.addr().port());
    let (exit, ..) = bench.run("p3-http-client", &[&host]).await;
    assert_eq!(exit, Exit::Code(104), "the host's loopback is out of reach");
}
