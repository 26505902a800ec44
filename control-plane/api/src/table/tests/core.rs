//! Kinds of the core group.

use serde_json::{Value, json};

use super::super::printer;
use super::{NOW, row};
use crate::object::set;

#[test]
fn small_kinds() {
    let meta = |rest: Value| {
        let mut value = rest;
        set(&mut value, "metadata.name", "a");
        value
    };
    assert_eq!(
        row(
            "",
            "Namespace",
            meta(json!({"status": {"phase": "Active"}}))
        ),
        json!(["a", "Active", "5m3s"])
    );
    assert_eq!(
        row(
            "",
            "ConfigMap",
            meta(json!({"data": {"x": ""}, "binaryData": {"y": ""}}))
        ),
        json!(["a", 2, "5m3s"])
    );
    assert_eq!(
        row(
            "",
            "Secret",
            meta(json!({"type": "Opaque", "data": {"x": ""}}))
        ),
        json!(["a", "Opaque", 1, "5m3s"])
    );
    assert_eq!(
        row(
            "coordination.k8s.io",
            "Lease",
            meta(json!({"spec": {"holderIdentity": "n"}}))
        ),
        json!(["a", "n", "5m3s"])
    );
}

/// READY, STATUS and RESTARTS of a pod with two containers.
fn pod(status: Value) -> (String, String, String) {
    let value = json!({"metadata": {"name": "p"}, "status": status, "spec": {
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}]}});
    let row = row("", "Pod", value);
    let cell = |at: usize| row[at].as_str().unwrap_or("?").to_owned();
    (cell(1), cell(2), cell(3))
}

#[test]
fn pods() {
    let check = |status: Value, expect: (&str, &str, &str)| {
        let (ready, status_cell, restarts) = pod(status.clone());
        assert_eq!((&*ready, &*status_cell, &*restarts), expect, "{status}");
    };
    let running = |name: &str| json!({"name": name, "ready": true, "state": {"running": {}}});
    let waiting = |reason: &str| json!({"state": {"waiting": {"reason": reason}}});
    let ended = |fields: Value| json!({"state": {"terminated": fields}});
    check(json!({"phase": "Pending"}), ("0/3", "Pending", "0"));
    check(
        json!({"phase": "Failed", "reason": "Evicted"}),
        ("0/3", "Evicted", "0"),
    );
    check(
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
        ("0/3", "SchedulingGated", "0"),
    );
    check(
        json!({"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing")]}),
        ("0/3", "Init:0/2", "0"),
    );
    check(
        json!({"phase": "Pending", "initContainerStatuses": [waiting("CrashLoopBackOff")]}),
        ("0/3", "Init:CrashLoopBackOff", "0"),
    );
    check(
        json!({"phase": "Pending", "initContainerStatuses": [ended(json!({"exitCode": 3}))]}),
        ("0/3", "Init:ExitCode:3", "0"),
    );
    let done = json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}},
        {"name": "s", "started": true, "ready": true, "state": {"running": {}}}]);
    check(
        json!({"phase": "Running", "initContainerStatuses": done,
            "containerStatuses": [running("a"), running("b")]}),
        ("3/3", "Running", "0"),
    );
    check(
        json!({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating"), {}]}),
        ("0/3", "ContainerCreating", "0"),
    );
    check(
        json!({"phase": "Running", "containerStatuses": [
            {"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"finishedAt": "2026-11-23T01:25:00Z"}}},
            running("b")]}),
        ("1/3", "CrashLoopBackOff", "3 (5m ago)"),
    );
    check(
        json!({"phase": "Running", "containerStatuses": [
            ended(json!({"reason": "Completed"})), running("b")]}),
        ("1/3", "NotReady", "0"),
    );
    check(
        json!({"phase": "Running", "containerStatuses": [
            ended(json!({"reason": "Completed"})), ended(json!({"reason": "Error", "exitCode": 1}))]}),
        ("0/3", "Error", "0"),
    );
    check(
        json!({"phase": "Succeeded", "containerStatuses": [ended(json!({"reason": "Completed"}))]}),
        ("0/3", "Completed", "0"),
    );
    check(
        json!({"phase": "Failed", "containerStatuses": [ended(json!({"reason": "OOMKilled"}))]}),
        ("0/3", "OOMKilled", "0"),
    );
    check(
        json!({"phase": "Failed", "containerStatuses": [ended(json!({"signal": 9}))]}),
        ("0/3", "Signal:9", "0"),
    );
}

/// Comparing each with each would take minutes.
#[test]
fn pods_of_many_parts() {
    let named =
        |at: usize| json!({"name": at.to_string(), "state": {"terminated": {"exitCode": 0}}});
    let all: Vec<Value> = (0..60_000).map(named).collect();
    let gates: Vec<Value> = (0..60_000)
        .map(|at| json!({"conditionType": at.to_string()}))
        .collect();
    let conditions = (1..60_000).map(|at| json!({"type": at.to_string(), "status": "True"}));
    let value = json!({"metadata": {"name": "p"},
        "spec": {"initContainers": all, "readinessGates": gates},
        "status": {"initContainerStatuses": all, "conditions": conditions.collect::<Value>()}});
    let row = row("", "Pod", value);
    assert_eq!(row[8], "59999/60000");
}

#[test]
fn pods_that_go_and_wide_columns() {
    let gone = json!({"metadata": {"name": "p", "deletionTimestamp": NOW}, "status":
        {"phase": "Running", "podIPs": [{"ip": "127.64.0.2"}], "conditions":
            [{"type": "x/y", "status": "True"}]},
        "spec": {"nodeName": "n", "containers": [{"name": "a"}],
            "readinessGates": [{"conditionType": "x/y"}, {"conditionType": "x/z"}]}});
    assert_eq!(
        row("", "Pod", gone),
        json!([
            "p",
            "0/1",
            "Terminating",
            "0",
            "5m3s",
            "127.64.0.2",
            "n",
            "<none>",
            "1/2"
        ])
    );
    let printer = printer("", "Pod");
    let ended = json!({"status": {"phase": "Succeeded"}});
    assert_eq!(printer.conditions(&ended)[0]["reason"], "Succeeded");
    assert!(printer.conditions(&json!({})).is_empty());
}

#[test]
fn nodes() {
    let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/edge": "",
            "kubernetes.io/role": "boss", "node-role.kubernetes.io/": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Linux",
                "architecture": "arm64"}}});
    assert_eq!(
        row("", "Node", node),
        json!([
            "n",
            "Ready,SchedulingDisabled",
            "boss,edge",
            "5m3s",
            "v1.36.0",
            "10.0.0.1",
            "<none>",
            "Linux",
            "<unknown> (arm64)",
            "<unknown>"
        ])
    );
    assert_eq!(
        row("", "Node", json!({"metadata": {"name": "n"}}))[1],
        "Unknown"
    );
}

