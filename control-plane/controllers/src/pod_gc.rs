//! Removes pods nobody will ever end: those of nodes that are gone, deleted pods that were never placed, and the oldest of too
//! many that have ended.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Preconditions};
use kube::runtime::watcher::Event;
use tokio_util::sync::CancellationToken;

use crate::delays::Delays;
use crate::source;

/// Upstream's `--terminated-pod-gc-threshold`.
const MAX_ENDED: usize = 12_500;
/// A node that is gone for this long is not coming back: upstream's quarantine.
const QUARANTINE: Duration = Duration::from_secs(40);
/// A deletion that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    namespace: String,
    name: String,
    uid: String,
}

/// What of a pod decides whether it goes.
#[derive(Debug, Clone)]
struct Seen {
    node: Option<String>,
    ended: bool,
    terminating: bool,
    created: jiff::Timestamp,
}

#[derive(Debug, Default)]
struct Cluster {
    pods: HashMap<Key, Seen>,
    nodes: HashSet<String>,
    ended: BTreeMap<(jiff::Timestamp, Key), ()>,
}

pub(crate) async fn run(client: kube::Client, shutdown: CancellationToken) {
    let mut pods = source::objects(Api::<Pod>::all(client.clone()), "");
    let mut nodes = source::objects(Api::<Node>::all(client.clone()), "");
    let mut cluster = Cluster::default();
    let mut due: Delays<Key> = Delays::default();
    let mut listed_pods = HashSet::new();
    let mut listed_nodes = HashSet::new();
    let mut nodes_known = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = pods.next() => match event {
                Event::Apply(pod) => cluster.pod_applied(&pod, &mut due),
                Event::Delete(pod) => cluster.pod_gone(&key(&pod), &mut due),
                Event::Init => listed_pods.clear(),
                Event::InitApply(pod) => {
                    listed_pods.insert(key(&pod));
                    cluster.pod_applied(&pod, &mut due);
                }
                Event::InitDone => {
                    let listed = std::mem::take(&mut listed_pods);
                    let gone: Vec<_> =
                        cluster.pods.keys().filter(|key| !listed.contains(*key)).cloned().collect();
                    gone.iter().for_each(|key| cluster.pod_gone(key, &mut due));
                }
            },
            Some(event) = nodes.next() => match event {
                Event::Apply(node) => { cluster.nodes.insert(node.metadata.name.unwrap_or_default()); }
                Event::Delete(node) => {
                    let name = node.metadata.name.unwrap_or_default();
                    cluster.node_gone(&name, &mut due);
                }
                Event::Init => listed_nodes.clear(),
                Event::InitApply(node) => { listed_nodes.insert(node.metadata.name.unwrap_or_default()); }
                Event::InitDone => {
                    nodes_known = true;
                    cluster.nodes = std::mem::take(&mut listed_nodes);
                    cluster.check_all(&mut due);
                }
            },
            key = due.next() => {
                if nodes_known && cluster.must_go(&key) && let Err(error) = delete(&client, &key).await {
                    tracing::warn!(?key, %error, "collecting a pod failed; it is tried again");
                    due.set(key, RETRY);
                }
            }
        }
    }
}

impl Cluster {
    fn pod_applied(&mut self, pod: &Pod, due: &mut Delays<Key>) {
        let key = key(pod);
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let seen = Seen {
            node: pod
                .spec
                .as_ref()
                .and_then(|spec| spec.node_name.clone())
                .filter(|n| !n.is_empty()),
            ended: matches!(phase, Some("Succeeded" | "Failed")),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            created: pod
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(jiff::Timestamp::UNIX_EPOCH, |t| t.0),
        };
        if seen.ended {
            self.ended.insert((seen.created, key.clone()), ());
        }
        self.pods.insert(key.clone(), seen);
        self.schedule(&key, due);
        while self.ended.len() > MAX_ENDED {
            let Some(((_, oldest), ())) = self.ended.pop_first() else {
                break;
            };
            due.set(oldest, Duration::ZERO);
        }
    }

    fn pod_gone(&mut self, key: &Key, due: &mut Delays<Key>) {
        if let Some(seen) = self.pods.remove(key) {
            self.ended.remove(&(seen.created, key.clone()));
        }
        due.cancel(key);
    }

    fn node_gone(&mut self, name: &str, due: &mut Delays<Key>) {
        self.nodes.remove(name);
        let theirs = self
            .pods
            .iter()
            .filter(|(_, seen)| seen.node.as_deref() == Some(name));
        for (key, _) in theirs {
            due.set(key.clone(), QUARANTINE);
        }
    }

    fn check_all(&self, due: &mut Delays<Key>) {
        for key in self.pods.keys() {
            self.schedule(key, due);
        }
    }

    fn schedule(&self, key: &Key, due: &mut Delays<Key>) {
        let Some(seen) = self.pods.get(key) else {
            return;
        };
        match &seen.node {
            Some(node) if !self.nodes.contains(node) => due.set(key.clone(), QUARANTINE),
            None if seen.terminating => due.set(key.clone(), Duration::ZERO),
            _ => {}
        }
    }

    /// Asked when a pod's time has come: much may have changed since.
    fn must_go(&self, key: &Key) -> bool {
        let Some(seen) = self.pods.get(key) else {
            return false;
        };
        let orphaned = seen
            .node
            .as_ref()
            .is_some_and(|node| !self.nodes.contains(node));
        let never_placed = seen.node.is_none() && seen.terminating;
        let surplus = seen.ended && !self.ended.contains_key(&(seen.created, key.clone()));
        orphaned || never_placed || surplus
    }
}

fn key(pod: &Pod) -> Key {
    Key {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

async fn delete(client: &kube::Client, key: &Key) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: Some(key.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&key.name, &params).await {
        Ok(_) => Ok(()),
        // Gone already, or another pod of that name.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, node: Option<&str>, phase: &str, terminating: bool) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "default", "uid": name,
                         "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": []},
            "status": {"phase": phase},
        });
        if let Some(node) = node {
            pod["spec"]["nodeName"] = json!(node);
        }
        if terminating {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
        }
        serde_json::from_value(pod).expect("pod")
    }

    fn check(pod: &Pod, expected: bool) {
        let mut cluster = Cluster::default();
        cluster.nodes.insert("here".to_string());
        cluster.pod_applied(pod, &mut Delays::default());
        assert_eq!(cluster.must_go(&key(pod)), expected, "{pod:?}");
    }

    #[tokio::test]
    async fn who_goes() {
        check(&pod("a", Some("here"), "Running", false), false);
        check(&pod("a", Some("here"), "Running", true), false);
        check(&pod("a", Some("gone"), "Running", false), true);
        check(&pod("a", None, "Pending", false), false);
        check(&pod("a", None, "Pending", true), true);
        check(&pod("a", Some("here"), "Succeeded", false), false);
    }

    #[tokio::test(start_paused = true)]
    async fn orphans_wait_out_the_quarantine_and_a_returned_node_keeps_them() {
        let mut cluster = Cluster::default();
        let mut due = Delays::default();
        cluster.nodes.insert("n".to_string());
        let pod = pod("a", Some("n"), "Running", false);
        cluster.pod_applied(&pod, &mut due);
        cluster.node_gone("n", &mut due);
        let start = tokio::time::Instant::now();
        assert_eq!(due.next().await, key(&pod));
        assert_eq!(start.elapsed(), QUARANTINE);
        assert!(cluster.must_go(&key(&pod)));
        cluster.nodes.insert("n".to_string());
        assert!(!cluster.must_go(&key(&pod)));
    }
}
