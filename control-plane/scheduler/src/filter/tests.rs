use super::*;
use crate::snapshot::Snapshot;
use serde_json::{Value, json};

fn node(extra: Value) -> Value {
    let mut node = json!({
        "metadata": {"name": "n", "labels": {"zone": "a", "size": "4"}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2", "example.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    json_patch_merge(&mut node, extra);
    node
}

fn json_patch_merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                json_patch_merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn check(spec: Value, node_extra: Value, expected: &[&str]) {
    let mut full = json!({"containers": [{"name": "c"}]});
    json_patch_merge(&mut full, spec);
    let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": full})).expect("pod");
    let mut snapshot = Snapshot::default();
    snapshot.node_applied(&serde_json::from_value(node(node_extra)).expect("node"));
    let info = snapshot.nodes().next().expect("the node");
    let candidate = Candidate::new(&pod, &snapshot).expect("it has no volumes");
    let reasons = refusal(&candidate, info).map(|refusal| refusal.reasons);
    assert_eq!(reasons.unwrap_or_default(), expected, "{pod:?}");
}

fn requests(requests: Value) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": requests}}]})
}

#[test]
fn a_plain_pod_fits() {
    check(json!({}), json!({}), &[]);
}

#[test]
fn state_of_the_node() {
    for (status, key) in [("Unknown", "unreachable"), ("False", "not-ready")] {
        let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        let taint = format!("node(s) had untolerated taint(s) {{node.kubernetes.io/{key}: }}");
        check(json!({}), not_ready.clone(), &[&taint]);
        let key = format!("node.kubernetes.io/{key}");
        let tolerations = json!([{"key": key, "operator": "Exists", "effect": "NoSchedule"}]);
        check(json!({ "tolerations": tolerations }), not_ready, &[]);
        let gone = json!([{"key": key, "operator": "Exists", "effect": "NoExecute"}]);
        let tainted = json!({"spec": {"taints": [{"key": key, "effect": "NoExecute"}]},
            "status": {"conditions": [{"type": "Ready", "status": status}]}});
        check(json!({ "tolerations": gone }), tainted, &[&taint]);
    }
    check(json!({}), json!({"status": {"conditions": []}}), &[]);
    let cordoned = json!({"spec": {"unschedulable": true}});
    check(json!({}), cordoned.clone(), &["node(s) were unschedulable"]);
    check(
        json!({"tolerations": [{"operator": "Exists"}]}),
        cordoned,
        &[],
    );
}

#[test]
fn taints() {
    let tainted =
        |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    let reason: &[&str] = &["node(s) had untolerated taint(s) {k: v}"];
    check(json!({}), tainted("NoSchedule"), reason);
    check(json!({}), tainted("NoExecute"), reason);
    check(json!({}), tainted("PreferNoSchedule"), &[]);
    let equal = json!({"tolerations": [{"key": "k", "value": "v"}]});
    check(equal, tainted("NoSchedule"), &[]);
    let other = json!({"tolerations": [{"key": "k", "value": "w"}]});
    check(other, tainted("NoSchedule"), reason);
    let exists =
        json!({"tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute"}]});
    check(exists, tainted("NoSchedule"), reason);
}

#[test]
fn selectors_and_affinity() {
    let reason: &[&str] = &["node(s) didn't match Pod's node affinity/selector"];
    check(json!({"nodeSelector": {"zone": "a"}}), json!({}), &[]);
    check(json!({"nodeSelector": {"zone": "b"}}), json!({}), reason);
    let affinity = |key: &str, operator: &str, values: Value| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions":
                [{"key": key, "operator": operator, "values": values}]}]}}}})
    };
    check(affinity("zone", "In", json!(["b", "a"])), json!({}), &[]);
    check(affinity("zone", "NotIn", json!(["a"])), json!({}), reason);
    check(affinity("none", "NotIn", json!(["a"])), json!({}), &[]);
    check(affinity("zone", "Exists", json!([])), json!({}), &[]);
    check(
        affinity("zone", "DoesNotExist", json!([])),
        json!({}),
        reason,
    );
    check(affinity("size", "Gt", json!(["3"])), json!({}), &[]);
    check(affinity("size", "Lt", json!(["3"])), json!({}), reason);
}

#[test]
fn resources() {
    check(
        requests(json!({"cpu": "2", "memory": "1Gi", "example.com/gpu": "1"})),
        json!({}),
        &[],
    );
    check(
        requests(json!({"cpu": "2001m", "memory": "2Gi"})),
        json!({}),
        &["Insufficient cpu", "Insufficient memory"],
    );
    check(
        requests(json!({"example.com/gpu": "2"})),
        json!({}),
        &["Insufficient example.com/gpu"],
    );
    check(
        requests(json!({"example.com/none": "1"})),
        json!({}),
        &["Insufficient example.com/none"],
    );
    check(
        json!({}),
        json!({"status": {"allocatable": {"pods": "0"}}}),
        &["Too many pods"],
    );
}
