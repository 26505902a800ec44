//! Pods that name their node themselves: the node takes those that fit beside the others.

use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE, eventually};

fn asks(cpu: &str) -> Value {
    json!({"restartPolicy": "Never", "container": {"resources": {"requests": {"cpu": cpu}}}})
}

fn milli(cpus: i64) -> String {
    format!("{}m", cpus * 1_000)
}

async fn runs(cluster: &Cluster, name: &str) {
    cluster.until(name, "/status/phase", json!("Running")).await;
}

async fn is_refused(cluster: &Cluster, name: &str) -> Value {
    let failed = cluster.until(name, "/status/phase", json!("Failed")).await;
    assert_eq!(failed["status"]["reason"], "OutOfcpu", "{failed:#}");
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_takes_nothing_from_others() {
    let mut cluster = Cluster::new();
    let cpus = cluster.cpus().await;
    cluster.pod("big", &["run"], asks("1000"));
    let failed = is_refused(&cluster, "big").await;
    let why = format!(
        "Node didn't have enough resource: cpu, requested: 1000000, used: 0, capacity: {}",
        cpus * 1_000
    );
    let status = &failed["status"];
    assert_eq!(status["message"], format!("Pod was rejected: {why}"));
    assert_eq!(status["containerStatuses"], Value::Null);
    assert_eq!(status["qosClass"], "BestEffort");
    assert_eq!(
        status["conditions"].as_array().unwrap().len(),
        1,
        "that it was scheduled"
    );
    assert!(status["startTime"].is_string());
    let event = cluster.event("OutOfcpu", &why).await;
    assert_eq!(event["type"], "Warning");
    assert_eq!(cluster.runtime.calls("run_sandbox"), 0);

    cluster.pod("all", &["run"], asks(&milli(cpus)));
    runs(&cluster, "all").await;
    cluster.pod("more", &["run"], asks("1m"));
    is_refused(&cluster, "more").await;
    cluster.pod("none", &["run"], json!({}));
    runs(&cluster, "none").await;

    // It is deleted like any other, by an agent that has just begun, too.
    cluster.restart(false).await;
    for name in ["big", "more"] {
        cluster.api.delete("pods", "default", name, 5);
        let gone = eventually(|| {
            cluster
                .api
                .get("pods", "default", name)
                .is_none()
                .then_some(())
        });
        assert!(gone.await.is_some(), "{:#}", cluster.get(name));
    }
    assert_eq!(cluster.runtime.calls("run_sandbox"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_here_before_the_agent_began_stays_and_the_rest_comes_by_age() {
    let mut cluster = Cluster::new();
    let half = format!("{}m", cluster.cpus().await * 500);
    cluster.pod("running", &["run"], asks(&half));
    runs(&cluster, "running").await;
    cluster.stop().await;
    for (name, year) in [("first", 2001), ("second", 2000), ("third", 2002)] {
        let mut pod = cluster.pod(name, &["run"], asks(&half));
        pod["metadata"]["creationTimestamp"] = json!(format!("{year}-01-01T00:00:00Z"));
        cluster.api.put("pods", pod);
    }
    cluster.start();
    runs(&cluster, "second").await;
    is_refused(&cluster, "first").await;
    is_refused(&cluster, "third").await;
    assert_eq!(cluster.get("running")["status"]["phase"], "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_instead_of_another_finds_its_room() {
    let cluster = Cluster::new();
    let all = milli(cluster.cpus().await);
    for round in 0..10 {
        // As soon as the end of a pod can be read, another may be bound.
        let name = format!("ends-{round}");
        cluster.pod(&name, &["exit", "0"], asks(&all));
        cluster
            .until(&name, "/status/phase", json!("Succeeded"))
            .await;
    }
    for round in 0..10 {
        // One that is deleted without grace is gone for the scheduler, though it may stop for a while here.
        let name = format!("runs-{round}");
        cluster.pod(&name, &["run"], asks(&all));
        runs(&cluster, &name).await;
        cluster.api.delete("pods", "default", &name, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_worker_went_down_has_its_room_until_it_is_gone() {
    let cluster = Cluster::new();
    let all = milli(cluster.cpus().await);
    let goes_down = async |name: &str| {
        cluster.runtime.panic_once();
        let pod = cluster.pod(name, &["run"], asks(&all));
        let call = format!("run_sandbox {name}");
        let called = eventually(|| (cluster.runtime.calls(&call) == 1).then_some(()));
        assert!(called.await.is_some());
        pod
    };
    // The next change gets it another worker, which finds no other pod in its place.
    let mut pod = goes_down("first").await;
    cluster.pod("other", &["run"], asks(&all));
    is_refused(&cluster, "other").await;
    pod["metadata"]["labels"] = json!({"changed": "yes"});
    cluster.api.put("pods", pod);
    runs(&cluster, "first").await;
    cluster.api.delete("pods", "default", "first", 0);

    // One that goes without another worker leaves nothing.
    goes_down("second").await;
    cluster.api.delete("pods", "default", "second", 0);
    cluster.pod("third", &["run"], asks(&all));
    runs(&cluster, "third").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_follows_what_the_node_says() {
    const GPUS: &str = "example.com/gpu";
    let cluster = Cluster::new();
    cluster.cpus().await;
    let gpus = |count: &str| json!({"container": {"resources": {"limits": {GPUS: count}, "requests": {GPUS: count}}}});
    // Somebody advertises it by hand; the agent tells what pods may have of it.
    let advertise = async |count: Value| {
        let mut node = cluster.api.get("nodes", "", NODE).unwrap();
        node["status"]["capacity"][GPUS] = count.clone();
        cluster.api.put("nodes", node);
        let told = || {
            let node = cluster.api.get("nodes", "", NODE).unwrap();
            let status = &node["status"];
            (status["allocatable"][GPUS] == count && status["capacity"][GPUS] == count)
                .then_some(())
        };
        assert!(eventually(told).await.is_some());
    };
    let refused = async |name: &str, why: &str| {
        let failed = cluster.until(name, "/status/phase", json!("Failed")).await;
        let message = failed["status"]["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("resource: {GPUS}, {why}")),
            "{message}"
        );
    };
    advertise(json!("1")).await;
    cluster.pod("early", &["run"], gpus("2"));
    refused("early", "requested: 2, used: 0, capacity: 1").await;
    advertise(json!("2")).await;
    cluster.pod("first", &["run"], gpus("2"));
    runs(&cluster, "first").await;
    advertise(json!("0")).await;
    cluster.pod("late", &["run"], gpus("1"));
    refused("late", "requested: 1, used: 2").await;
    assert_eq!(cluster.get("first")["status"]["phase"], "Running");
    assert_eq!(cluster.runtime.counts(), (1, 1));
}
