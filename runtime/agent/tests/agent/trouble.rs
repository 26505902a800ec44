//! What is missing, wrong or lost.

use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

const REASON: &str = "/status/containerStatuses/0/state/waiting/reason";
const MESSAGE: &str = "/status/containerStatuses/0/state/waiting/message";

#[tokio::test(flavor = "multi_thread")]
async fn images_that_cannot_be_had() {
    let cluster = Cluster::new();
    cluster.pod(
        "missing",
        &["run"],
        json!({"container": {"image": "missing:v1"}}),
    );
    cluster
        .until("missing", REASON, json!("ErrImagePull"))
        .await;
    cluster
        .event("Pulling", "Pulling image \"missing:v1\"")
        .await;
    cluster
        .event(
            "Failed",
            "Failed to pull image \"missing:v1\": missing:v1: not found",
        )
        .await;
    cluster.event("Failed", "Error: ErrImagePull").await;
    cluster.pod("bad", &["run"], json!({"container": {"image": "Bad Name"}}));
    cluster
        .until("bad", REASON, json!("InvalidImageName"))
        .await;
    let never = json!({"container": {"image": "absent:v1", "imagePullPolicy": "Never"}});
    cluster.pod("never", &["run"], never);
    cluster
        .until("never", REASON, json!("ErrImageNeverPull"))
        .await;
    cluster
        .until("missing", REASON, json!("ImagePullBackOff"))
        .await;
    let message = "Back-off pulling image \"missing:v1\"";
    cluster.event("BackOff", message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_use_the_pods_secrets() {
    let cluster = Cluster::new();
    let config = "eyJhdXRocyI6eyJyZWcuaW8iOnsidXNlcm5hbWUiOiJtZSIsInBhc3N3b3JkIjoicHcifX19";
    cluster.api.put(
        "secrets",
        json!({"metadata": {"name": "r", "namespace": "default"},
        "data": {".dockerconfigjson": config}}),
    );
    cluster.pod(
        "p",
        &["run"],
        json!({"imagePullSecrets": [{"name": "r"}],
        "container": {"image": "reg.io/app:v1"}}),
    );
    cluster.until("p", "/status/phase", json!("Running")).await;
    let auths = cluster.runtime.auths();
    assert_eq!(
        (auths[0].username.as_str(), auths[0].password.as_str()),
        ("me", "pw")
    );
    cluster
        .event("Pulled", "Successfully pulled image \"reg.io/app:v1\" in")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_that_appears_later() {
    let cluster = Cluster::new();
    cluster.pod(
        "p",
        &["run"],
        json!({"container": {
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]}}),
    );
    cluster
        .until("p", MESSAGE, json!("configmap \"m\" not found"))
        .await;
    cluster
        .until("p", REASON, json!("CreateContainerConfigError"))
        .await;
    cluster.api.put(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"},
        "data": {"k": "v"}}),
    );
    cluster.until("p", "/status/phase", json!("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_taken_from_text_only() {
    let cluster = Cluster::new();
    cluster.api.put(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"},
        "data": {"TEXT": "t"}, "binaryData": {"BYTES": "Ynl0ZXM="}}),
    );
    let all = json!({"container": {"envFrom": [{"configMapRef": {"name": "m"}}]}});
    cluster.pod("all", &["run"], all);
    cluster
        .until("all", "/status/phase", json!("Running"))
        .await;
    let names: Vec<String> = cluster
        .runtime
        .config("c")
        .envs
        .into_iter()
        .map(|env| env.key)
        .collect();
    assert!(
        names.contains(&"TEXT".into()) && !names.contains(&"BYTES".into()),
        "{names:?}"
    );
    let one = json!({"container": {
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "BYTES"}}}]}});
    cluster.pod("one", &["run"], one);
    let text = "couldn't find key BYTES in ConfigMap default/m";
    cluster.until("one", MESSAGE, json!(text)).await;
}

