use serde_json::{Value, json};

use super::*;
use crate::object::set;
use crate::resource::{Resource, find};

const NOW: &str = "2026-11-23T01:30:00Z";

fn row(group: &str, plural: &str, mut value: Value) -> Value {
    let resource = find(group, "v1", plural).expect("served");
    set(
        &mut value,
        "metadata.creationTimestamp",
        "2026-11-23T01:24:57Z",
    );
    let cells = cells(resource, &value, time::parse(NOW).expect("a time"));
    assert_eq!(
        Some(cells.len()),
        columns(resource).as_array().map(Vec::len)
    );
    cells.into()
}

fn shown(resource: &Resource) -> Vec<(String, String, String, u64)> {
    let text = |column: &Value, field: &str| column[field].as_str().unwrap_or("?").to_owned();
    let columns = columns(resource);
    let each = columns.as_array().expect("a list").iter();
    each.map(|one| {
        let priority = one["priority"].as_u64().expect("a number");
        (
            text(one, "name"),
            text(one, "type"),
            text(one, "format"),
            priority,
        )
    })
    .collect()
}

#[test]
fn column_definitions() {
    let check = |group: &str, plural: &str, expect: &[(&str, u64)]| {
        let resource = find(group, "v1", plural).expect("served");
        let expect: Vec<_> = expect
            .iter()
            .map(|(name, priority)| {
                let format = if *name == "Name" { "name" } else { "" };
                (
                    (*name).to_owned(),
                    "string".to_owned(),
                    format.to_owned(),
                    *priority,
                )
            })
            .collect();
        assert_eq!(shown(resource), expect, "{plural}");
    };
    check(
        "",
        "pods",
        &[
            ("Name", 0),
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
    );
    check(
        "",
        "nodes",
        &[
            ("Name", 0),
            ("Status", 0),
            ("Roles", 0),
            ("Age", 0),
            ("Version", 0),
            ("Internal-IP", 1),
            ("External-IP", 1),
            ("OS-Image", 1),
            ("Kernel-Version", 1),
            ("Container-Runtime", 1),
        ],
    );
    check(
        "",
        "services",
        &[
            ("Name", 0),
            ("Type", 0),
            ("Cluster-IP", 0),
            ("External-IP", 0),
            ("Port(s)", 0),
            ("Age", 0),
            ("Selector", 1),
        ],
    );
    let events = [
        ("Last Seen", 0),
        ("Type", 0),
        ("Reason", 0),
        ("Object", 0),
        ("Subobject", 1),
        ("Source", 1),
        ("Message", 0),
        ("First Seen", 1),
        ("Count", 1),
        ("Name", 1),
    ];
    check("", "events", &events);
    check("events.k8s.io", "events", &events);
    check("", "namespaces", &[("Name", 0), ("Status", 0), ("Age", 0)]);
    check("", "configmaps", &[("Name", 0), ("Data", 0), ("Age", 0)]);
    check(
        "",
        "secrets",
        &[("Name", 0), ("Type", 0), ("Data", 0), ("Age", 0)],
    );
    check("", "serviceaccounts", &[("Name", 0), ("Age", 0)]);
    check(
        "coordination.k8s.io",
        "leases",
        &[("Name", 0), ("Holder", 0), ("Age", 0)],
    );
    check(
        "node.k8s.io",
        "runtimeclasses",
        &[("Name", 0), ("Handler", 0), ("Age", 0)],
    );
}

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
            "namespaces",
            meta(json!({"status": {"phase": "Active"}}))
        ),
        json!(["a", "Active", "5m3s"])
    );
    assert_eq!(
        row(
            "",
            "configmaps",
            meta(json!({"data": {"x": ""}, "binaryData": {"y": ""}}))
        ),
        json!(["a", 2, "5m3s"])
    );
    assert_eq!(
        row(
            "",
            "secrets",
            meta(json!({"type": "Opaque", "data": {"x": ""}}))
        ),
        json!(["a", "Opaque", 1, "5m3s"])
    );
    assert_eq!(
        row(
            "coordination.k8s.io",
            "leases",
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
    let row = row("", "pods", value);
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

#[test]
fn pods_that_go_and_wide_columns() {
    let gone = json!({"metadata": {"name": "p", "deletionTimestamp": NOW}, "status":
        {"phase": "Running", "podIPs": [{"ip": "127.64.0.2"}], "conditions":
            [{"type": "x/y", "status": "True"}]},
        "spec": {"nodeName": "n", "containers": [{"name": "a"}],
            "readinessGates": [{"conditionType": "x/y"}, {"conditionType": "x/z"}]}});
    assert_eq!(
        row("", "pods", gone),
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
    let resource = find("", "v1", "pods").expect("served");
    let ended = json!({"status": {"phase": "Succeeded"}});
    assert_eq!(row_conditions(resource, &ended)[0]["reason"], "Succeeded");
    assert!(row_conditions(resource, &json!({})).is_empty());
}

#[test]
fn nodes() {
    let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/edge": "",
            "kubernetes.io/role": "boss", "node-role.kubernetes.io/": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Linux"}}});
    assert_eq!(
        row("", "nodes", node),
        json!([
            "n",
            "Ready,SchedulingDisabled",
            "boss,edge",
            "5m3s",
            "v1.36.0",
            "10.0.0.1",
            "<none>",
            "Linux",
            "<unknown>",
            "<unknown>"
        ])
    );
    assert_eq!(
        row("", "nodes", json!({"metadata": {"name": "n"}}))[1],
        "Unknown"
    );
}

#[test]
fn services() {
    let check = |spec: Value, expect: Value| {
        let row = row(
            "",
            "services",
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
    assert_eq!(row("", "events", core.clone()), expect);
    let new = crate::convert::event(&core, crate::convert::EVENTS_EVENT);
    assert_eq!(row("events.k8s.io", "events", new), expect);
    let single = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Node", "name": "n"},
        "eventTime": "2026-11-23T01:29:50.000000Z", "reportingController": "c"});
    let row = row("events.k8s.io", "events", single);
    assert_eq!(
        (&row[0], &row[5], &row[8]),
        (&json!("10s"), &json!("c"), &json!(1))
    );
}
