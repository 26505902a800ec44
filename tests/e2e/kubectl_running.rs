//! What people do with kubectl to pods that run already: look into them, resize them, and stop the machine they are on.

use serde_json::json;

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually};

fn has(kubectl: &Kubectl, path: &str, expected: &str) {
    let what = format!("{path} to be {expected:?}");
    eventually(&what, || {
        (kubectl.field("pod/p", path) == expected).then_some(())
    });
}

#[test]
fn a_debug_container_runs_in_a_running_pod() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Sleep, "sleep");
    cluster.push(Guest::Hello, "hello");
    kubectl.apply(&PodSpec::new("p", "sleep").json().to_string());
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/p", "--timeout=60s"]);
    kubectl.ok(&["debug", "pod/p", "--image=hello", "--container=debugger"]);
    let code = ".status.ephemeralContainerStatuses[0].state.terminated.exitCode";
    has(&kubectl, code, "0");
    let log = kubectl.ok(&["logs", "p", "-c", "debugger"]);
    assert_eq!(log.lines().count(), 1, "{log}");
    has(&kubectl, ".status.phase", "Running");
}

#[test]
fn a_resize_waits_for_room_and_says_so() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Sleep, "sleep");
    let little = json!({"requests": {"cpu": "10m"}});
    for name in ["p", "q"] {
        let pod = PodSpec::new(name, "sleep").container("resources", little.clone());
        kubectl.apply(&pod.json().to_string());
    }
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/p",
        "pod/q",
        "--timeout=60s",
    ]);
    let name = kubectl.field("pod/p", ".spec.containers[0].name");
    let resize = |cpu: &str| {
        let resources = json!({"requests": {"cpu": cpu}});
        let patch = json!({"spec": {"containers": [{"name": name, "resources": resources}]}});
        let patch = patch.to_string();
        kubectl.ok(&["patch", "pod", "p", "--subresource", "resize", "-p", &patch]);
    };
    let all = kubectl.field("nodes", ".items[0].status.allocatable.cpu");
    resize(&all);
    let pending = ".status.conditions[?(@.type==\"PodResizePending\")].reason";
    has(&kubectl, pending, "Deferred");
    let allocated = ".status.containerStatuses[0].allocatedResources.cpu";
    assert_eq!(kubectl.field("pod/p", allocated), "10m");
    kubectl.ok(&["delete", "pod", "q", "--now"]);
    has(&kubectl, allocated, &all);
    has(&kubectl, pending, "");
}

#[test]
fn what_ended_with_its_node_is_told_afterwards() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Graceful, "graceful");
    let pod = PodSpec::new("p", "graceful").with("/spec/restartPolicy", json!("Always"));
    kubectl.apply(&pod.json().to_string());
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/p", "--timeout=60s"]);
    let Cluster {
        program, folder, ..
    } = cluster;
    program.signal("TERM");
    let (status, output) = program.finish();
    assert!(status.success(), "{output}");
    let cluster = Cluster::start_in(folder, &[]);
    let kubectl = cluster.kubectl().expect("as before");
    // The guest ends with the number of the signal.
    let code = ".status.containerStatuses[0].lastState.terminated.exitCode";
    has(&kubectl, code, "15");
}

/// A pod of two containers that take 24 MiB each and may have more, within what both may have.
fn holders(name: &str, limit: &str) -> PodSpec {
    let own = json!({"limits": {"memory": "28Mi"}, "requests": {"memory": "1Mi"}});
    let container = |name: &str| json!({"name": name, "image": "hold", "resources": own});
    PodSpec::new(name, "hold")
        .with("/spec/containers", json!([container("a"), container("b")]))
        .with("/spec/resources", json!({"limits": {"memory": limit}}))
}

#[test]
fn containers_share_the_memory_limit_of_their_pod() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Hold, "hold");
    kubectl.apply(&holders("enough", "56Mi").to_string());
    kubectl.apply(&holders("p", "32Mi").to_string());
    let reasons = ".status.containerStatuses[*].state.terminated.reason";
    has(&kubectl, reasons, "OOMKilled");
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/enough",
        "--timeout=60s",
    ]);

    let asks = json!({"requests": {"memory": "64Mi"}});
    let refused = holders("refused", "32Mi").container("resources", asks);
    let refused = kubectl.with_input(&["apply", "-f", "-"], &refused.to_string());
    assert!(!refused.success, "{}", refused.stdout);
    let why = "spec.resources.requests: Invalid value: \"65Mi\": must be less than or equal to memory limit of 32Mi";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
}

#[test]
fn a_pod_is_resized_as_a_whole_while_it_runs() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    for (guest, image) in [
        (Guest::Patient, "patient"),
        (Guest::Laps, "laps"),
        (Guest::Hold, "hold"),
    ] {
        cluster.push(guest, image);
    }
    let containers = ["patient", "laps"].map(|name| json!({"name": name, "image": name}));
    let whole = |cpu: &str, memory: &str| json!({"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"cpu": cpu, "memory": memory}});
    let pod = PodSpec::new("p", "patient")
        .with("/spec/containers", json!(containers))
        .with("/spec/resources", whole("10m", "16Mi"));
    kubectl.apply(&pod.to_string());
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/p", "--timeout=60s"]);
    let lines = |container: &str| kubectl.ok(&["logs", "p", "-c", container]).lines().count();
    let resize = |cpu: &str, memory: &str| {
        let patch = json!({"spec": {"resources": whole(cpu, memory)}}).to_string();
        kubectl.ok(&["patch", "pod", "p", "--subresource", "resize", "-p", &patch]);
    };
    let memory = ".status.resources.limits.memory";
    let progress = ".status.conditions[?(@.type==\"PodResizeInProgress\")].reason";
    has(&kubectl, memory, "16Mi");
    let before = (lines("patient"), lines("laps"));
    assert_eq!(before, (0, 0), "limits hold: a lap takes half a minute");

    resize("1", "64Mi");
    has(&kubectl, memory, "64Mi");
    for container in ["patient", "laps"] {
        let what = format!("{container} to get what it needs");
        eventually(&what, || (lines(container) > 0).then_some(()));
    }

    resize("1", "16Mi");
    has(&kubectl, progress, "Error");
    assert_eq!(kubectl.field("pod/p", memory), "64Mi", "it is in use");
    resize("10m", "40Mi");
    has(&kubectl, memory, "40Mi");
    has(&kubectl, ".status.resources.limits.cpu", "10m");
    has(&kubectl, progress, "");
    let laps = lines("laps");
    kubectl.ok(&["debug", "pod/p", "--image=hold", "--container=debugger"]);
    let reason = ".status.ephemeralContainerStatuses[0].state.terminated.reason";
    has(&kubectl, reason, "OOMKilled");
    assert!(lines("laps") <= laps + 1, "a lap takes half a minute again");
    let restarts = ".status.containerStatuses[*].restartCount";
    assert_eq!(kubectl.field("pod/p", restarts), "0 0");
}