/// A megabyte that a pod of a few kilobytes asks for a million times must not take all memory of the node.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_together_has_an_end() {
    let cluster = Cluster::new();
    let data = json!({"K": "x".repeat(1 << 20)});
    cluster.api.put(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"}, "data": data}),
    );
    // Bytes that are no text, so that they are no variable either.
    cluster.api.put(
        "secrets",
        json!({"metadata": {"name": "s", "namespace": "default"}, "data": {"K": "/".repeat(1 << 20)}}),
    );
    let skipped = vec![json!({"secretRef": {"name": "s"}}); 10_000];
    let twice = |at: usize| json!({"name": format!("V{at}"), "value": format!("$(V{})", at.saturating_sub(1)).repeat(2)});
    let mut doubled = vec![json!({"name": "V0", "value": "xx"})];
    doubled.extend((1..64).map(twice));
    let key = |at: usize| json!({"name": format!("V{at}"), "valueFrom": {"configMapKeyRef": {"name": "m", "key": "K"}}});
    let keys: Vec<Value> = (0..10_000).map(key).collect();
    let prefix = |at: usize| json!({"prefix": format!("V{at}"), "configMapRef": {"name": "m"}});
    let objects: Vec<Value> = (0..10_000).map(prefix).collect();
    let same = vec![json!({"configMapRef": {"name": "m"}}); 10_000];
    let environment = "the environment is larger than 4194304 bytes";
    let arguments = "the arguments are larger than 4194304 bytes";
    let named = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "K"}}}]);
    for (name, container, message) in [
        ("doubled", json!({"env": doubled}), environment),
        ("keys", json!({"env": keys}), environment),
        ("objects", json!({"envFrom": objects}), environment),
        ("same", json!({"envFrom": same}), environment),
        ("skipped", json!({"envFrom": skipped}), environment),
        (
            "args",
            json!({"env": named, "args": ["$(A)".repeat(10_000)]}),
            arguments,
        ),
    ] {
        cluster.pod(name, &["run"], json!({"container": container}));
        cluster.until(name, MESSAGE, json!(message)).await;
    }
    let source = json!({"configMap": {"name": "m"}});
    let item = |at: usize| json!({"key": "K", "path": format!("p{at}")});
    let items: Vec<Value> = (0..10_000).map(item).collect();
    for (name, volume) in [
        (
            "sources",
            json!({"projected": {"sources": vec![source; 10_000]}}),
        ),
        ("items", json!({"configMap": {"name": "m", "items": items}})),
    ] {
        let mut volume = volume;
        volume["name"] = json!(name);
        cluster.pod(name, &["run"], json!({"volumes": [volume]}));
        let text = format!("volume \"{name}\" : the content is larger than 16777216 bytes");
        cluster.event("FailedMount", &text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_cannot_be_made() {
    let cluster = Cluster::new();
    cluster.pod(
        "h",
        &["run"],
        json!({"volumes": [{"name": "h", "nfs": {"path": "/", "server": "s"}}]}),
    );
    cluster
        .event("FailedMount", "volume type nfs is not supported")
        .await;
    cluster.pod(
        "p",
        &["run"],
        json!({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}),
    );
    cluster.event("FailedMount", "--allow-host-path").await;
    cluster.until("h", REASON, json!("ContainerCreating")).await;
    cluster.pod(
        "s",
        &["run"],
        json!({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}),
    );
    let text = "MountVolume.SetUp failed for volume \"s\" : secret \"x\" not found";
    cluster.event("FailedMount", text).await;
    cluster.api.put(
        "secrets",
        json!({"metadata": {"name": "x", "namespace": "default"}}),
    );
    cluster.until("s", "/status/phase", json!("Running")).await;
    cluster.api.delete("pods", "default", "h", 5);
    let gone = eventually(|| cluster.get("h").is_null().then_some(())).await;
    assert!(gone.is_some(), "a pod that never started can be deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_do_not_compile() {
    let cluster = Cluster::new();
    cluster.pod("p", &["uncreatable"], json!({}));
    cluster
        .until("p", REASON, json!("CreateContainerError"))
        .await;
    cluster
        .until("p", MESSAGE, json!("the module does not compile"))
        .await;
    cluster
        .event("Failed", "Error: the module does not compile")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_runtime_that_forgot() {
    let mut cluster = Cluster::new();
    cluster.pod("always", &["run"], json!({}));
    cluster.pod("never", &["run"], json!({"restartPolicy": "Never"}));
    cluster.pod("done", &["exit", "0"], json!({"restartPolicy": "Never"}));
    cluster
        .until("always", "/status/phase", json!("Running"))
        .await;
    cluster
        .until("never", "/status/phase", json!("Running"))
        .await;
    let done = cluster
        .until("done", "/status/phase", json!("Succeeded"))
        .await;
    cluster.restart(true).await;
    let pod = cluster
        .until(
            "always",
            "/status/containerStatuses/0/restartCount",
            json!(1),
        )
        .await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"]),
        (&json!(137), &json!("ContainerStatusUnknown"))
    );
    cluster
        .until("never", "/status/phase", json!("Failed"))
        .await;
    assert_eq!(
        cluster.get("done")["status"]["containerStatuses"],
        done["status"]["containerStatuses"]
    );
    cluster.api.delete("pods", "default", "done", 5);
    assert!(
        eventually(|| cluster.get("done").is_null().then_some(()))
            .await
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_is_not_forgotten() {
    let mut cluster = Cluster::new();
    cluster.pod("p", &["run", "message=bye"], json!({}));
    let before = cluster.until("p", "/status/phase", json!("Running")).await;
    let container = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0].clone();
    cluster.restart_orderly(143).await;
    let count = "/status/containerStatuses/0/restartCount";
    let pod = cluster.until("p", count, json!(1)).await;
    let last = &container(&pod)["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"], &last["message"]),
        (&json!(143), &json!("Error"), &json!("bye"))
    );
    assert_eq!(last["containerID"], container(&before)["containerID"]);
    // What was noted is of that stop only.
    cluster.restart(true).await;
    let pod = cluster.until("p", count, json!(2)).await;
    let last = &container(&pod)["lastState"]["terminated"];
    assert_eq!(last["reason"], "ContainerStatusUnknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_runtime_that_lived_on() {
    let mut cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    cluster.pod("q", &["run"], json!({}));
    let before = cluster.until("p", "/status/phase", json!("Running")).await;
    cluster.until("q", "/status/phase", json!("Running")).await;
    cluster.restart(false).await;
    cluster.api.delete("pods", "default", "q", 5);
    assert!(
        eventually(|| cluster.get("q").is_null().then_some(()))
            .await
            .is_some()
    );
    let status = |pod: &serde_json::Value| pod["status"]["containerStatuses"].clone();
    assert_eq!(status(&cluster.get("p")), status(&before));
    assert_eq!(cluster.runtime.calls("create c"), 2);
    cluster.api.delete("pods", "default", "p", 0);
    cluster.runtime_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_writes_survive_a_broken_server() {
    let cluster = Cluster::new();
    cluster.api.break_requests(Some("/status"));
    cluster.pod("p", &["run"], json!({}));
    eventually(|| (cluster.api.requests("PATCH pods/default/p/status") >= 2).then_some(()))
        .await
        .unwrap();
    cluster.api.break_requests(None);
    cluster.until("p", "/status/phase", json!("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_status_is_not_the_end_of_a_pod() {
    let cluster = Cluster::new();
    let request = "PATCH pods/default/squid/status";
    for code in [409, 422] {
        // The name holds the letters of the word for an identity.
        let message = "Operation cannot be fulfilled on pods \"squid\": try again";
        cluster.api.refuse_requests(request, code, message);
        let before = cluster.api.requests(request);
        if cluster.get("squid").is_null() {
            cluster.pod("squid", &["run"], json!({}));
        } else {
            let mut pod = cluster.get("squid");
            pod["status"]["phase"] = json!("Pending");
            cluster.api.put("pods", pod);
        }
        eventually(|| (cluster.api.requests(request) >= before + 2).then_some(()))
            .await
            .unwrap();
        cluster.api.break_requests(None);
        cluster
            .until("squid", "/status/phase", json!("Running"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_changes_of_the_status_are_put_right() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    let mut pod = cluster.until("p", "/status/phase", json!("Running")).await;
    pod["status"]["phase"] = json!("Pending");
    cluster.api.put("pods", pod);
    cluster.until("p", "/status/phase", json!("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_waits_for_the_compiler_says_so_and_can_go() {
    for does in ["queued", "read and queued"] {
        let cluster = Cluster::new();
        cluster.pod("p", &[does], json!({}));
        let waits = "the module of image \"app:v1\" waits for others";
        cluster.event("WaitingToCompile", waits).await;
        cluster.api.delete("pods", "default", "p", 30);
        cluster.runtime_is_empty().await;
    }
}

/// More than may start at once.
#[tokio::test(flavor = "multi_thread")]
async fn pods_that_wait_for_the_compiler_hold_up_no_others() {
    let cluster = Cluster::new();
    let names: Vec<String> = (0..70).map(|at| format!("q{at}")).collect();
    for name in &names {
        cluster.pod(name, &["queued"], json!({}));
    }
    eventually(|| (cluster.runtime.calls("queue ") >= 64).then_some(()))
        .await
        .unwrap();
    cluster.pod("p", &["run"], json!({}));
    cluster.until("p", "/status/phase", json!("Running")).await;
    eventually(|| (cluster.runtime.calls("queue ") == names.len()).then_some(()))
        .await
        .unwrap();
    cluster.runtime.compile();
    for name in &names {
        cluster.until(name, "/status/phase", json!("Running")).await;
    }
}
