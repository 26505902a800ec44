//! Prints what the registry and its readers cost: `cargo run -p sampan-api --example measure`.

use std::time::{Duration, Instant};

use sampan_api::apply::{self, Kind, Writer};
use sampan_api::resource::{Resource, find};
use sampan_api::{decode, object, openapi, protobuf, schema};
use serde_json::{Value, json};

const POD: &str = "io.k8s.api.core.v1.Pod";

fn main() {
    let before = resident();
    let registry = time(1, || assert!(schema::schemas().by_name(POD).is_some()));
    row(
        "inflate the registry",
        registry,
        &format!("{} KiB resident", resident() - before),
    );

    let body = pod().to_string();
    let size = format!("{} bytes", body.len());
    let plain = time(500, || drop(serde_json::from_str::<Value>(&body)));
    row("pod from JSON, unguided", plain, &size);
    row(
        "pod from JSON",
        time(500, || drop(decode::json(body.as_bytes(), POD))),
        &size,
    );
    let value = pod();
    row(
        "pod from a value",
        time(500, || drop(decode::value(value.clone(), POD))),
        &size,
    );
    let yaml = to_yaml(&value, 0);
    let size = format!("{} bytes", yaml.len());
    row(
        "pod from YAML",
        time(200, || drop(decode::yaml(yaml.as_bytes(), POD))),
        &size,
    );
    let envelope = delete_options();
    let options = time(500, || drop(protobuf::decode(&envelope)));
    row(
        "DeleteOptions from protobuf",
        options,
        &format!("{} bytes", envelope.len()),
    );

    let id = schema::schemas().by_name(POD).expect("is registered");
    let length = protobuf::message(id, body.as_bytes()).map_or(0, |message| message.len());
    row(
        "pod to protobuf",
        time(2000, || drop(protobuf::message(id, body.as_bytes()))),
        &format!("{length} bytes"),
    );
    ownership();

    let before = resident();
    let documents = time(1, || assert!(!openapi::built_in().is_empty()));
    row(
        "all OpenAPI documents",
        documents,
        &format!("{} KiB resident", resident() - before),
    );
    for one in openapi::built_in() {
        let unpack = time(10, || drop(one.document.bytes()));
        let length = one.document.bytes().len();
        row(&one.path, unpack, &format!("{} KiB", length / 1024));
    }
    let mut older = None;
    let made = time(1, || older = Some(openapi::v2(&[])));
    let length = older.map_or(0, |document| document.bytes().len());
    row("OpenAPI v2", made, &format!("{} KiB", length / 1024));
}

/// What keeping track of managers adds to a write.
fn ownership() {
    let row_of = |plural: &str| find("", "v1", plural).expect("served");
    let (configmaps, pods) = (row_of("configmaps"), row_of("pods"));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default", "labels": {"app": "a"}}, "data": {"k": "v"}});
    created("ConfigMap created", configmaps, &map);
    created("pod created", pods, &pod());
    let mut live = pod();
    track(pods, "", "kubectl", None, &mut live);
    live["metadata"]["resourceVersion"] = "7".into();
    let mut status = live.clone();
    status["status"]["conditions"][1]["status"] = "False".into();
    updated("pod updated, nothing new", pods, "", &live, &live);
    updated("pod status updated", pods, "status", &live, &status);
    let config = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app-7d9c6b5f4-x2x4z"},
        "spec": {"containers": pod()["spec"]["containers"]}});
    let kind = Kind::of(pods, "v1", "").expect("registered");
    let work = || apply::apply(&kind, writer("m"), Some(&live), &config, true);
    row("pod applied", time(500, || drop(work())), "");
}

fn writer(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        now: "2026-11-23T01:29:05Z",
    }
}

fn track(row: &Resource, part: &str, manager: &str, live: Option<&Value>, new: &mut Value) {
    let kind = Kind::of(row, "v1", part).expect("registered");
    let sent = object::remove(new, apply::MANAGED_FIELDS);
    if let Some(list) = apply::track(&kind, writer(manager), live, new, sent) {
        object::set(new, apply::MANAGED_FIELDS, list);
    }
}

