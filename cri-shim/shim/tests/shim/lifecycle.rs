//! From creation to removal.

use sampan_proto::v1::ContainerEventType::*;
use sampan_proto::v1::ContainerState::*;
use sampan_proto::{Code, RuntimeService, v1};

use futures::StreamExt;

use crate::support::{Node, container};

#[tokio::test]
async fn a_program_gets_its_arguments_and_environment_and_its_end_is_told() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let key = |key: &str, value: &str| v1::KeyValue {
        key: key.into(),
        value: value.into(),
    };
    let config = v1::ContainerConfig {
        args: vec!["one".into(), "two words".into()],
        envs: vec![key("A", "1"), key("B", "")],
        ..container("app", &image)
    };
    let (status, log) = node.finish(config).await;
    assert_eq!((status.state(), status.exit_code), (ContainerExited, 2));
    assert_eq!(
        (status.reason.as_str(), status.message.as_str()),
        ("Error", "")
    );
    assert!(
        status.created_at > 0 && status.created_at <= status.started_at,
        "{status:?}"
    );
    assert!(status.started_at <= status.finished_at, "{status:?}");
    assert!(
        log.contains(&"stdout F app\0one\0two words\0".to_string()),
        "{log:?}"
    );
    assert!(
        log.contains(&"stdout F HOSTNAME=app\0A=1\0B=\0".to_string()),
        "{log:?}"
    );
    assert!(log.contains(&"stderr F to stderr".to_string()), "{log:?}");
}

#[tokio::test]
async fn exit_code_zero_is_completed() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let (status, _) = node.finish(container("app", &image)).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
}

#[tokio::test]
async fn a_status_echoes_what_was_asked_for() {
    let node = Node::new();
    let image = node.guest("spin").await;
    let sandbox = node.sandbox("pod").await;
    let mount = v1::Mount {
        host_path: node.path("modules").display().to_string(),
        container_path: "/data".into(),
        readonly: true,
        ..Default::default()
    };
    let resources = v1::LinuxContainerResources {
        cpu_shares: 2,
        memory_limit_in_bytes: 64 << 20,
        ..Default::default()
    };
    let config = v1::ContainerConfig {
        labels: [(
            "io.kubernetes.container.name".to_string(),
            "app".to_string(),
        )]
        .into(),
        annotations: [("io.kubernetes.container.hash".to_string(), "1f".to_string())].into(),
        mounts: vec![mount.clone()],
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(resources.clone()),
            security_context: None,
        }),
        ..container("app", &image)
    };
    let id = node
        .create(&sandbox, config.clone())
        .await
        .expect("created");
    let status = node.status(&id).await.expect("known");
    assert_eq!(id.len(), 64);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(status.state(), ContainerCreated);
    assert_eq!(status.metadata, config.metadata);
    assert_eq!(
        (status.labels, status.annotations),
        (config.labels, config.annotations)
    );
    assert_eq!(status.mounts, [mount]);
    assert_eq!(status.resources.expect("resources").linux, Some(resources));
    assert_eq!(
        (status.image_id.as_str(), status.image_ref.as_str()),
        (image.as_str(), image.as_str())
    );
    assert_eq!(status.image.expect("an image").image, "app:v1");
    assert_eq!(
        status.log_path,
        node.path("logs/pod/app/0.log").display().to_string()
    );
}

#[tokio::test]
async fn a_spinning_guest_is_stopped_and_killed() {
    let node = Node::new();
    let image = node.guest("spin").await;
    // A command cannot hear a request to end, so it ends at once, by signal 15; without grace by 9.
    for (name, grace, code) in [("asked", 30, 143), ("killed", 0, 137)] {
        let sandbox = node.sandbox(name).await;
        let id = node.run(&sandbox, container("spin", &image)).await;
        assert_eq!(
            node.status(&id).await.expect("known").state(),
            ContainerRunning
        );
        node.stop(&id, grace).await.expect("stopped");
        let status = node.status(&id).await.expect("known");
        assert_eq!(
            (status.state(), status.exit_code, status.reason.as_str()),
            (ContainerExited, code, "Error")
        );
        node.stop(&id, grace)
            .await
            .expect("stopping again changes nothing");
    }
}

