//! What people do with kubectl to pods.

use serde_json::json;

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually, repository};

fn with_samples() -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::start();
    let kubectl = cluster.kubectl()?;
    for sample in ["hello", "ticker", "http-hello"] {
        let module = repository().join(format!("samples/{sample}/{sample}.wasm"));
        cluster.push_file(&module, &format!("{sample}.wasm"));
    }
    Some((cluster, kubectl))
}

fn quickstart() -> String {
    repository()
        .join("samples/quickstart")
        .to_str()
        .expect("UTF-8")
        .to_string()
}

#[test]
fn the_quickstart_by_kubectl() {
    let Some((cluster, kubectl)) = with_samples() else {
        return;
    };
    let first = kubectl.ok(&["apply", "-f", &quickstart()]);
    assert!(first.contains("pod/ticker created"), "{first}");
    let second = kubectl.ok(&["apply", "-f", &quickstart()]);
    assert!(
        second.contains("pod/ticker unchanged") && !second.contains("configured"),
        "{second}"
    );
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/ticker",
        "pod/http-hello",
        "--timeout=60s",
    ]);
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/hello",
        "--timeout=60s",
    ]);

    let wide = kubectl.ok(&["get", "pods", "-o", "wide"]);
    let row = |name: &str| {
        wide.lines()
            .find(|line| line.starts_with(name))
            .expect(name)
            .to_string()
    };
    assert!(
        row("hello").contains("Completed") && row("ticker").contains("Running"),
        "{wide}"
    );
    assert!(
        row("http-hello").contains("1/1") && row("http-hello").contains("test-node"),
        "{wide}"
    );
    assert!(
        kubectl
            .ok(&["get", "pod", "ticker", "-o", "yaml"])
            .contains("phase: Running")
    );

    let logs = kubectl.ok(&["logs", "hello"]);
    assert_eq!(
        logs,
        "Hello, Kubernetes!\nargument 1: from\nargument 2: a\nargument 3: pod\n"
    );
    assert_eq!(
        kubectl.ok(&["logs", "hello", "--tail=1"]),
        "argument 3: pod\n"
    );
    let stamped = kubectl.ok(&["logs", "hello", "--timestamps", "--tail=1"]);
    assert!(stamped.contains("Z argument 3: pod"), "{stamped}");

    let described = kubectl.ok(&["describe", "pod", "hello"]);
    for expected in [
        "Status:           Succeeded",
        "Reason:       Completed",
        "Scheduled",
        "Pulled",
        "Created",
        "Started",
    ] {
        eventually(expected, || {
            kubectl
                .ok(&["describe", "pod", "hello"])
                .contains(expected)
                .then_some(())
        });
    }
    let environment = described
        .lines()
        .any(|line| line.split_whitespace().eq(["WHO:", "Kubernetes"]));
    assert!(environment, "{described}");
    let events = kubectl.ok(&[
        "get",
        "events",
        "--field-selector",
        "involvedObject.name=hello",
    ]);
    assert!(
        events.contains("Successfully assigned default/hello to test-node"),
        "{events}"
    );
    cluster.stop();
}

#[test]
fn logs_and_watches_follow() {
    let Some((cluster, kubectl)) = with_samples() else {
        return;
    };
    let mut watch = kubectl.start(&["get", "pods", "-w"]);
    let pod = PodSpec::new("ticker", "ticker.wasm")
        .container("env", json!([{"name": "TICK_MS", "value": "20"}]));
    kubectl.apply(&pod.to_string());
    watch.wait_for("Running");
    let mut logs = kubectl.start(&["logs", "-f", "ticker"]);
    logs.wait_for("tick 1");
    logs.wait_for("tick 30");
    kubectl.ok(&["delete", "pod", "ticker"]);
    watch.wait_for("Terminating");
    let (status, _) = logs.finish();
    assert!(status.success(), "the log ends with its container");
    let gone = kubectl.fails(&["get", "pod", "ticker"]);
    assert!(gone.contains(r#"pods "ticker" not found"#), "{gone}");
    cluster.stop();
}

#[test]
fn run_creates_a_pod() {
    let Some((cluster, kubectl)) = with_samples() else {
        return;
    };
    let created = kubectl.ok(&[
        "run",
        "greeter",
        "--image=hello.wasm",
        "--restart=Never",
        "--",
        "again",
    ]);
    assert_eq!(created.trim(), "pod/greeter created");
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/greeter",
        "--timeout=60s",
    ]);
    assert!(
        kubectl
            .ok(&["logs", "greeter"])
            .contains("argument 1: again")
    );
    kubectl.ok(&["delete", "pod", "greeter", "--now"]);
    cluster.stop();
}