/// The object was read just before, as in a request: it is in the processor's cache.
fn created(what: &str, resource: &Resource, value: &Value) {
    let kind = Kind::of(resource, "v1", "").expect("registered");
    let track = || apply::track(&kind, writer("kubectl"), None, value, None);
    let bytes = track().map_or(0, |list| list.to_string().len());
    let took = time(2000, || drop(track()));
    row(what, took, &format!("{bytes} bytes of managers"));
}

/// What the client sends back of the managers is used or dropped, so each time has its own copy.
fn updated(what: &str, resource: &Resource, part: &str, live: &Value, new: &Value) {
    let kind = Kind::of(resource, "v1", part).expect("registered");
    let mut new = new.clone();
    let sent = object::remove(&mut new, apply::MANAGED_FIELDS);
    let mut copies = vec![sent; 200].into_iter();
    let took = time(200, || {
        let sent = copies.next().flatten();
        drop(apply::track(&kind, writer("agent"), Some(live), &new, sent));
    });
    row(what, took, "");
}

fn time(times: u32, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed() / times
}

fn row(what: &str, took: Duration, note: &str) {
    println!("{what:<32} {:>10.1} us   {note}", took.as_secs_f64() * 1e6);
}

/// Resident memory in KiB; 0 where the system does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4
}

/// A running pod of about 4 KB.
fn pod() -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": "registry.example.org/team/app:v1.2.3",
            "args": ["--listen", "0.0.0.0:8080", "--verbose"],
            "env": [{"name": "MODE", "value": "production"},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m", "memory": "128Mi"},
                "requests": {"cpu": "100m", "memory": "64Mi"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
                "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1,
                "failureThreshold": 3},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app", "readOnly": true}],
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"
        })
    };
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "lastProbeTime": null,
            "lastTransitionTime": "2026-11-23T01:29:05Z", "observedGeneration": 1})
    };
    let types = ["Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions: Vec<Value> = types.into_iter().map(condition).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "app-7d9c6b5f4-x2x4z", "namespace": "default",
            "uid": "d80a3277-e034-41f7-ac03-20b4b8cbe5aa", "generation": 1,
            "creationTimestamp": "2026-11-23T01:29:05Z",
            "labels": {"app": "app", "pod-template-hash": "7d9c6b5f4"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app",
                "uid": "0395622d-d37a-4439-b45d-87d9515d620a", "controller": true}]},
        "spec": {"containers": [container("one"), container("two"), container("three")],
            "volumes": [{"name": "config", "configMap": {"name": "app", "defaultMode": 420}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists",
                "effect": "NoExecute", "tolerationSeconds": 300}],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst", "nodeName": "node-1", "priority": 0},
        "status": {"phase": "Running", "podIP": "127.64.0.9", "hostIP": "127.0.0.1",
            "conditions": conditions,
            "containerStatuses": [{"name": "one", "ready": true, "restartCount": 0,
                "image": "app", "imageID": "sha256:x", "state":
                    {"running": {"startedAt": "2026-11-23T01:29:06Z"}}}]}
    })
}

fn to_yaml(value: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("\n{pad}{key}: {}", to_yaml(value, depth + 1)))
            .collect(),
        Value::Array(list) => list
            .iter()
            .map(|item| format!("\n{pad}-\n{pad}  {}", to_yaml(item, depth + 1).trim_start()))
            .collect(),
        other => other.to_string(),
    }
}

/// `gracePeriodSeconds: 0` and a uid precondition, in their envelope.
fn delete_options() -> Vec<u8> {
    let mut bytes = protobuf::MAGIC.to_vec();
    bytes.extend_from_slice(b"\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions");
    bytes.extend_from_slice(b"\x12\x0b\x08\x00\x12\x07\x0a\x05uid-1");
    bytes
}
