//! Nodes as administrators handle them: cordons, taints, drains.

use serde_json::json;

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually};

/// With a node's credentials one reads what its pods name, and no other Secret.
#[test]
fn a_node_reads_what_its_pods_name() {
    let cluster = Cluster::start();
    let (Some(kubectl), Some(node)) = (
        cluster.kubectl(),
        Kubectl::find(
            cluster.data().join("agent.kubeconfig"),
            cluster.folder.path(),
        ),
    ) else {
        return;
    };
    cluster.push(Guest::Hello, "hello:v1");
    for name in ["named", "other"] {
        kubectl.ok(&["create", "secret", "generic", name, "--from-literal=a=b"]);
    }
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "named", "key": "a"}}}]);
    let pod = PodSpec::new("reader", "hello:v1").container("env", env);
    kubectl.apply(&pod.to_string());
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/reader",
        "--timeout=90s",
    ]);
    assert_eq!(
        node.ok(&["get", "secret", "named", "-o", "name"]),
        "secret/named\n"
    );
    for args in [
        &["get", "secret", "other"][..],
        &["get", "secrets"],
        &["get", "pods", "-A"],
    ] {
        let refused = node.fails(args);
        assert!(
            refused.contains("Error from server (Forbidden)"),
            "{refused}"
        );
    }
    let why = "no relationship found between node 'test-node' and this object";
    let refused = node.fails(&["get", "secret", "other"]);
    assert!(refused.contains(why), "{refused}");
    cluster.stop();
}

#[test]
fn cordons_and_taints() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["cordon", "test-node"]);
    let table = kubectl.ok(&["get", "nodes"]);
    assert!(table.contains("Ready,SchedulingDisabled"), "{table}");
    let again = kubectl.ok(&["cordon", "test-node"]);
    assert!(again.contains("already cordoned"), "{again}");
    kubectl.ok(&["uncordon", "test-node"]);
    assert!(!kubectl.ok(&["get", "nodes"]).contains("SchedulingDisabled"));
    let taints = || kubectl.field("node/test-node", ".spec.taints");
    kubectl.ok(&["taint", "node", "test-node", "gpu=yes:NoSchedule"]);
    assert_eq!(
        taints(),
        r#"[{"effect":"NoSchedule","key":"gpu","value":"yes"}]"#
    );
    let refused = kubectl.fails(&["taint", "node", "test-node", "gpu=no:NoSchedule"]);
    assert!(refused.contains("already has gpu taint"), "{refused}");
    kubectl.ok(&[
        "taint",
        "node",
        "test-node",
        "gpu=no:NoSchedule",
        "--overwrite",
    ]);
    kubectl.ok(&["taint", "node", "test-node", "gpu-"]);
    assert_eq!(taints(), "");
    kubectl.ok(&[
        "label",
        "node",
        "test-node",
        "node-role.kubernetes.io/edge=",
    ]);
    let wide = kubectl.ok(&["get", "nodes", "-o", "wide"]);
    let row: Vec<&str> = wide
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(row[2], "edge", "{wide}");
    let described = kubectl.ok(&["describe", "node", "test-node"]);
    assert!(described.contains("Allocated resources"), "{described}");
    cluster.stop();
}

#[test]
fn a_drain_evicts_what_runs() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Sleep, "sleep:v1");
    kubectl.apply(&PodSpec::new("stays", "sleep:v1").json().to_string());
    eventually("the pod runs", || {
        (kubectl.field("pod/stays", ".status.phase") == "Running").then_some(())
    });
    let refused = kubectl.fails(&["drain", "test-node", "--timeout=20s"]);
    assert!(refused.contains("declare no controller"), "{refused}");
    let drained = kubectl.ok(&["drain", "test-node", "--force", "--timeout=60s"]);
    assert!(
        drained.contains("evicting pod default/stays")
            && drained.contains("node/test-node drained"),
        "{drained}"
    );
    assert!(
        kubectl
            .fails(&["get", "pod", "stays"])
            .contains("not found")
    );
    kubectl.ok(&["uncordon", "test-node"]);
    cluster.stop();
}
