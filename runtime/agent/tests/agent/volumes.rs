//! Volumes of running pods follow what they show.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

/// A pod that mounts one volume; returns the volume's folder once the pod runs.
async fn running(cluster: &Cluster, name: &str, plugin: &str, source: Value) -> PathBuf {
    let mut volume = source;
    volume["name"] = json!("v");
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let spec = json!({"volumes": [volume], "container": {"volumeMounts": mount},
        "serviceAccountName": "default"});
    cluster.pod(name, &["run"], spec);
    let pod = cluster.until(name, "/status/phase", json!("Running")).await;
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let volumes = cluster.dir.path().join("pods").join(uid).join("volumes");
    volumes.join(format!("kubernetes.io~{plugin}")).join("v")
}

fn config_map(cluster: &Cluster, name: &str, data: Value) {
    let map = json!({"metadata": {"name": name, "namespace": "default"}, "data": data});
    cluster.api.put("configmaps", map);
}

fn read(dir: &std::path::Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok()
}

async fn shows(dir: &std::path::Path, name: &str, expect: Option<&str>) {
    let found = eventually(|| (read(dir, name).as_deref() == expect).then_some(())).await;
    assert!(found.is_some(), "{name} is {:?}", read(dir, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn config_maps_are_followed() {
    let cluster = Cluster::new();
    config_map(&cluster, "m", json!({"a": "1", "b": "1"}));
    let source = json!({"configMap": {"name": "m"}});
    let first = running(&cluster, "p", "configmap", source.clone()).await;
    shows(&first, "a", Some("1")).await;
    let data = std::fs::read_link(first.join("..data")).unwrap();
    config_map(&cluster, "m", json!({"a": "2", "c": "2"}));
    shows(&first, "a", Some("2")).await;
    shows(&first, "c", Some("2")).await;
    shows(&first, "b", None).await;
    assert_ne!(std::fs::read_link(first.join("..data")).unwrap(), data);

    // A second pod takes what the watch has brought already.
    let second = running(&cluster, "q", "configmap", source).await;
    shows(&second, "a", Some("2")).await;
    assert_eq!(cluster.api.requests("GET configmaps/default/m"), 1);
    config_map(&cluster, "m", json!({"a": "3"}));
    for dir in [&first, &second] {
        shows(dir, "a", Some("3")).await;
    }
    cluster.api.delete("pods", "default", "p", 5);
    let gone = eventually(|| (!first.exists()).then_some(())).await;
    assert!(gone.is_some());
    config_map(&cluster, "m", json!({"a": "4"}));
    shows(&second, "a", Some("4")).await;
    assert!(!first.exists(), "nothing is written for a pod that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projected_volume_shows_several_large_objects() {
    let cluster = Cluster::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        config_map(&cluster, name, json!({name: "x".repeat(1 << 20)}));
    }
    let sources = names.map(|name| json!({"configMap": {"name": name}}));
    let source = json!({"projected": {"sources": sources}});
    let dir = running(&cluster, "p", "projected", source).await;
    for name in names {
        assert_eq!(read(&dir, name).unwrap().len(), 1 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_config_map_leaves_its_content() {
    let cluster = Cluster::new();
    config_map(&cluster, "m", json!({"a": "1"}));
    let dir = running(
        &cluster,
        "p",
        "configmap",
        json!({"configMap": {"name": "m"}}),
    )
    .await;
    cluster.api.delete("configmaps", "default", "m", 0);
    let text = "MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found";
    cluster.event("FailedMount", text).await;
    assert_eq!(read(&dir, "a").as_deref(), Some("1"));
    config_map(&cluster, "m", json!({"a": "2"}));
    shows(&dir, "a", Some("2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optional_sources_come_and_go() {
    let cluster = Cluster::new();
    let source = json!({"projected": {"sources": [
        {"configMap": {"name": "m", "optional": true}},
        {"secret": {"name": "s", "optional": true, "items": [{"key": "k", "path": "x/k"}]}}]}});
    let dir = running(&cluster, "p", "projected", source).await;
    assert_eq!(read(&dir, "a"), None);
    config_map(&cluster, "m", json!({"a": "1"}));
    shows(&dir, "a", Some("1")).await;
    let secret = json!({"metadata": {"name": "s", "namespace": "default"}, "data": {"k": "MQ=="}});
    cluster.api.put("secrets", secret);
    shows(&dir, "x/k", Some("1")).await;
    cluster.api.delete("configmaps", "default", "m", 0);
    shows(&dir, "a", None).await;
    assert_eq!(read(&dir, "x/k").as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_waits_for_its_secret() {
    let cluster = Cluster::new();
    let volume = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    cluster.pod("p", &["run"], json!({ "volumes": volume }));
    cluster.event("FailedMount", "secret \"s\" not found").await;
    let secret = json!({"metadata": {"name": "s", "namespace": "default"}, "data": {"k": "MQ=="}});
    cluster.api.put("secrets", secret);
    cluster.until("p", "/status/phase", json!("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn immutable_objects_are_not_followed() {
    let cluster = Cluster::new();
    let put = |value: &str| {
        let map = json!({"metadata": {"name": "m", "namespace": "default"},
            "immutable": true, "data": {"a": value}});
        cluster.api.put("configmaps", map);
    };
    put("1");
    config_map(&cluster, "n", json!({"b": "1"}));
    let source = json!({"projected": {"sources": [
        {"configMap": {"name": "m"}}, {"configMap": {"name": "n"}}]}});
    let dir = running(&cluster, "p", "projected", source).await;
    // No server allows this change; what matters is that nobody looks for it.
    put("2");
    config_map(&cluster, "n", json!({"b": "2"}));
    shows(&dir, "b", Some("2")).await;
    assert_eq!(read(&dir, "a").as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_followed() {
    let cluster = Cluster::new();
    let item = |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let items = [
        item("labels", "metadata.labels"),
        item("a", "metadata.annotations['a']"),
    ];
    let source = json!({"downwardAPI": {"items": items}});
    let dir = running(&cluster, "p", "downward-api", source).await;
    assert_eq!(read(&dir, "labels").as_deref(), Some(""));
    let mut pod = cluster.get("p");
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod["metadata"]["annotations"] = json!({"a": "x"});
    cluster.api.put("pods", pod);
    shows(&dir, "labels", Some("app=\"web\"")).await;
    shows(&dir, "a", Some("x")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed() {
    let cluster = Cluster::new();
    cluster.api.set_token_life(2);
    let labels = json!({"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}});
    let source = json!({"projected": {"sources": [
        {"serviceAccountToken": {"path": "token"}}, {"downwardAPI": {"items": [labels]}}]}});
    let dir = running(&cluster, "p", "projected", source).await;
    let token = |number: u32| {
        let start = format!("{number}: default for");
        read(&dir, "token").is_some_and(|token| token.starts_with(&start))
    };
    assert!(token(1));
    cluster.api.set_token_life(3_600);
    assert!(eventually(|| token(2).then_some(())).await.is_some());
    // A look at the volume for another reason keeps a token that is not due.
    let mut pod = cluster.get("p");
    pod["metadata"]["labels"] = json!({"app": "web"});
    cluster.api.put("pods", pod);
    shows(&dir, "labels", Some("app=\"web\"")).await;
    assert!(token(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_could_not_be_written_is_renewed_again() {
    let cluster = Cluster::new();
    cluster.api.set_token_life(2);
    let source = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
    let dir = running(&cluster, "p", "projected", source).await;
    let first = read(&dir, "token").unwrap();
    // Where the new content is made visible is a folder that is not empty.
    let obstacle = dir.join("..data_tmp");
    std::fs::create_dir_all(obstacle.join("x")).unwrap();
    cluster.api.set_token_life(3_600);
    cluster.event("FailedMount", "\"v\"").await;
    assert_eq!(read(&dir, "token").as_ref(), Some(&first));
    std::fs::remove_dir_all(&obstacle).unwrap();
    let renewed = eventually(|| (read(&dir, "token")? != first).then_some(()));
    assert!(renewed.await.is_some());
}

/// Each holds its content in memory meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn the_volumes_of_few_pods_are_put_together_at_once() {
    let cluster = Cluster::new();
    cluster.api.hold_requests(Some("/token"));
    let asked = |pod: &str| {
        let request = format!("POST serviceaccounts/default/{pod}/token");
        cluster.api.requests(&request)
    };
    let names: Vec<String> = (0..20).map(|at| format!("p{at}-")).collect();
    for name in &names {
        let source = json!({"serviceAccountToken": {"path": "token"}});
        let volumes = json!([{"name": "v", "projected": {"sources": [source]}}]);
        let spec = json!({"serviceAccountName": name, "volumes": volumes});
        cluster.pod(name, &["run"], spec);
    }
    for name in &names {
        let told = || cluster.get(name)["status"]["startTime"].as_str().map(drop);
        eventually(told).await.unwrap();
    }
    let waiting = || names.iter().filter(|name| asked(name) == 0);
    eventually(|| (waiting().count() <= 4).then_some(()))
        .await
        .unwrap();
    assert_eq!(waiting().count(), 4);

    // One that waits may go.
    let goes = waiting().next().unwrap();
    cluster.api.delete("pods", "default", goes, 5);
    let gone = eventually(|| cluster.get(goes).is_null().then_some(())).await;
    assert!(gone.is_some());
    cluster.api.hold_requests(None);
    for name in names.iter().filter(|name| *name != goes) {
        cluster.until(name, "/status/phase", json!("Running")).await;
    }
    assert_eq!(asked(goes), 0);
}