#[test]
fn services() {
    let check = |spec: Value, expect: Value| {
        let row = row(
            "",
            "Service",
            json!({"metadata": {"name": "s"}, "spec": spec}),
        );
        assert_eq!(row, expect);
    };
    check(
        json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"b": "2", "a": "1"},
            "ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}),
        json!([
            "s",
            "ClusterIP",
            "10.0.0.1",
            "<none>",
            "80/TCP,53/UDP",
            "5m3s",
            "a=1,b=2"
        ]),
    );
    check(
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]}),
        json!([
            "s",
            "NodePort",
            "<none>",
            "<none>",
            "80:30080/TCP",
            "5m3s",
            "<none>"
        ]),
    );
    check(
        json!({"type": "LoadBalancer"}),
        json!([
            "s",
            "LoadBalancer",
            "<none>",
            "<pending>",
            "<none>",
            "5m3s",
            "<none>"
        ]),
    );
    check(
        json!({"type": "ExternalName", "externalName": "x.y"}),
        json!([
            "s",
            "ExternalName",
            "<none>",
            "x.y",
            "<none>",
            "5m3s",
            "<none>"
        ]),
    );
}

#[test]
fn events() {
    let core = json!({"metadata": {"name": "e"}, "type": "Normal", "reason": "Started",
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "message": " hi\n", "source": {"component": "kubelet", "host": "n"}, "count": 4,
        "firstTimestamp": "2026-11-23T01:29:00Z", "lastTimestamp": "2026-11-23T01:29:58Z"});
    let expect = json!([
        "2s",
        "Normal",
        "Started",
        "pod/p",
        "spec.containers{c}",
        "kubelet, n",
        "hi",
        "60s",
        4,
        "e"
    ]);
    assert_eq!(row("", "Event", core.clone()), expect);
    let new = crate::convert::event(&core, crate::convert::EVENTS_EVENT);
    assert_eq!(row("events.k8s.io", "Event", new), expect);
    let single = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Node", "name": "n"},
        "eventTime": "2026-11-23T01:29:50.000000Z", "reportingController": "c"});
    let row = row("events.k8s.io", "Event", single);
    assert_eq!(
        (&row[0], &row[5], &row[8]),
        (&json!("10s"), &json!("c"), &json!(1))
    );
}