#[tokio::test]
async fn two_containers_share_a_sandbox_and_end_with_it() {
    let node = Node::new();
    let (spin, exit) = (node.guest("spin").await, node.guest("exit").await);
    let sandbox = node.sandbox("pod").await;
    let long = node.run(&sandbox, container("long", &spin)).await;
    let short = node.run(&sandbox, container("short", &exit)).await;
    assert_eq!(node.exited(&short).await.exit_code, 0);
    assert_eq!(
        node.status(&long).await.expect("known").state(),
        ContainerRunning
    );
    let stop = v1::StopPodSandboxRequest {
        pod_sandbox_id: sandbox.clone(),
    };
    node.shim.stop_pod_sandbox(stop).await.expect("stopped");
    assert_eq!(node.status(&long).await.expect("known").exit_code, 137);
    let refused = node
        .create(&sandbox, container("late", &exit))
        .await
        .expect_err("the sandbox is stopped");
    assert_eq!(refused.code, Code::FailedPrecondition);
}

#[tokio::test]
async fn a_container_starts_once_and_a_name_is_used_once() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let sandbox = node.sandbox("pod").await;
    let id = node.run(&sandbox, container("app", &image)).await;
    assert_eq!(
        node.start(&id).await.expect_err("once").code,
        Code::FailedPrecondition
    );
    let twin = node
        .create(&sandbox, container("app", &image))
        .await
        .expect_err("the name is in use");
    assert_eq!(twin.code, Code::AlreadyExists);
    let metadata = Some(v1::ContainerMetadata {
        name: "app".into(),
        attempt: 1,
    });
    let next = v1::ContainerConfig {
        metadata,
        ..container("app", &image)
    };
    node.create(&sandbox, next)
        .await
        .expect("another attempt is another name");
}

#[tokio::test]
async fn a_running_container_can_be_removed_and_is_gone() {
    let node = Node::new();
    let image = node.guest("spin").await;
    let sandbox = node.sandbox("pod").await;
    let id = node.run(&sandbox, container("spin", &image)).await;
    node.remove(&id).await.expect("removed");
    assert_eq!(
        node.status(&id).await.expect_err("gone").code,
        Code::NotFound
    );
    node.remove(&id)
        .await
        .expect("removing again changes nothing");
    assert!(
        node.path("logs/pod/spin/0.log").exists(),
        "the log is the agent's to remove"
    );
    node.run(&sandbox, container("spin", &image)).await;
}

#[tokio::test]
async fn events_tell_of_each_change_with_the_state_of_the_pod() {
    let node = Node::new();
    let image = node.guest("exit").await;
    let sandbox = node.sandbox("pod").await;
    let mut events = node
        .shim
        .get_container_events(v1::GetEventsRequest {})
        .await
        .expect("a stream");
    let id = node.run(&sandbox, container("app", &image)).await;
    node.exited(&id).await;
    node.remove(&id).await.expect("removed");
    let expected = [
        (ContainerCreatedEvent, Some(ContainerCreated)),
        (ContainerStartedEvent, Some(ContainerRunning)),
        (ContainerStoppedEvent, Some(ContainerExited)),
        (ContainerDeletedEvent, None),
    ];
    for (kind, state) in expected {
        let event = events.next().await.expect("an event");
        assert_eq!(
            (event.container_id.as_str(), event.container_event_type()),
            (id.as_str(), kind)
        );
        assert!(event.created_at > 0);
        assert_eq!(
            event.pod_sandbox_status.as_ref().expect("the pod").id,
            sandbox
        );
        assert_eq!(
            event
                .containers_statuses
                .first()
                .map(|status| status.state()),
            state
        );
    }
}

#[tokio::test]
async fn shutdown_ends_everything_and_lets_nothing_start() {
    let node = Node::new();
    let image = node.guest("spin").await;
    let sandbox = node.sandbox("pod").await;
    let running = node.run(&sandbox, container("running", &image)).await;
    let created = node
        .create(&sandbox, container("created", &image))
        .await
        .expect("created");
    node.shim.shutdown(std::time::Duration::from_secs(30)).await;
    assert_eq!(node.status(&running).await.expect("known").exit_code, 143);
    assert_eq!(
        node.start(&created).await.expect_err("too late").code,
        Code::FailedPrecondition
    );
}
