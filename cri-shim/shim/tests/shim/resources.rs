//! Limits of containers, and changing them.

use sampan_proto::{Code, RuntimeService, v1};

use crate::support::{Node, container};

fn limited(resources: v1::LinuxContainerResources, image: &str) -> v1::ContainerConfig {
    v1::ContainerConfig {
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(resources),
            ..Default::default()
        }),
        ..container("limited", image)
    }
}

async fn update(
    node: &Node,
    id: &str,
    linux: v1::LinuxContainerResources,
) -> Result<(), sampan_proto::CriError> {
    let request = v1::UpdateContainerResourcesRequest {
        container_id: id.to_string(),
        linux: Some(linux),
        ..Default::default()
    };
    node.shim
        .update_container_resources(request)
        .await
        .map(|_| ())
}

async fn cpu_nanos(node: &Node, id: &str) -> u64 {
    let request = v1::ContainerStatsRequest {
        container_id: id.to_string(),
    };
    let stats = node.shim.container_stats(request).await.expect("stats");
    let cpu = stats.stats.expect("stats").cpu.expect("cpu");
    cpu.usage_core_nano_seconds.expect("usage").value
}

#[tokio::test]
async fn a_running_container_takes_other_limits() {
    let node = Node::new();
    let spin = node.guest("spin").await;
    let sandbox = node.sandbox("pod").await;
    let least = v1::LinuxContainerResources {
        cpu_shares: 512,
        cpu_period: 100_000,
        cpu_quota: 1_000,
        ..Default::default()
    };
    let id = node.run(&sandbox, limited(least, &spin)).await;
    let more = v1::LinuxContainerResources {
        cpu_quota: 400_000,
        memory_limit_in_bytes: 1 << 20,
        ..Default::default()
    };
    update(&node, &id, more).await.expect("updated");
    let resources = node.status(&id).await.expect("status").resources;
    let linux = resources.expect("resources").linux.expect("linux");
    assert_eq!(
        (
            linux.cpu_shares,
            linux.cpu_quota,
            linux.memory_limit_in_bytes
        ),
        (512, 400_000, 1 << 20)
    );
    // Under the first quota this would take a minute.
    let begun = std::time::Instant::now();
    while cpu_nanos(&node, &id).await < 600_000_000 {
        assert!(
            begun.elapsed().as_secs() < 30,
            "it keeps to its first quota"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    node.stop(&id, 0).await.expect("stopped");
    let error = update(&node, &id, v1::LinuxContainerResources::default()).await;
    assert_eq!(
        error.expect_err("it has exited").code,
        Code::FailedPrecondition
    );
    let error = update(&node, "unknown-id", v1::LinuxContainerResources::default()).await;
    assert_eq!(error.expect_err("there is none").code, Code::NotFound);
}

/// A sandbox whose containers have these limits together.
async fn together(node: &Node, resources: v1::LinuxContainerResources) -> String {
    let linux = v1::LinuxPodSandboxConfig {
        resources: Some(resources),
        ..Default::default()
    };
    let request = v1::RunPodSandboxRequest {
        config: Some(v1::PodSandboxConfig {
            linux: Some(linux),
            ..node.pod("pod")
        }),
        runtime_handler: String::new(),
    };
    let sandbox = node.shim.run_pod_sandbox(request).await.expect("a sandbox");
    sandbox.pod_sandbox_id
}

async fn update_together(
    node: &Node,
    id: &str,
    resources: v1::LinuxContainerResources,
) -> Result<(), sampan_proto::CriError> {
    let request = v1::UpdatePodSandboxResourcesRequest {
        pod_sandbox_id: id.to_string(),
        resources: Some(resources),
        ..Default::default()
    };
    let updated = node.shim.update_pod_sandbox_resources(request).await;
    updated.map(|_| ())
}

#[tokio::test]
async fn a_sandbox_takes_other_limits_while_its_containers_run() {
    let node = Node::new();
    let (spin, patient) = (node.guest("spin").await, node.guest("patient").await);
    let least = v1::LinuxContainerResources {
        cpu_quota: 1_000,
        memory_limit_in_bytes: 4 << 20,
        ..Default::default()
    };
    let sandbox = together(&node, least).await;
    let busy = node.run(&sandbox, container("busy", &spin)).await;
    let waits = node.run(&sandbox, container("waits", &patient)).await;
    let status = node.status(&waits).await.expect("status");
    assert_eq!(status.state(), v1::ContainerState::ContainerRunning);
    let more = v1::LinuxContainerResources {
        cpu_quota: 400_000,
        memory_limit_in_bytes: 1 << 30,
        ..Default::default()
    };
    let updated = update_together(&node, &sandbox, more.clone()).await;
    updated.expect("updated");
    assert_eq!(node.exited(&waits).await.exit_code, 0);
    // Under the first quota this would take a minute.
    let begun = std::time::Instant::now();
    while cpu_nanos(&node, &busy).await < 600_000_000 {
        assert!(begun.elapsed().as_secs() < 30, "it keeps to the first");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    // A sandbox that had no limits can be given some.
    let free = node.sandbox("free").await;
    update_together(
        &node,
        &free,
        v1::LinuxContainerResources {
            memory_limit_in_bytes: 4 << 20,
            ..Default::default()
        },
    )
    .await
    .expect("updated");
    let hungry = node.guest("hungry").await;
    let wide = v1::LinuxContainerResources {
        memory_limit_in_bytes: 1 << 40,
        ..Default::default()
    };
    let id = node.run(&free, limited(wide, &hungry)).await;
    assert_eq!(node.exited(&id).await.reason, "OOMKilled");
    let error = update_together(&node, "unknown-id", more).await;
    assert_eq!(error.expect_err("there is none").code, Code::NotFound);
}

#[tokio::test]
async fn containers_of_a_sandbox_share_its_limits() {
    let node = Node::new();
    let hungry = node.guest("hungry").await;
    // What a container may use alone is more than all may use together.
    let narrow = v1::LinuxContainerResources {
        memory_limit_in_bytes: 4 << 20,
        ..Default::default()
    };
    let sandbox = together(&node, narrow).await;
    let wide = v1::LinuxContainerResources {
        memory_limit_in_bytes: 1 << 40,
        ..Default::default()
    };
    let id = node.run(&sandbox, limited(wide, &hungry)).await;
    let status = node.exited(&id).await;
    let ended = (status.exit_code, status.reason.as_str());
    assert_eq!(ended, (137, "OOMKilled"));
}

#[tokio::test]
async fn limits_changed_before_the_start_are_those_it_starts_with() {
    let node = Node::new();
    let hungry = node.guest("hungry").await;
    let sandbox = node.sandbox("pod").await;
    let wide = v1::LinuxContainerResources {
        memory_limit_in_bytes: 1 << 40,
        ..Default::default()
    };
    let id = node
        .create(&sandbox, limited(wide, &hungry))
        .await
        .expect("created");
    let narrow = v1::LinuxContainerResources {
        memory_limit_in_bytes: 1 << 20,
        ..Default::default()
    };
    update(&node, &id, narrow).await.expect("updated");
    node.start(&id).await.expect("started");
    let status = node.exited(&id).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );
}
