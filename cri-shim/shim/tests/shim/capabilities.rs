//! What a module can reach is told before it runs, and refused where it is forbidden.

use sampan_proto::{CAPABILITIES_INFO, Code, FORBIDDEN_CAPABILITIES, RuntimeService, v1};

use crate::support::{Node, container, wat_with};

async fn sandbox(node: &Node, name: &str, forbidden: &str) -> String {
    let mut config = node.pod(name);
    let annotation = (FORBIDDEN_CAPABILITIES.to_string(), forbidden.to_string());
    config.annotations.extend([annotation]);
    let request = v1::RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: String::new(),
    };
    node.shim
        .run_pod_sandbox(request)
        .await
        .expect("a sandbox")
        .pod_sandbox_id
}

#[tokio::test]
async fn a_verbose_status_tells_capabilities() {
    let node = Node::new();
    let image = node.guest("file").await;
    let sandbox = sandbox(&node, "pod", "").await;
    let id = node
        .create(&sandbox, container("file", &image))
        .await
        .expect("created, not started");
    for (verbose, expected) in [(true, Some("stdio,filesystem".to_string())), (false, None)] {
        let request = v1::ContainerStatusRequest {
            container_id: id.clone(),
            verbose,
        };
        let response = node.shim.container_status(request).await.expect("known");
        assert_eq!(response.info.get(CAPABILITIES_INFO).cloned(), expected);
    }
}

#[tokio::test]
async fn what_is_forbidden_is_not_made() {
    let node = Node::new();
    let file = node.guest("file").await;
    let spin = node.guest("spin").await;
    let http = node.image("http", &wat_with("http", "STATUS", "200")).await;
    for (forbidden, refused, text) in [
        (
            "sockets,filesystem",
            &file,
            "imports wasi_snapshot_preview1.path_open, which needs the capability \"filesystem\"; \
             the label forbid.sampan.dev/filesystem of the namespace forbids it",
        ),
        ("http-server", &http, "forbid.sampan.dev/http-server"),
        (
            "socket",
            &spin,
            "forbids a capability that this runtime does not know",
        ),
    ] {
        let sandbox = sandbox(&node, forbidden, forbidden).await;
        let error = node
            .create(&sandbox, container("app", refused))
            .await
            .expect_err("forbidden");
        assert_eq!(error.code, Code::PermissionDenied);
        assert!(error.message.contains(text), "{error}");
        // Others in the same sandbox are not touched by that.
        let other = node.create(&sandbox, container("spin", &spin)).await;
        assert_eq!(other.is_ok(), forbidden != "socket", "{other:?}");
    }
}
