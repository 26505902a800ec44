//! List calls with their filters, and stats.

use sampan_proto::v1::ContainerState::*;
use sampan_proto::{Code, RuntimeService, v1};

use crate::support::{Node, container, log, until};

async fn names(node: &Node, filter: Option<v1::ContainerFilter>) -> Vec<String> {
    let response = node
        .shim
        .list_containers(v1::ListContainersRequest { filter })
        .await
        .expect("a list");
    response
        .containers
        .into_iter()
        .map(|item| item.metadata.expect("metadata").name)
        .collect()
}

async fn stats(node: &Node, filter: Option<v1::ContainerStatsFilter>) -> Vec<v1::ContainerStats> {
    node.shim
        .list_container_stats(v1::ListContainerStatsRequest { filter })
        .await
        .expect("stats")
        .stats
}

#[tokio::test]
async fn lists_are_filtered_by_id_state_sandbox_and_labels() {
    let node = Node::new();
    let (spin, exit) = (node.guest("spin").await, node.guest("exit").await);
    let (a, b) = (node.sandbox("a").await, node.sandbox("b").await);
    let labels = [("app".to_string(), "web".to_string())];
    let running = node
        .run(
            &a,
            v1::ContainerConfig {
                labels: labels.clone().into(),
                ..container("running", &spin)
            },
        )
        .await;
    let exited = node.run(&a, container("exited", &exit)).await;
    node.exited(&exited).await;
    node.create(&b, container("created", &exit))
        .await
        .expect("created");

    let all = v1::ContainerFilter::default();
    let state = |state: v1::ContainerState| {
        Some(v1::ContainerStateValue {
            state: state.into(),
        })
    };
    let cases = [
        (None, vec!["running", "exited", "created"]),
        (Some(all.clone()), vec!["running", "exited", "created"]),
        (
            Some(v1::ContainerFilter {
                id: running.clone(),
                ..all.clone()
            }),
            vec!["running"],
        ),
        (
            Some(v1::ContainerFilter {
                id: running[..10].into(),
                ..all.clone()
            }),
            vec!["running"],
        ),
        (
            Some(v1::ContainerFilter {
                state: state(ContainerCreated),
                ..all.clone()
            }),
            vec!["created"],
        ),
        (
            Some(v1::ContainerFilter {
                state: state(ContainerExited),
                ..all.clone()
            }),
            vec!["exited"],
        ),
        (
            Some(v1::ContainerFilter {
                pod_sandbox_id: a.clone(),
                ..all.clone()
            }),
            vec!["running", "exited"],
        ),
        (
            Some(v1::ContainerFilter {
                label_selector: labels.into(),
                ..all.clone()
            }),
            vec!["running"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(names(&node, filter.clone()).await, expected, "{filter:?}");
    }
    let item = node
        .shim
        .list_containers(v1::ListContainersRequest::default())
        .await
        .expect("a list")
        .containers
        .remove(0);
    assert_eq!(
        (
            item.image_id.as_str(),
            item.image_ref.as_str(),
            item.pod_sandbox_id.as_str()
        ),
        (spin.as_str(), spin.as_str(), a.as_str())
    );

    let by_pod = v1::PodSandboxFilter {
        label_selector: [("pod".to_string(), "b".to_string())].into(),
        ..Default::default()
    };
    let items = node
        .shim
        .list_pod_sandbox(v1::ListPodSandboxRequest {
            filter: Some(by_pod),
        })
        .await
        .expect("a list")
        .items;
    assert_eq!(items.iter().map(|item| &item.id).collect::<Vec<_>>(), [&b]);
}

#[tokio::test]
async fn stats_are_told_for_what_has_not_ended() {
    let node = Node::new();
    let (spin, exit) = (node.guest("spin").await, node.guest("exit").await);
    let sandbox = node.sandbox("pod").await;
    let spinning = node.run(&sandbox, container("spinning", &spin)).await;
    let ended = node.run(&sandbox, container("ended", &exit)).await;
    node.exited(&ended).await;

    // A start returns before a command's first instruction; its memory is there when it speaks.
    let path = node.path("logs/pod/spinning/0.log");
    until("the guest's line", || !log(&path).is_empty()).await;

    let own = v1::ContainerStatsFilter {
        id: spinning.clone(),
        ..Default::default()
    };
    let listed = stats(&node, Some(own)).await;
    let listed = listed.first().expect("stats of the running one");
    assert_eq!(listed.attributes.as_ref().expect("attributes").id, spinning);
    assert!(listed.cpu.as_ref().expect("cpu").timestamp > 0);
    let memory = listed.memory.as_ref().expect("memory");
    assert!(memory.working_set_bytes.expect("bytes").value >= 64 << 10);
    assert!(
        !listed
            .writable_layer
            .as_ref()
            .expect("a layer")
            .fs_id
            .as_ref()
            .expect("an id")
            .mountpoint
            .is_empty()
    );
    assert_eq!(stats(&node, None).await.len(), 1);
    let other = v1::ContainerStatsFilter {
        pod_sandbox_id: "f".repeat(64),
        ..Default::default()
    };
    assert!(stats(&node, Some(other)).await.is_empty());

    let one = |id: &str| v1::ContainerStatsRequest {
        container_id: id.into(),
    };
    let last = node
        .shim
        .container_stats(one(&ended))
        .await
        .expect("known")
        .stats
        .expect("stats");
    assert_eq!(
        last.memory
            .expect("memory")
            .working_set_bytes
            .expect("bytes")
            .value,
        0
    );
    assert_eq!(
        node.shim
            .container_stats(one("unknown-id"))
            .await
            .expect_err("unknown")
            .code,
        Code::NotFound
    );
}