#[test]
fn restarts_back_off_and_keep_the_previous_log() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Hello, "hello");
    let pod = PodSpec::new("again", "hello").with("/spec/restartPolicy", json!("Always"));
    kubectl.apply(&pod.to_string());
    eventually("a restart", || {
        let count = kubectl.field("pod/again", ".status.containerStatuses[0].restartCount");
        count
            .parse::<u32>()
            .is_ok_and(|count| count >= 1)
            .then_some(())
    });
    eventually("CrashLoopBackOff", || {
        kubectl
            .ok(&["get", "pod", "again"])
            .contains("CrashLoopBackOff")
            .then_some(())
    });
    assert_eq!(kubectl.ok(&["logs", "again", "-p"]), "hello guest\n");
    let reason = kubectl.field(
        "pod/again",
        ".status.containerStatuses[0].lastState.terminated.reason",
    );
    assert_eq!(reason, "Completed");
    cluster.stop();
}

#[test]
fn several_containers_and_init_containers() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Hello, "hello");
    cluster.push(Guest::Sleep, "sleep");
    let pod = PodSpec::new("many", "sleep")
        .with(
            "/spec/initContainers",
            json!([{"name": "first", "image": "hello"}, {"name": "second", "image": "hello"}]),
        )
        .with(
            "/spec/containers",
            json!([{"name": "main", "image": "sleep"}, {"name": "side", "image": "hello"}]),
        );
    kubectl.apply(&pod.to_string());
    eventually("one of two ready", || {
        let ready = kubectl.field(
            "pod/many",
            ".status.containerStatuses[?(@.name==\"main\")].ready",
        );
        let ended = kubectl.field(
            "pod/many",
            ".status.containerStatuses[?(@.name==\"side\")].state.terminated.reason",
        );
        (ready == "true" && ended == "Completed").then_some(())
    });
    for container in ["first", "second", "side"] {
        assert_eq!(
            kubectl.ok(&["logs", "many", "-c", container]),
            "hello guest\n"
        );
    }
    let ambiguous = kubectl.run(&["get", "--raw", "/api/v1/namespaces/default/pods/many/log"]);
    assert!(
        !ambiguous.success
            && ambiguous
                .stderr
                .contains("a container name must be specified"),
        "{ambiguous:?}"
    );
    assert!(kubectl.ok(&["get", "pod", "many"]).contains("1/2"));
    cluster.stop();
}

#[test]
fn environment_from_config_maps_secrets_and_fields() {
    let Some((cluster, kubectl)) = with_samples() else {
        return;
    };
    kubectl.ok(&[
        "create",
        "configmap",
        "settings",
        "--from-literal=who=ConfigMap",
    ]);
    let who = |source: serde_json::Value| json!([{"name": "WHO", "valueFrom": source}]);
    let pod = |name: &str, env: serde_json::Value| {
        kubectl.apply(
            &PodSpec::new(name, "hello.wasm")
                .container("env", env)
                .to_string(),
        );
    };
    pod(
        "from-map",
        who(json!({"configMapKeyRef": {"name": "settings", "key": "who"}})),
    );
    pod(
        "from-secret",
        who(json!({"secretKeyRef": {"name": "later", "key": "who"}})),
    );
    pod(
        "from-field",
        who(json!({"fieldRef": {"fieldPath": "metadata.name"}})),
    );
    let ended = |name: &str| {
        kubectl.ok(&[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            &format!("pod/{name}"),
            "--timeout=60s",
        ]);
        kubectl.ok(&["logs", name])
    };
    assert!(ended("from-map").starts_with("Hello, ConfigMap!"));
    assert!(ended("from-field").starts_with("Hello, from-field!"));
    eventually("the missing Secret is told", || {
        let waiting = kubectl.field(
            "pod/from-secret",
            ".status.containerStatuses[0].state.waiting",
        );
        (waiting.contains("CreateContainerConfigError") && waiting.contains("later")).then_some(())
    });
    kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "later",
        "--from-literal=who=Secret",
    ]);
    assert!(ended("from-secret").starts_with("Hello, Secret!"));
    cluster.stop();
}

