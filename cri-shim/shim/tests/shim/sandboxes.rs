//! Sandboxes: addresses, states, names, handlers.

use sampan_proto::v1::PodSandboxState::*;
use sampan_proto::{Code, RuntimeService, v1};

use crate::support::Node;

fn stop(id: &str) -> v1::StopPodSandboxRequest {
    v1::StopPodSandboxRequest {
        pod_sandbox_id: id.into(),
    }
}

fn remove(id: &str) -> v1::RemovePodSandboxRequest {
    v1::RemovePodSandboxRequest {
        pod_sandbox_id: id.into(),
    }
}

fn run(config: v1::PodSandboxConfig) -> v1::RunPodSandboxRequest {
    v1::RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: "wasm".into(),
    }
}

#[tokio::test]
async fn a_sandbox_is_ready_then_stopped_then_gone() {
    let node = Node::new();
    let config = v1::PodSandboxConfig {
        annotations: [("a".to_string(), "b".to_string())].into(),
        ..node.pod("web")
    };
    let id = node
        .shim
        .run_pod_sandbox(run(config.clone()))
        .await
        .expect("run")
        .pod_sandbox_id;
    let status = node.sandbox_status(&id).await.expect("known");
    assert_eq!((id.len(), status.state()), (64, SandboxReady));
    assert_eq!(
        (status.metadata, status.labels, status.annotations),
        (config.metadata, config.labels, config.annotations)
    );
    assert_eq!(status.runtime_handler, "wasm");
    assert!(status.created_at > 0);
    assert!(status.network.expect("a network").ip.starts_with("127."));

    for _ in 0..2 {
        node.shim
            .stop_pod_sandbox(stop(&id))
            .await
            .expect("stopped");
        let status = node.sandbox_status(&id).await.expect("known");
        assert_eq!((status.state(), status.network), (SandboxNotready, None));
    }
    for _ in 0..2 {
        node.shim
            .remove_pod_sandbox(remove(&id))
            .await
            .expect("removed");
        assert_eq!(
            node.sandbox_status(&id).await.expect_err("gone").code,
            Code::NotFound
        );
    }
    node.shim
        .stop_pod_sandbox(stop(&id))
        .await
        .expect("stopping the unknown is no error");
}

#[tokio::test]
async fn addresses_differ_and_ids_may_be_shortened() {
    let node = Node::new();
    let (a, b) = (node.sandbox("a").await, node.sandbox("b").await);
    assert_ne!(node.ip(&a).await, node.ip(&b).await);
    assert_eq!(node.sandbox_status(&a[..12]).await.expect("known").id, a);
    assert_eq!(
        node.sandbox_status(&a[..3])
            .await
            .expect_err("too short")
            .code,
        Code::NotFound
    );
}

#[tokio::test]
async fn a_name_is_free_again_after_removal() {
    let node = Node::new();
    let id = node.sandbox("web").await;
    let twin = node
        .shim
        .run_pod_sandbox(run(node.pod("web")))
        .await
        .expect_err("in use");
    assert_eq!(twin.code, Code::AlreadyExists);
    node.shim
        .remove_pod_sandbox(remove(&id))
        .await
        .expect("removed");
    node.sandbox("web").await;
}

#[tokio::test]
async fn host_network_is_echoed_and_has_no_address() {
    let node = Node::new();
    let options = v1::NamespaceOption {
        network: v1::NamespaceMode::Node.into(),
        ..Default::default()
    };
    let security_context = v1::LinuxSandboxSecurityContext {
        namespace_options: Some(options),
        ..Default::default()
    };
    let linux = v1::LinuxPodSandboxConfig {
        security_context: Some(security_context),
        ..Default::default()
    };
    let config = v1::PodSandboxConfig {
        linux: Some(linux),
        ..node.pod("host")
    };
    let id = node
        .shim
        .run_pod_sandbox(run(config))
        .await
        .expect("run")
        .pod_sandbox_id;
    let status = node.sandbox_status(&id).await.expect("known");
    assert_eq!(status.network, None);
    let namespaces = status
        .linux
        .and_then(|linux| linux.namespaces)
        .expect("namespaces");
    assert_eq!(
        namespaces.options.expect("options").network(),
        v1::NamespaceMode::Node
    );
}

#[tokio::test]
async fn what_is_no_sandbox_is_refused() {
    let node = Node::new();
    let base = node.pod("web");
    let long = v1::PodSandboxConfig {
        hostname: "x".repeat(2 << 10),
        ..base.clone()
    };
    let cases = [
        (
            "handler",
            v1::RunPodSandboxRequest {
                config: Some(base.clone()),
                runtime_handler: "runc".into(),
            },
        ),
        ("config", v1::RunPodSandboxRequest::default()),
        (
            "metadata",
            run(v1::PodSandboxConfig {
                metadata: None,
                ..base
            }),
        ),
        ("bytes", run(long)),
    ];
    for (text, request) in cases {
        let error = node.shim.run_pod_sandbox(request).await.expect_err(text);
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[tokio::test]
async fn the_runtime_tells_what_it_is() {
    let node = Node::new();
    let version = node
        .shim
        .version(v1::VersionRequest::default())
        .await
        .expect("a version");
    assert_eq!(
        (
            version.version.as_str(),
            version.runtime_api_version.as_str()
        ),
        ("0.1.0", "v1")
    );
    assert_eq!(version.runtime_name, "sampan");
    assert!(!version.runtime_version.is_empty());

    let network = v1::NetworkConfig {
        pod_cidr: "10.1.0.0/24".into(),
    };
    let config = v1::RuntimeConfig {
        network_config: Some(network),
    };
    let update = v1::UpdateRuntimeConfigRequest {
        runtime_config: Some(config),
    };
    node.shim.update_runtime_config(update).await.expect("kept");
    let status = node
        .shim
        .status(v1::StatusRequest { verbose: true })
        .await
        .expect("a status");
    let conditions = status.status.expect("conditions").conditions;
    assert!(conditions.iter().all(|condition| condition.status));
    let kinds: Vec<&str> = conditions
        .iter()
        .map(|condition| condition.r#type.as_str())
        .collect();
    assert_eq!(kinds, ["RuntimeReady", "NetworkReady"]);
    let handlers: Vec<&str> = status
        .runtime_handlers
        .iter()
        .map(|handler| handler.name.as_str())
        .collect();
    assert_eq!(handlers, ["", "wasm"]);
    assert!(
        status.info["config"].contains("10.1.0.0/24"),
        "{:?}",
        status.info
    );

    let config = node
        .shim
        .runtime_config(v1::RuntimeConfigRequest {})
        .await
        .expect("a config");
    assert_eq!(
        config.linux.expect("linux").cgroup_driver(),
        v1::CgroupDriver::Cgroupfs
    );
}
