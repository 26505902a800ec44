//! The log file, through real guests.

use std::time::Duration;

use sampan_proto::{Code, RuntimeService, v1};
use sampan_shim::{LogRate, ShimConfig};

use crate::support::{Node, container, log, until};

fn reopen(id: &str) -> v1::ReopenContainerLogRequest {
    v1::ReopenContainerLogRequest {
        container_id: id.into(),
    }
}

#[tokio::test]
async fn the_log_exists_when_a_start_returns() {
    let node = Node::new();
    let image = node.guest("spin").await;
    let sandbox = node.sandbox("pod").await;
    let id = node
        .create(&sandbox, container("spin", &image))
        .await
        .expect("created");
    let path = node.path("logs/pod/spin/0.log");
    assert!(!path.exists());
    node.start(&id).await.expect("started");
    assert!(path.exists());
    until("the guest's line", || log(&path) == ["stdout F spinning"]).await;
}

#[tokio::test]
async fn a_container_without_log_path_runs_all_the_same() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let sandbox = node.sandbox("pod").await;
    let id = node
        .run(
            &sandbox,
            v1::ContainerConfig {
                log_path: String::new(),
                ..container("app", &image)
            },
        )
        .await;
    let status = node.exited(&id).await;
    assert_eq!((status.exit_code, status.log_path.as_str()), (0, ""));
}

#[tokio::test]
async fn a_reopened_log_is_a_new_file() {
    let node = Node::new();
    let (flood, exit) = (node.guest("flood").await, node.guest("exit").await);
    let sandbox = node.sandbox("pod").await;
    let id = node.run(&sandbox, container("flood", &flood)).await;
    let path = node.path("logs/pod/flood/0.log");
    until("output", || {
        path.metadata().is_ok_and(|metadata| metadata.len() > 0)
    })
    .await;
    std::fs::rename(&path, path.with_extension("old")).expect("renamed");
    node.shim
        .reopen_container_log(reopen(&id))
        .await
        .expect("reopened");
    assert!(path.exists());
    until("output in the new file", || {
        path.metadata().is_ok_and(|metadata| metadata.len() > 0)
    })
    .await;
    node.stop(&id, 0).await.expect("stopped");
    let line = format!("stdout F {}", "x".repeat(1023));
    assert_eq!(log(&path).first(), Some(&line));

    let created = node
        .create(&sandbox, container("app", &exit))
        .await
        .expect("created");
    let error = node
        .shim
        .reopen_container_log(reopen(&created))
        .await
        .expect_err("not running");
    assert_eq!(error.code, Code::FailedPrecondition);
    let error = node
        .shim
        .reopen_container_log(reopen("unknown-id"))
        .await
        .expect_err("unknown");
    assert_eq!(error.code, Code::NotFound);
}

#[tokio::test]
async fn a_flood_is_held_to_its_rate_and_disturbs_nobody() {
    let rate = LogRate {
        bytes_per_second: 64 << 10,
        burst_bytes: 64 << 10,
    };
    let node = Node::with(ShimConfig {
        log_rate: Some(rate),
        ..Default::default()
    });
    let (flood, exit) = (node.guest("flood").await, node.guest("exit").await);
    let sandbox = node.sandbox("flooding").await;
    let start = std::time::Instant::now();
    let id = node.run(&sandbox, container("flood", &flood)).await;
    let path = node.path("logs/flooding/flood/0.log");
    until("the burst", || {
        path.metadata()
            .is_ok_and(|metadata| metadata.len() > 64 << 10)
    })
    .await;
    let (status, _) = node.finish(container("quick", &exit)).await;
    assert_eq!(status.exit_code, 0);
    node.stop(&id, 0)
        .await
        .expect("a waiting guest can be killed");
    let allowed = (64 << 10) as f64 * (start.elapsed() + Duration::from_secs(1)).as_secs_f64();
    let written = path.metadata().expect("a log").len();
    // Times and stream names are not counted; they are 5 % of these lines.
    assert!(
        (written as f64) < allowed * 1.1 + 2048.0,
        "{written} bytes, {allowed} allowed"
    );
}

#[tokio::test]
async fn lost_lines_are_told_at_the_end() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let folder = node.path("logs/app/app");
    std::fs::create_dir_all(&folder).expect("made");
    std::os::unix::fs::symlink("/dev/full", folder.join("0.log")).expect("linked");
    let sandbox = node.sandbox("app").await;
    let id = node.run(&sandbox, container("app", &image)).await;
    let status = node.exited(&id).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (0, "Completed"),
        "a full disk ends no guest"
    );
    assert!(
        status.message.contains("No space left on device"),
        "{}",
        status.message
    );
}
