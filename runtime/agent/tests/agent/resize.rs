//! Pods that ask for other resources while they run.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const RESOURCES: &str = "/status/containerStatuses/0/resources";

fn resources(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

async fn running(cluster: &Cluster, name: &str, resources: Value) {
    cluster.pod(
        name,
        &["run"],
        json!({"container": {"resources": resources}}),
    );
    cluster.until(name, "/status/phase", json!("Running")).await;
}

fn resize(cluster: &Cluster, name: &str, resources: Value) {
    let mut pod = cluster.get(name);
    pod["spec"]["containers"][0]["resources"] = resources;
    pod["metadata"]["generation"] = json!(2);
    cluster.api.put("pods", pod);
}

/// The condition of this kind, once its reason is this one.
async fn condition(cluster: &Cluster, name: &str, kind: &str, reason: &str) -> Value {
    let found = crate::cluster::eventually(|| {
        let pod = cluster.get(name);
        let all = pod["status"]["conditions"].as_array()?.clone();
        all.into_iter()
            .find(|one| one["type"] == kind && one["reason"] == reason)
    });
    found
        .await
        .unwrap_or_else(|| panic!("{:#}", cluster.get(name)["status"]))
}

fn has_condition(cluster: &Cluster, name: &str, kind: &str) -> bool {
    let pod = cluster.get(name);
    let all = pod["status"]["conditions"].as_array();
    all.is_some_and(|all| all.iter().any(|one| one["type"] == kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_that_cannot_fit_is_put_off() {
    let cluster = Cluster::new();
    let cpus = cluster.cpus().await;
    let most = (cpus * 1_000 - 100).to_string() + "m";
    running(&cluster, "large", resources(&most, "1Mi")).await;
    let little = resources("50m", "1Mi");
    running(&cluster, "small", little.clone()).await;

    // More than the node has.
    let cpu = (cpus + 1).to_string();
    resize(&cluster, "small", resources(&cpu, "1Mi"));
    let told = condition(&cluster, "small", "PodResizePending", "Infeasible").await;
    let message = format!(
        "Node didn't have enough capacity: cpu, requested: {}, capacity: {}",
        (cpus + 1) * 1_000,
        cpus * 1_000
    );
    assert_eq!(
        (&told["message"], &told["observedGeneration"]),
        (&json!(message), &json!(2))
    );
    cluster
        .event("ResizeInfeasible", "Pod resize Infeasible: {")
        .await;

    // More than the others leave.
    resize(&cluster, "small", resources("500m", "1Mi"));
    let told = condition(&cluster, "small", "PodResizePending", "Deferred").await;
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("Node didn't have enough resource: cpu, requested: 500, used: "),
        "{message}"
    );
    cluster
        .event("ResizeDeferred", "Pod resize Deferred: {")
        .await;
    assert_eq!(cluster.runtime.calls("update "), 0);
    assert_eq!(cluster.get("small").pointer(RESOURCES), Some(&little));

    // It comes when they have gone.
    cluster.api.delete("pods", "default", "large", 1);
    let wanted = resources("500m", "1Mi");
    cluster.until("small", RESOURCES, wanted).await;
    cluster
        .event("ResizeStarted", "Pod resize started: {")
        .await;
    cluster
        .event("ResizeCompleted", "Pod resize completed: {")
        .await;
    let over = crate::cluster::eventually(|| {
        let kinds = ["PodResizePending", "PodResizeInProgress"];
        let none = kinds
            .iter()
            .all(|kind| !has_condition(&cluster, "small", kind));
        none.then_some(())
    });
    assert!(over.await.is_some(), "{:#}", cluster.get("small")["status"]);
    assert_eq!(cluster.runtime.calls("update "), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_that_is_put_off_stays_so_when_the_agent_starts_again() {
    let mut cluster = Cluster::new();
    running(&cluster, "a", resources("10m", "1Mi")).await;
    // The first of the pods must not find the node empty because the others were not looked at yet.
    let share = cluster.cpus().await * 1_000 / 20;
    let others: Vec<String> = (0..19).map(|at| format!("b{at}")).collect();
    for other in &others {
        running(&cluster, other, resources(&format!("{share}m"), "1Mi")).await;
    }
    let wanted = format!("{}m", share + 1);
    resize(&cluster, "a", resources(&wanted, "1Mi"));
    condition(&cluster, "a", "PodResizePending", "Deferred").await;
    for round in 0..3 {
        cluster.restart(false).await;
        // It comes after them.
        running(&cluster, &format!("z{round}"), json!({})).await;
        condition(&cluster, "a", "PodResizePending", "Deferred").await;
    }
    assert_eq!(cluster.runtime.calls("update "), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_in_use_is_not_taken_away() {
    let cluster = Cluster::new();
    running(&cluster, "p", resources("50m", "8Mi")).await;
    cluster.runtime.set_memory(5 << 20);
    resize(&cluster, "p", resources("50m", "4Mi"));
    let told = condition(&cluster, "p", "PodResizeInProgress", "Error").await;
    let message = "cannot decrease memory limits: attempting to set container \"c\" memory limit (4194304) below \
                   current usage (5242880)";
    assert_eq!(told["message"], message);
    cluster.event("ResizeError", "Pod resize error: {").await;
    assert_eq!(
        cluster.get("p").pointer(RESOURCES),
        Some(&resources("50m", "8Mi"))
    );
    cluster.runtime.set_memory(3 << 20);
    cluster.until("p", RESOURCES, resources("50m", "4Mi")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_resources_says_so() {
    let cluster = Cluster::new();
    running(&cluster, "p", json!({})).await;
    assert_eq!(cluster.get("p").pointer(RESOURCES), Some(&json!({})));
    resize(&cluster, "p", json!({"limits": {"cpu": "1"}}));
    let expected = json!({"limits": {"cpu": "1"}});
    cluster.until("p", RESOURCES, expected).await;
}

const WHOLE: &str = "/status/resources";

fn whole(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": "10m", "memory": "1Mi"}, "limits": {"cpu": cpu, "memory": memory}})
}

fn resize_whole(cluster: &Cluster, name: &str, resources: Value) {
    let mut pod = cluster.get(name);
    pod["spec"]["resources"] = resources;
    pod["metadata"]["generation"] = json!(2);
    cluster.api.put("pods", pod);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_grows_before_its_containers_and_shrinks_after_them() {
    let cluster = Cluster::new();
    let before = whole("100m", "8Mi");
    cluster.pod("p", &["run"], json!({"resources": before}));
    cluster.until("p", WHOLE, before.clone()).await;
    cluster.until("p", "/status/phase", json!("Running")).await;
    assert_eq!(cluster.runtime.limits_of_sandbox("p"), (10_000, 8 << 20));

    let more = whole("200m", "16Mi");
    resize_whole(&cluster, "p", more.clone());
    cluster.until("p", WHOLE, more.clone()).await;
    assert_eq!(cluster.runtime.updates(), ["update_sandbox", "update"]);
    assert_eq!(cluster.runtime.limits_of_sandbox("p"), (20_000, 16 << 20));
    let allocated = "/status/allocatedResources";
    assert_eq!(cluster.get("p").pointer(allocated), Some(&more["requests"]));
    cluster
        .event("ResizeCompleted", "Pod resize completed: {")
        .await;

    // Memory in use is not taken away.
    cluster.runtime.set_memory(12 << 20);
    resize_whole(&cluster, "p", before.clone());
    let told = condition(&cluster, "p", "PodResizeInProgress", "Error").await;
    let message = "cannot decrease memory limits: [attempting to set pod memory limit (8388608) below current usage \
                   (12582912), attempting to set container \"c\" memory limit (8388608) below current usage (12582912)]";
    assert_eq!(told["message"], message);
    cluster.event("ResizeError", "Pod resize error: {").await;
    assert_eq!(cluster.get("p").pointer(WHOLE), Some(&more));
    cluster.runtime.set_memory(1 << 20);
    cluster.until("p", WHOLE, before.clone()).await;
    let updates = ["update_sandbox", "update", "update", "update_sandbox"];
    assert_eq!(cluster.runtime.updates(), updates);
    assert_eq!(cluster.runtime.limits_of_sandbox("p"), (10_000, 8 << 20));

    // What there is no room for waits.
    let cpus = cluster.cpus().await;
    let too_much = json!({"requests": {"cpu": (cpus + 1).to_string()}, "limits": {}});
    resize_whole(&cluster, "p", too_much);
    condition(&cluster, "p", "PodResizePending", "Infeasible").await;
    assert_eq!(cluster.get("p").pointer(WHOLE), Some(&before));
}
