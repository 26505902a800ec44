//! The straight path: bound, running, ended, deleted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_and_is_deleted() {
    let cluster = Cluster::new();
    cluster.pod(
        "p",
        &["run", "hello"],
        json!({"volumes": [{"name": "v", "emptyDir": {}}],
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}}),
    );
    let pod = cluster.until("p", "/status/phase", json!("Running")).await;
    let status = &pod["status"];
    assert_eq!(status["qosClass"], "BestEffort");
    assert_eq!(status["hostIP"], "127.0.0.1");
    assert!(status["podIP"].as_str().unwrap().starts_with("127.64.0."));
    let container = &status["containerStatuses"][0];
    assert!(
        container["containerID"]
            .as_str()
            .unwrap()
            .starts_with("sampan://")
    );
    assert_eq!(
        (&container["ready"], &container["restartCount"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(container["image"], "app:v1");
    let kinds = status["conditions"].as_array().unwrap().len();
    assert_eq!(kinds, 5, "{status:#}");
    let written = cluster.api.requests("PATCH pods/default/p/status");
    assert_eq!(written, 1, "one write on the way to Running");
    for (reason, text) in [
        ("Pulled", "already present on machine"),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ] {
        let event = cluster.event(reason, text).await;
        assert_eq!(event["involvedObject"]["fieldPath"], "spec.containers{c}");
        assert_eq!(event["source"]["host"], "n1");
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let volume = cluster.dir.path().join("pods").join(uid);
    assert!(volume.join("volumes/kubernetes.io~empty-dir/v").is_dir());

    cluster.api.delete("pods", "default", "p", 5);
    let gone = eventually(|| cluster.get("p").is_null().then_some(())).await;
    assert!(gone.is_some());
    assert_eq!(cluster.runtime.calls("stop "), 1, "stopped once, politely");
    cluster.runtime_is_empty().await;
    cluster.event("Killing", "Stopping container c").await;
    let clean = eventually(|| (!volume.exists()).then_some(())).await;
    assert!(clean.is_some());
    let logs = eventually(|| {
        std::fs::read_dir(cluster.logs())
            .ok()?
            .next()
            .is_none()
            .then_some(())
    });
    assert!(logs.await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_completes() {
    let cluster = Cluster::new();
    cluster.pod(
        "p",
        &["exit", "0", "hello"],
        json!({"restartPolicy": "Never"}),
    );
    let pod = cluster
        .until("p", "/status/phase", json!("Succeeded"))
        .await;
    let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&state["exitCode"], &state["reason"]),
        (&json!(0), &json!("Completed"))
    );
    cluster.runtime_is_empty().await;
    cluster.pod("f", &["exit", "3"], json!({"restartPolicy": "Never"}));
    let pod = cluster.until("f", "/status/phase", json!("Failed")).await;
    let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&state["exitCode"], &state["reason"]),
        (&json!(3), &json!("Error"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn termination_messages() {
    let cluster = Cluster::new();
    let never = |policy: &str| json!({"restartPolicy": "Never", "container": {"terminationMessagePolicy": policy}});
    for (name, args, policy, expect) in [
        (
            "file",
            &["exit", "1", "line", "message=why"][..],
            "File",
            json!("why"),
        ),
        ("none", &["exit", "1", "line"][..], "File", json!(null)),
        (
            "log",
            &["exit", "1", "a", "b"][..],
            "FallbackToLogsOnError",
            json!("a\nb\n"),
        ),
        (
            "both",
            &["exit", "1", "a", "message=why"][..],
            "FallbackToLogsOnError",
            json!("why"),
        ),
        (
            "fine",
            &["exit", "0", "a"][..],
            "FallbackToLogsOnError",
            json!(null),
        ),
    ] {
        cluster.pod(name, args, never(policy));
        let phase = if args[1] == "0" {
            "Succeeded"
        } else {
            "Failed"
        };
        let pod = cluster.until(name, "/status/phase", json!(phase)).await;
        let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(state["message"], expect, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_image_replaces_the_container() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    let mut pod = cluster.until("p", "/status/phase", json!("Running")).await;
    pod["spec"]["containers"][0]["image"] = json!("app:v2");
    cluster.api.put("pods", pod);
    cluster
        .until("p", "/status/containerStatuses/0/restartCount", json!(1))
        .await;
    let pod = cluster
        .until("p", "/status/containerStatuses/0/image", json!("app:v2"))
        .await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["imageID"],
        "sha256:app:v2"
    );
    cluster
        .event(
            "Killing",
            "Container c definition changed, will be restarted",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_is_seen_and_restarted() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    cluster.until("p", "/status/phase", json!("Running")).await;
    cluster.runtime.finish("c", 1);
    cluster
        .until("p", "/status/containerStatuses/0/restartCount", json!(1))
        .await;
    cluster.runtime.finish("c", 1);
    let reason = "/status/containerStatuses/0/state/waiting/reason";
    let pod = cluster.until("p", reason, json!("CrashLoopBackOff")).await;
    assert_eq!(pod["status"]["phase"], "Running");
    cluster
        .event(
            "BackOff",
            "Back-off restarting failed container c in pod p_default",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_and_environment() {
    let cluster = Cluster::new();
    cluster.api.put(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"},
        "data": {"A": "1", "bad=key": "x"}}),
    );
    cluster.api.put(
        "secrets",
        json!({"metadata": {"name": "s", "namespace": "default"},
        "data": {"k": "c2VjcmV0"}}),
    );
    cluster.pod("p", &["run", "$(B)", "$(NO)"], json!({
        "initContainers": [{"name": "i", "image": "app:v1", "args": ["exit", "0"]}],
        "volumes": [{"name": "m", "configMap": {"name": "m", "items": [{"key": "A", "path": "a"}]}}],
        "container": {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}},
                {"configMapRef": {"name": "none", "optional": true}}],
            "env": [{"name": "A", "value": "x"}, {"name": "B", "value": "$(A)-$(P_A)"},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "volumeMounts": [{"name": "m", "mountPath": "/m"}]
        }
    }));
    let pod = cluster.until("p", "/status/phase", json!("Running")).await;
    let config = cluster.runtime.config("c");
    let env: Vec<(String, String)> = config
        .envs
        .iter()
        .map(|e| (e.key.clone(), String::from_utf8(e.value.clone()).unwrap()))
        .collect();
    let ip = pod["status"]["podIP"].as_str().unwrap();
    let expect = [
        ("P_A", "1"),
        ("A", "x"),
        ("B", "x-1"),
        ("S", "secret"),
        ("IP", ip),
    ];
    assert_eq!(env, expect.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(config.args, ["run", "x-1", "$(NO)"]);
    cluster
        .event("InvalidEnvironmentVariableNames", "bad=key")
        .await;
    let mount = config
        .mounts
        .iter()
        .find(|mount| mount.container_path == "/m")
        .unwrap();
    assert!(mount.readonly);
    let text = std::fs::read_to_string(format!("{}/a", mount.host_path)).unwrap();
    assert_eq!(text, "1");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_finds_its_token() {
    let cluster = Cluster::new();
    let sources = json!([
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]);
    cluster.pod(
        "p",
        &["run"],
        json!({
            "serviceAccountName": "robot",
            "volumes": [{"name": "t", "projected": {"sources": sources}}],
            "container": {"volumeMounts": [{"name": "t", "mountPath": "/t", "readOnly": true}]}
        }),
    );
    let pod = cluster.until("p", "/status/phase", json!("Running")).await;
    let config = cluster.runtime.config("c");
    let mount = config
        .mounts
        .iter()
        .find(|mount| mount.container_path == "/t")
        .unwrap();
    let read = |file: &str| std::fs::read_to_string(format!("{}/{file}", mount.host_path)).unwrap();
    let uid = &pod["metadata"]["uid"];
    assert_eq!(read("token"), format!("1: robot for \"p\" {uid}"));
    assert_eq!(read("namespace"), "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_not_held_up() {
    const PODS: usize = 300;
    let cluster = Cluster::new();
    eventually(|| cluster.api.get("leases", "kube-node-lease", "n1"))
        .await
        .unwrap();
    let started = Instant::now();
    for index in 0..PODS {
        cluster.pod(&format!("p{index}"), &["run"], json!({}));
    }
    let all = eventually(|| {
        let pods = cluster.api.list("pods");
        pods.iter()
            .all(|pod| pod["status"]["phase"] == "Running")
            .then_some(())
    });
    assert!(all.await.is_some());
    // Far from the speed aimed at, so that a slow machine does not fail it; a sleep on the path
    // would.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let writes = cluster.api.requests("/status");
    assert!(writes <= 2 * PODS, "{writes} status writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_container_runs_and_says_so() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    let mut pod = cluster.until("p", "/status/phase", json!("Running")).await;
    pod["spec"]["ephemeralContainers"] =
        json!([{"name": "debugger", "image": "app:v1", "args": ["exit", "3", "hello"]}]);
    cluster.api.put("pods", pod);
    let code = "/status/ephemeralContainerStatuses/0/state/terminated/exitCode";
    cluster.until("p", code, json!(3)).await;
    let path = "spec.ephemeralContainers{debugger}";
    let started = eventually(|| {
        let events = cluster.api.list("events");
        let started = |event: &&Value| {
            event["reason"] == "Started" && event["involvedObject"]["fieldPath"] == path
        };
        events.iter().find(started).map(|_| ())
    });
    assert!(started.await.is_some());
    assert_eq!(cluster.get("p")["status"]["phase"], "Running");
}
