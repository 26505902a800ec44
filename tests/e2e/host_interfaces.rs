//! Interfaces beyond WASI proper, and hooks, as pods have them.

use serde_json::json;

use crate::support::{Cluster, Kubectl, PodSpec, eventually};

/// Runs a pod to its end and returns what it printed.
fn run(kubectl: &Kubectl, namespace: &str, pod: PodSpec) -> String {
    let pod = pod.with("/metadata/namespace", namespace.into());
    let name = pod.json()["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    kubectl.apply(&pod.to_string());
    eventually("the pod ends", || {
        let path = "jsonpath={.status.phase}";
        let phase = kubectl.ok(&["get", "pod", &name, "-n", namespace, "-o", path]);
        matches!(phase.as_str(), "Succeeded" | "Failed").then_some(())
    });
    let log = kubectl.ok(&["logs", &name, "-n", namespace]);
    kubectl.ok(&["delete", "pod", &name, "-n", namespace]);
    log
}

fn keyvalue(name: &str, args: &[&str]) -> PodSpec {
    PodSpec::new(name, "keyvalue")
        .container("args", json!(args))
        .with(
            "/metadata/annotations",
            json!({"sampan.dev/wasi-keyvalue": "default"}),
        )
}

#[test]
fn settings_and_log_lines() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push_engine_guest("host-config");
    cluster.push_engine_guest("host-logging");
    kubectl.ok(&[
        "create",
        "configmap",
        "look",
        "--from-literal=color=red",
        "--from-literal=size=1",
    ]);
    let settings = |name: &str, key: &str| {
        PodSpec::new(name, "host-config")
            .container("args", json!([key]))
            .container("env", json!([{"name": "size", "value": "2"}]))
            .with(
                "/metadata/annotations",
                json!({"sampan.dev/wasi-config": "configmap/look,env"}),
            )
    };
    for (key, value) in [("color", "red\n"), ("size", "2\n"), ("none", "none\n")] {
        assert_eq!(run(&kubectl, "default", settings(key, key)), value);
    }
    let logging = PodSpec::new("logging", "host-logging")
        .container("args", json!(["boot", "ready"]))
        .with(
            "/metadata/annotations",
            json!({"sampan.dev/wasi-logging": "true"}),
        );
    let log = run(&kubectl, "default", logging);
    assert!(
        log.contains("INFO boot: ready\nWARN boot: ready\n"),
        "{log}"
    );

    // Without the annotation, the pod says which one to give it; with it, it runs.
    let unasked = PodSpec::new("unasked", "host-logging").container("args", json!(["a", "b"]));
    kubectl.apply(&unasked.to_string());
    let why = "give it the annotation sampan.dev/wasi-logging";
    eventually("the refusal is told", || {
        let described = kubectl.ok(&["describe", "pod", "unasked"]);
        described.contains(why).then_some(())
    });
    // A ConfigMap that is not there yet is waited for.
    kubectl.apply(
        &settings("early", "x")
            .with(
                "/metadata/annotations",
                json!({"sampan.dev/wasi-config": "configmap/late"}),
            )
            .to_string(),
    );
    eventually("the missing ConfigMap is told", || {
        let described = kubectl.ok(&["describe", "pod", "early"]);
        described
            .contains("configmap \"late\" not found")
            .then_some(())
    });
    kubectl.ok(&["create", "configmap", "late", "--from-literal=x=y"]);
    eventually("it runs", || {
        (kubectl.field("pod/early", ".status.phase") == "Succeeded").then_some(())
    });
    assert_eq!(kubectl.ok(&["logs", "early"]), "y\n");
}

#[test]
fn buckets_outlive_pods_and_crashes_and_end_at_their_namespace() {
    let mut cluster = Cluster::start();
    let Some(mut kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push_engine_guest("keyvalue");
    kubectl.ok(&["create", "namespace", "other"]);
    assert_eq!(
        run(
            &kubectl,
            "default",
            keyvalue("set", &["s", "default", "k", "kept"])
        ),
        ""
    );
    // Another pod, after the first is gone.
    assert_eq!(
        run(&kubectl, "default", keyvalue("get", &["g", "default", "k"])),
        "kept\n"
    );
    assert_eq!(
        run(&kubectl, "other", keyvalue("get", &["g", "default", "k"])),
        "none\n"
    );
    assert_eq!(
        run(
            &kubectl,
            "other",
            keyvalue("set", &["s", "default", "k", "theirs"])
        ),
        ""
    );
    for sum in ["1\n", "2\n"] {
        assert_eq!(
            run(&kubectl, "default", keyvalue("add", &["i", "default", "n"])),
            sum
        );
    }

    let folder = cluster.kill();
    cluster = Cluster::start_in(folder, &[]);
    kubectl = cluster.kubectl().expect("there was one before");
    assert_eq!(
        run(&kubectl, "default", keyvalue("get", &["g", "default", "k"])),
        "kept\n"
    );
    assert_eq!(
        run(&kubectl, "default", keyvalue("add", &["i", "default", "n"])),
        "3\n"
    );
    assert_eq!(
        run(&kubectl, "other", keyvalue("get", &["g", "default", "k"])),
        "theirs\n"
    );

    // A namespace that comes again is another one.
    kubectl.ok(&["delete", "namespace", "other", "--timeout=60s"]);
    kubectl.ok(&["create", "namespace", "other"]);
    assert_eq!(
        run(&kubectl, "other", keyvalue("get", &["g", "default", "k"])),
        "none\n"
    );
}

#[test]
fn a_hook_before_the_stop_reaches_another_pod() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push_engine_guest("http-handler");
    cluster.push(crate::support::Guest::Sleep, "sleep");
    let listener = PodSpec::new("listener", "http-handler")
        .with("/spec/restartPolicy", "Always".into())
        .container(
            "readinessProbe",
            json!({"httpGet": {"port": 8080}, "periodSeconds": 1}),
        );
    kubectl.apply(&listener.to_string());
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/listener",
        "--timeout=60s",
    ]);
    let ip = kubectl.field("pod/listener", ".status.podIP");
    let hook = json!({"preStop": {"httpGet": {"host": ip, "port": 8080, "path": "/trap"}}});
    let sender = PodSpec::new("sender", "sleep").container("lifecycle", hook);
    kubectl.apply(&sender.to_string());
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/sender",
        "--timeout=60s",
    ]);
    assert!(!kubectl.ok(&["logs", "listener"]).contains("unreachable"));
    kubectl.ok(&["delete", "pod", "sender", "--timeout=60s"]);
    // The path makes the listener trap, which its log tells.
    eventually("the hook was heard", || {
        kubectl
            .ok(&["logs", "listener"])
            .contains("unreachable")
            .then_some(())
    });
}
