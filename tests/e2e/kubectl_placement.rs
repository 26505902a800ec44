//! Where pods are placed because of other pods. The nodes are objects that nobody runs: only the scheduler looks at them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Cluster, Kubectl, PodSpec, eventually};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

/// A server and its scheduler, with nodes `a` and `b` in zone 1 and `c` in zone 2.
fn cluster() -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::serve(&["--controllers="]);
    let kubectl = cluster.kubectl()?;
    kubectl.ok(&["create", "serviceaccount", "default"]);
    for (name, zone) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let node = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {ZONE: zone, HOST: name}},
            "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "100"},
                       "conditions": [{"type": "Ready", "status": "True"}]}});
        kubectl.apply(&node.to_string());
    }
    Some((cluster, kubectl))
}

fn pod(name: &str, app: &str, spec: &[(&str, Value)]) -> String {
    let pod = PodSpec::new(name, "none").with("/metadata/labels", json!({"app": app}));
    let with = |pod: PodSpec, (field, value): &(&str, Value)| {
        pod.with(&format!("/spec/{field}"), value.clone())
    };
    spec.iter().fold(pod, with).json().to_string()
}

fn required(kind: &str, app: &str, key: &str) -> (&'static str, Value) {
    let term = json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key});
    let rules = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
    ("affinity", json!({ kind: rules }))
}

fn node_of(kubectl: &Kubectl, pod: &str) -> String {
    eventually(&format!("{pod} has a node"), || {
        let node = kubectl.field(&format!("pod/{pod}"), ".spec.nodeName");
        (!node.is_empty()).then_some(node)
    })
}

fn waits_because(kubectl: &Kubectl, pod: &str, why: &str) {
    let message = eventually("why it waits", || {
        let path = ".status.conditions[?(@.type==\"PodScheduled\")].message";
        let message = kubectl.field(&format!("pod/{pod}"), path);
        (!message.is_empty()).then_some(message)
    });
    assert_eq!(message, why);
}

#[test]
fn pods_keep_away_from_each_other_and_come_near() {
    let Some((cluster, kubectl)) = cluster() else {
        return;
    };
    let lonely = |name: &str| {
        let away = required("podAntiAffinity", "lonely", HOST);
        kubectl.apply(&pod(name, "lonely", &[away]));
    };
    let names = ["lonely-1", "lonely-2", "lonely-3"];
    names.into_iter().for_each(lonely);
    let nodes: BTreeSet<String> = names.map(|name| node_of(&kubectl, name)).into();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    lonely("lonely-4");
    let why = "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. \
               preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    waits_because(&kubectl, "lonely-4", why);
    let freed = node_of(&kubectl, "lonely-2");
    kubectl.ok(&["delete", "pod", "lonely-2", "--force", "--grace-period=0"]);
    assert_eq!(node_of(&kubectl, "lonely-4"), freed);

    kubectl.apply(&pod(
        "near",
        "near",
        &[required("podAffinity", "late", ZONE)],
    ));
    let why = "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. \
               preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    waits_because(&kubectl, "near", why);
    let here = ("nodeSelector", json!({HOST: "c"}));
    kubectl.apply(&pod("late", "late", &[here]));
    assert_eq!(node_of(&kubectl, "near"), "c");
    cluster.stop();
}

#[test]
fn pods_are_spread_and_gates_hold_them() {
    let Some((cluster, kubectl)) = cluster() else {
        return;
    };
    let constraint = json!([{"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "even"}}}]);
    let names: Vec<String> = (1..=6).map(|at| format!("even-{at}")).collect();
    for name in &names {
        let spread = ("topologySpreadConstraints", constraint.clone());
        kubectl.apply(&pod(name, "even", &[spread]));
    }
    let nodes = names.iter().map(|name| node_of(&kubectl, name));
    assert_eq!(nodes.filter(|node| node == "c").count(), 3);

    let gates = ("schedulingGates", json!([{"name": "example.com/wait"}]));
    kubectl.apply(&pod("gated", "gated", &[gates]));
    // A later pod has a node: the gated one was passed over.
    kubectl.apply(&pod("later", "later", &[]));
    node_of(&kubectl, "later");
    assert_eq!(kubectl.field("pod/gated", ".spec.nodeName"), "");
    let open = r#"{"spec":{"schedulingGates":null}}"#;
    kubectl.ok(&["patch", "pod", "gated", "-p", open]);
    node_of(&kubectl, "gated");
    cluster.stop();
}

#[test]
fn important_pods_take_the_room_of_less_important_ones() {
    let Some((cluster, kubectl)) = cluster() else {
        return;
    };
    for (name, value) in [("least", 1), ("low", 10), ("high", 1000)] {
        let value = format!("--value={value}");
        kubectl.ok(&["create", "priorityclass", name, &value]);
    }
    let large = |name: &str, priority: &str| {
        let resources = json!({"requests": {"cpu": "3"}});
        let pod = PodSpec::new(name, "none")
            .with("/spec/priorityClassName", json!(priority))
            .with("/spec/containers/0/resources", resources);
        kubectl.apply(&pod.json().to_string());
    };
    for (name, priority) in [("low-1", "low"), ("least", "least"), ("low-2", "low")] {
        large(name, priority);
    }
    let room = node_of(&kubectl, "least");
    for name in ["low-1", "low-2"] {
        node_of(&kubectl, name);
    }
    large("high", "high");
    let chosen = eventually("a node that is made free", || {
        let node = kubectl.field("pod/high", ".status.nominatedNodeName");
        (!node.is_empty()).then_some(node)
    });
    assert_eq!(chosen, room);
    let why = ".status.conditions[?(@.type==\"DisruptionTarget\")].reason";
    assert_eq!(kubectl.field("pod/least", why), "PreemptionByScheduler");
    assert_ne!(
        kubectl.field("pod/least", ".metadata.deletionTimestamp"),
        ""
    );
    assert_eq!(
        kubectl.field("pod/low-1", ".metadata.deletionTimestamp"),
        ""
    );
    eventually("the event", || {
        let events = kubectl.ok(&["events", "--for", "pod/least"]);
        events.contains("Preempted").then_some(())
    });
    // Nobody runs the node, so nobody says that its pod has ended.
    assert_eq!(kubectl.field("pod/high", ".spec.nodeName"), "");
    kubectl.ok(&["delete", "pod", "least", "--force", "--grace-period=0"]);
    assert_eq!(node_of(&kubectl, "high"), room);
    assert_eq!(kubectl.field("pod/high", ".status.nominatedNodeName"), "");
    // Who is not important enough waits.
    large("late", "least");
    let why = "0/3 nodes are available: 3 Insufficient cpu. \
               preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    waits_because(&kubectl, "late", why);
    cluster.stop();
}
