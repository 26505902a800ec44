//! Guests and requests that go wrong: told at the container they belong to, in words, by code.

use sampan_proto::v1::ContainerState::ContainerExited;
use sampan_proto::{Code, v1};

use crate::support::{Node, container};

#[tokio::test]
async fn a_guest_beyond_its_memory_limit_is_oom_killed() {
    let node = Node::new();
    let image = node.guest("hungry").await;
    let resources = v1::LinuxContainerResources {
        memory_limit_in_bytes: 15 << 20,
        ..Default::default()
    };
    let linux = Some(v1::LinuxContainerConfig {
        resources: Some(resources),
        security_context: None,
    });
    let (status, _) = node
        .finish(v1::ContainerConfig {
            linux,
            ..container("hungry", &image)
        })
        .await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );
}

#[tokio::test]
async fn a_trap_is_an_error_with_its_words() {
    let node = Node::new();
    let image = node.guest("trap").await;
    let (status, _) = node.finish(container("trap", &image)).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (134, "Error"));
    assert!(
        status.message.contains("divide by zero"),
        "{}",
        status.message
    );
}

#[tokio::test]
async fn requests_that_cannot_be_served_say_why() {
    let node = Node::new();
    let good = node.guest("exit").await;
    let damaged = node
        .image("damaged", b"\0asm\x01\0\0\0 and then nonsense")
        .await;
    let foreign = wat::parse_str(
        r#"(module (import "env" "magic" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let foreign = node.image("foreign", &foreign.expect("valid")).await;
    let sandbox = node.sandbox("pod").await;
    let base = container("app", &good);
    let annotation = |value: &str| {
        [(
            "io.kubernetes.container.ports".to_string(),
            value.to_string(),
        )]
        .into()
    };
    let mount = |host: &str| v1::Mount {
        host_path: host.into(),
        container_path: "/data".into(),
        ..Default::default()
    };
    let group_alone = v1::LinuxContainerSecurityContext {
        run_as_group: Some(v1::Int64Value { value: 1 }),
        ..Default::default()
    };
    let cases = [
        (
            "unknown image",
            container("app", "nowhere:v1"),
            Code::NotFound,
            "nowhere:v1",
        ),
        (
            "unknown id",
            container("app", &format!("sha256:{}", "0".repeat(64))),
            Code::NotFound,
            "sha256:0",
        ),
        (
            "damaged module",
            container("app", &damaged),
            Code::InvalidArgument,
            "module",
        ),
        (
            "foreign import",
            container("app", &foreign),
            Code::InvalidArgument,
            "env.magic",
        ),
        (
            "no name",
            v1::ContainerConfig {
                metadata: None,
                ..base.clone()
            },
            Code::InvalidArgument,
            "metadata",
        ),
        (
            "missing mount",
            v1::ContainerConfig {
                mounts: vec![mount("/does/not/exist")],
                ..base.clone()
            },
            Code::InvalidArgument,
            "/does/not/exist",
        ),
        (
            "log elsewhere",
            v1::ContainerConfig {
                log_path: "../x.log".into(),
                ..base.clone()
            },
            Code::InvalidArgument,
            "log_path",
        ),
        (
            "bad ports",
            v1::ContainerConfig {
                annotations: annotation("{"),
                ..base.clone()
            },
            Code::InvalidArgument,
            "ports",
        ),
        (
            "large annotation",
            v1::ContainerConfig {
                annotations: annotation(&"x".repeat(1 << 20)),
                ..base.clone()
            },
            Code::InvalidArgument,
            "annotations take",
        ),
        (
            "bad variable",
            v1::ContainerConfig {
                envs: vec![v1::KeyValue {
                    key: "A".into(),
                    value: vec![0xff],
                }],
                ..base.clone()
            },
            Code::InvalidArgument,
            "\"A\"",
        ),
        (
            "group without user",
            v1::ContainerConfig {
                linux: Some(v1::LinuxContainerConfig {
                    security_context: Some(group_alone),
                    resources: None,
                }),
                ..base.clone()
            },
            Code::InvalidArgument,
            "run_as_group",
        ),
    ];
    for (what, config, code, text) in cases {
        let error = node.create(&sandbox, config).await.expect_err(what);
        assert_eq!(error.code, code, "{what}: {error}");
        assert!(error.message.contains(text), "{what}: {error}");
    }
    let nowhere = node
        .create("no-such-sandbox", base)
        .await
        .expect_err("unknown sandbox");
    assert_eq!(nowhere.code, Code::NotFound);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_fails_the_start() {
    let node = Node::new();
    let image = node.guest("exit").await;
    std::fs::write(node.path("logs"), "a file where a folder should be").expect("written");
    let sandbox = node.sandbox("pod").await;
    let id = node
        .create(&sandbox, container("app", &image))
        .await
        .expect("created");
    let error = node.start(&id).await.expect_err("no log");
    assert_eq!(error.code, Code::Internal);
    let status = node.status(&id).await.expect("known");
    assert_eq!(
        (status.state(), status.exit_code, status.reason.as_str()),
        (ContainerExited, 128, "StartError")
    );
    assert_eq!(status.message, error.message);
    assert!(error.message.contains("log file"), "{error}");
}

#[tokio::test]
async fn unknown_ids_stop_and_remove_without_error_but_have_no_status() {
    let node = Node::new();
    let unknown = "f".repeat(64);
    node.stop(&unknown, 0).await.expect("nothing to stop");
    node.remove(&unknown).await.expect("nothing to remove");
    assert_eq!(
        node.status(&unknown).await.expect_err("unknown").code,
        Code::NotFound
    );
    assert_eq!(
        node.start(&unknown).await.expect_err("unknown").code,
        Code::NotFound
    );
}

#[tokio::test]
async fn a_guest_writes_its_termination_message_into_the_mounted_file() {
    let node = Node::new();
    let image = node.guest("file").await;
    let message = node.path("message");
    std::fs::write(&message, "").expect("written");
    let mount = v1::Mount {
        host_path: message.display().to_string(),
        container_path: "/dev/termination-log".into(),
        ..Default::default()
    };
    let config = v1::ContainerConfig {
        mounts: vec![mount],
        ..container("file", &image)
    };
    let (status, _) = node.finish(config).await;
    assert_eq!(status.exit_code, 0);
    assert_eq!(std::fs::read_to_string(&message).expect("read"), "done\n");
}