#[test]
fn unschedulable_pods_say_why_and_run_when_they_can() {
    let cluster = Cluster::start_with(&["--resource", "example.com/gpu=1"]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Sleep, "sleep");
    let pod = |name: &str, resources: serde_json::Value| {
        let pod = PodSpec::new(name, "sleep").container("resources", json!({"limits": resources}));
        kubectl.apply(&pod.to_string());
    };
    pod("huge", json!({"cpu": "5000"}));
    pod("gpu-1", json!({"example.com/gpu": "1"}));
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/gpu-1",
        "--timeout=60s",
    ]);
    pod("gpu-2", json!({"example.com/gpu": "1"}));
    for (name, reason) in [
        (
            "huge",
            "1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling",
        ),
        (
            "gpu-2",
            "1 Insufficient example.com/gpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod",
        ),
    ] {
        let condition = eventually("the condition", || {
            let message = kubectl.field(
                &format!("pod/{name}"),
                ".status.conditions[?(@.type==\"PodScheduled\")].message",
            );
            (!message.is_empty()).then_some(message)
        });
        assert_eq!(condition, format!("0/1 nodes are available: {reason}."));
        eventually("the event", || {
            kubectl
                .ok(&["describe", "pod", name])
                .contains("FailedScheduling")
                .then_some(())
        });
    }
    kubectl.ok(&["delete", "pod", "gpu-1"]);
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/gpu-2",
        "--timeout=60s",
    ]);

    kubectl.ok(&["cordon", "test-node"]);
    kubectl.apply(&PodSpec::new("cordoned", "sleep").to_string());
    eventually("the cordon is told", || {
        let told = kubectl.ok(&["describe", "pod", "cordoned"]);
        told.contains("1 node(s) were unschedulable").then_some(())
    });
    kubectl.ok(&["uncordon", "test-node"]);
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/cordoned",
        "--timeout=60s",
    ]);
    cluster.stop();
}

#[test]
fn volumes_from_config_maps_and_secrets() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::ReadFile, "read");
    kubectl.ok(&["create", "configmap", "map", "--from-literal=who=ConfigMap"]);
    kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "secret",
        "--from-literal=name=Secret",
    ]);
    let items = json!([{"key": "name", "path": "who"}]);
    let sources = [
        (
            "map",
            json!({"name": "v", "configMap": {"name": "map"}}),
            "ConfigMap",
        ),
        (
            "secret",
            json!({"name": "v", "secret": {"secretName": "secret", "items": items}}),
            "Secret",
        ),
    ];
    for (name, volume, content) in sources {
        let mount = json!([{"name": "v", "mountPath": "/data", "readOnly": true}]);
        let pod = PodSpec::new(name, "read")
            .container("volumeMounts", mount)
            .with("/spec/volumes", json!([volume]));
        kubectl.apply(&pod.to_string());
        let ended = eventually("the guest ends", || {
            let path = ".status.containerStatuses[0].state.terminated.exitCode";
            let code = kubectl.field(&format!("pod/{name}"), path);
            (!code.is_empty()).then_some(code)
        });
        assert_eq!(ended, "0", "{name}");
        assert_eq!(kubectl.ok(&["logs", name]), content);
    }
    cluster.stop();
}
