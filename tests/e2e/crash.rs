//! `kill -9` in the midst of writing, again and again: what was acknowledged is there, and no revision is given out twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};

use crate::support::{Cluster, Guest, PATIENCE, PodSpec};

const ROUNDS: usize = 6;
const WRITERS: usize = 8;
/// Writes to wait for in a round before the plug is pulled.
const WRITES: u64 = 200;

fn revision(metadata: &ObjectMeta) -> u64 {
    let text = metadata
        .resource_version
        .as_deref()
        .expect("a resourceVersion");
    text.parse().expect("a number")
}

/// Creates objects until it is cut off; returns the acknowledged ones with their revisions.
async fn write(
    client: kube::Client,
    prefix: String,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<(String, u64)> {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match api.create(&PostParams::default(), &object).await {
            Ok(created) => {
                acknowledged.push((name, revision(&created.metadata)));
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    let mut folder = tempfile::tempdir().expect("temp dir");
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut highest = 0;
    for round in 0..ROUNDS {
        let cluster = Cluster::start_in(folder, &[]);
        let client = cluster.client().await;
        check(&client, &expected).await;
        if round == 0 {
            cluster.push(Guest::Sleep, "sleep");
            let pods: Api<Pod> = Api::default_namespaced(client.clone());
            let pod = PodSpec::new("lasting", "sleep").with("/spec/restartPolicy", "Always".into());
            let pod = serde_json::from_value(pod.json().clone()).expect("a pod");
            pods.create(&PostParams::default(), &pod)
                .await
                .expect("created");
        }
        wait_running(&client, "lasting").await;

        let count = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let prefix = format!("r{round}-w{writer}");
                tokio::spawn(write(
                    client.clone(),
                    prefix,
                    Arc::clone(&count),
                    Arc::clone(&stop),
                ))
            })
            .collect();
        let start = Instant::now();
        while count.load(Ordering::Relaxed) < WRITES {
            assert!(start.elapsed() < PATIENCE, "writes are not acknowledged");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        folder = cluster.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            for (name, revision) in writer.await.expect("the writer ends") {
                assert!(
                    revision > highest,
                    "revision {revision} of {name} was given out before the crash"
                );
                assert!(
                    expected.insert(name.clone(), revision).is_none(),
                    "{name} twice"
                );
            }
        }
        highest = expected.values().copied().max().unwrap_or(highest);
    }
    let cluster = Cluster::start_in(folder, &[]);
    let client = cluster.client().await;
    check(&client, &expected).await;
    wait_running(&client, "lasting").await;
    cluster.stop();
}

async fn check(client: &kube::Client, expected: &BTreeMap<String, u64>) {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let list = api.list(&ListParams::default()).await.expect("a list");
    let found: BTreeMap<_, _> = list
        .items
        .iter()
        .map(|object| {
            (
                object.metadata.name.clone().expect("a name"),
                revision(&object.metadata),
            )
        })
        .collect();
    for (name, revision) in expected {
        assert_eq!(found.get(name), Some(revision), "{name} was acknowledged");
    }
}

async fn wait_running(client: &kube::Client, name: &str) {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let running = kube::runtime::wait::await_condition(
        api,
        name,
        kube::runtime::wait::conditions::is_pod_running(),
    );
    tokio::time::timeout(PATIENCE, running)
        .await
        .expect("the pod runs in time")
        .expect("watched");
}
