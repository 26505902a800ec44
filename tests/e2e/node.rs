//! The node as the API shows it, and a node that joins from another process.

use crate::support::{Cluster, Guest, PodSpec, Program, eventually, sampan};

#[test]
fn the_node_describes_itself() {
    let cluster = Cluster::start_with(&[
        "--resource",
        "example.com/gpu=2",
        "--node-label",
        "site=shore",
    ]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "node/test-node",
        "--timeout=60s",
    ]);
    let wide = kubectl.ok(&["get", "nodes", "-o", "wide"]);
    assert!(
        wide.contains("sampan://") && wide.contains("v1.36"),
        "{wide}"
    );
    assert_eq!(
        kubectl.field("node/test-node", ".status.allocatable.example\\.com/gpu"),
        "2"
    );
    assert_eq!(
        kubectl.field("node/test-node", ".metadata.labels.site"),
        "shore"
    );
    let described = kubectl.ok(&["describe", "node", "test-node"]);
    assert!(
        described.contains("Lease:") && described.contains("Allocatable:"),
        "{described}"
    );
    kubectl.ok(&["get", "lease", "test-node", "-n", "kube-node-lease"]);
    cluster.stop();
}

#[test]
fn a_server_and_an_agent_in_two_processes() {
    let cluster = Cluster::serve(&["--node-name", "edge"]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };

    let mut command = sampan();
    command
        .arg("agent")
        .arg("--kubeconfig")
        .arg(cluster.data().join("agent.kubeconfig"));
    let mut agent = Program::start(
        command
            .arg("--data-dir")
            .arg(cluster.folder.path().join("agent")),
    );
    agent.wait_for("Node edge runs");
    eventually("the node registers", || {
        kubectl.run(&["get", "node", "edge"]).success.then_some(())
    });
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "node/edge",
        "--timeout=60s",
    ]);
    cluster.push(Guest::Hello, "hello");
    kubectl.apply(&PodSpec::new("p", "hello").to_string());
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/p",
        "--timeout=60s",
    ]);
    assert_eq!(kubectl.ok(&["logs", "p"]), "hello guest\n");
    agent.signal("TERM");
    assert!(agent.finish().0.success());
    cluster.stop();
}
