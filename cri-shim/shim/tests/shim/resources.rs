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

#[tokio::test]
async fn containers_of_a_sandbox_share_its_limits() {
    let node = Node::new();
    let hungry = node.guest("hungry").await;
    let together = |resources| {
        let linux = v1::LinuxPodSandboxConfig {
            resources: Some(resources),
            ..Default::default()
        };
        v1::RunPodSandboxRequest {
            config: Some(v1::PodSandboxConfig {
                linux: Some(linux),
                ..node.pod("pod")
            }),
            runtime_handler: String::new(),
        }
    };
    // What a container may use alone is more than all may use together.
    let sandbox = together(v1::LinuxContainerResources {
        memory_limit_in_bytes: 4 << 20,
        ..Default::default()
    });
    let sandbox = node.shim.run_pod_sandbox(sandbox).await.expect("a sandbox");
    let sandbox = sandbox.pod_sandbox_id;
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
