//! Removes pods nobody will ever end: those of nodes that are gone, deleted pods that were never placed, and the oldest of too
//! many that have ended.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::delays::Delays;
use crate::source;

/// Upstream's `--terminated-pod-gc-threshold`.
const MAX_ENDED: usize = 12_500;
/// A node that is gone for this long is not coming back: upstream's quarantine.
const QUARANTINE: Duration = Duration::from_secs(40);
/// The taint by which somebody says that a node has been shut down.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// A deletion that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    namespace: String,
    name: String,
    uid: String,
}

/// Why a pod goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    NodeGone,
    /// Nobody will end it, or it has ended long ago.
    Left,
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
    /// With whether somebody said that the node is out of service for good.
    nodes: HashMap<String, bool>,
    ended: BTreeMap<(jiff::Timestamp, Key), ()>,
}

pub(crate) async fn run(client: kube::Client, shutdown: CancellationToken) {
    let mut pods = source::objects(Api::<Pod>::all(client.clone()), "");
    let mut nodes = source::objects(Api::<Node>::all(client.clone()), "");
    let mut cluster = Cluster::default();
    let mut due: Delays<Key> = Delays::default();
    let mut listed_pods = HashSet::new();
    let mut listed_nodes = HashMap::new();
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
                Event::Apply(node) => cluster.node_applied(&node, &mut due),
                Event::Delete(node) => {
                    let name = node.metadata.name.unwrap_or_default();
                    cluster.node_gone(&name, &mut due);
                }
                Event::Init => listed_nodes.clear(),
                Event::InitApply(node) => {
                    let out_of_service = is_out_of_service(&node);
                    listed_nodes.insert(node.metadata.name.unwrap_or_default(), out_of_service);
                }
                Event::InitDone => {
                    nodes_known = true;
                    cluster.nodes = std::mem::take(&mut listed_nodes);
                    cluster.check_all(&mut due);
                }
            },
            key = due.next() => {
                let why = cluster.must_go(&key).filter(|_| nodes_known);
                if let Some(why) = why && let Err(error) = cluster.remove(&client, &key, why).await {
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

    fn node_applied(&mut self, node: &Node, due: &mut Delays<Key>) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let out_of_service = is_out_of_service(node);
        let before = self.nodes.insert(name, out_of_service);
        if out_of_service && before != Some(true) {
            self.check_all(due);
        }
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
            Some(node) if !self.nodes.contains_key(node) => due.set(key.clone(), QUARANTINE),
            _ if self.nobody_ends(seen) => due.set(key.clone(), Duration::ZERO),
            _ => {}
        }
    }

    /// Asked when a pod's time has come: much may have changed since.
    fn must_go(&self, key: &Key) -> Option<Why> {
        let seen = self.pods.get(key)?;
        let node = seen.node.as_ref();
        if node.is_some_and(|node| !self.nodes.contains_key(node)) {
            return Some(Why::NodeGone);
        }
        let surplus = seen.ended && !self.ended.contains_key(&(seen.created, key.clone()));
        (self.nobody_ends(seen) || surplus).then_some(Why::Left)
    }

    /// It is being deleted, and there is no node that would end it.
    fn nobody_ends(&self, seen: &Seen) -> bool {
        let node = seen.node.as_ref();
        let works = node.is_some_and(|node| self.nodes.get(node) != Some(&true));
        seen.terminating && !works
    }

    async fn remove(&self, client: &kube::Client, key: &Key, why: Why) -> Result<(), kube::Error> {
        let ended = self.pods.get(key).is_some_and(|seen| seen.ended);
        let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
        // Whoever counts its ends is to see one: a Job's, for example.
        if !ended {
            let patch = Patch::Strategic(failed(key, why));
            let params = PatchParams::default();
            let patched = api.patch_status(&key.name, &params, &patch).await;
            match unless_gone(patched.map(drop)) {
                // A full disk takes no status, and the deletion gives room.
                Err(kube::Error::Api(status)) if matches!(status.code, 500 | 507) => {
                    tracing::warn!(
                        pod = key.name,
                        error = status.message,
                        "a pod goes without its last status"
                    );
                }
                patched => patched?,
            }
        }
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(key.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        unless_gone(api.delete(&key.name, &params).await.map(drop))
    }
}

/// The status of a pod that did not end by itself.
fn failed(key: &Key, why: Why) -> Value {
    let mut status = json!({"phase": "Failed"});
    if why == Why::NodeGone {
        let now = jiff::Timestamp::now();
        let now = now.round(jiff::Unit::Second).unwrap_or(now);
        status["conditions"] = json!([{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": now,
        }]);
    }
    json!({"metadata": {"uid": key.uid}, "status": status})
}

/// Somebody has made sure that the node runs nothing any more; nobody is believed as long as the node says it is ready.
fn is_out_of_service(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let ready = conditions
        .filter(|condition| condition.type_ == "Ready")
        .any(|condition| condition.status == "True");
    let mut taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    !ready && taints.any(|taint| taint.key == OUT_OF_SERVICE)
}

fn key(pod: &Pod) -> Key {
    Key {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

/// What is gone already, or another pod of that name, is nobody's concern.
fn unless_gone(answer: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::server;

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

    fn check(pod: &Pod, expected: Option<Why>) {
        let mut cluster = Cluster::default();
        for (node, ready, taint) in [
            ("here", "True", "mine"),
            ("off", "Unknown", OUT_OF_SERVICE),
            ("on", "True", OUT_OF_SERVICE),
            ("silent", "Unknown", "mine"),
        ] {
            let node = json!({"metadata": {"name": node},
                "spec": {"taints": [{"key": taint, "effect": "NoExecute"}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            let node = serde_json::from_value(node).expect("a node");
            cluster.node_applied(&node, &mut Delays::default());
        }
        cluster.pod_applied(pod, &mut Delays::default());
        assert_eq!(cluster.must_go(&key(pod)), expected, "{pod:?}");
    }

    #[tokio::test]
    async fn who_goes() {
        check(&pod("a", Some("here"), "Running", false), None);
        check(&pod("a", Some("here"), "Running", true), None);
        check(
            &pod("a", Some("gone"), "Running", false),
            Some(Why::NodeGone),
        );
        check(&pod("a", None, "Pending", false), None);
        check(&pod("a", None, "Pending", true), Some(Why::Left));
        check(&pod("a", Some("here"), "Succeeded", false), None);
        check(&pod("a", Some("off"), "Running", false), None);
        check(&pod("a", Some("off"), "Running", true), Some(Why::Left));
        check(&pod("a", Some("on"), "Running", true), None);
        check(&pod("a", Some("silent"), "Running", true), None);
    }

    #[tokio::test]
    async fn who_has_not_ended_fails_first() {
        for (phase, why, expected) in [
            (
                "Running",
                Why::NodeGone,
                json!(["Failed", "DeletionByPodGC"]),
            ),
            ("Pending", Why::Left, json!(["Failed", null])),
            ("Succeeded", Why::NodeGone, json!(null)),
        ] {
            let (client, got) = server(|_, _| Some(json!({"metadata": {}})));
            let pod = pod("a", Some("gone"), phase, false);
            let mut cluster = Cluster::default();
            cluster.pod_applied(&pod, &mut Delays::default());
            let removed = cluster.remove(&client, &key(&pod), why).await;
            removed.expect("a server that answers");
            let got = got.lock().expect("nobody panicked");
            let (last, before) = got.split_last().expect("a request");
            assert_eq!(
                (last.0.as_str(), &last.2["preconditions"]["uid"]),
                ("DELETE", &json!("a"))
            );
            let told = before.iter().map(|(_, path, body)| {
                assert_eq!(path, "/api/v1/namespaces/default/pods/a/status");
                let status = &body["status"];
                json!([status["phase"], status["conditions"][0]["reason"]])
            });
            assert_eq!(
                told.collect::<Vec<_>>(),
                expected
                    .as_array()
                    .map_or(vec![], |_| vec![expected.clone()])
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_out_of_service_lets_its_pods_go_at_once() {
        let mut cluster = Cluster::default();
        let mut due = Delays::default();
        cluster.nodes.insert("n".to_string(), false);
        let pod = pod("a", Some("n"), "Running", true);
        cluster.pod_applied(&pod, &mut due);
        let node = json!({"metadata": {"name": "n"},
            "spec": {"taints": [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]}});
        let node = serde_json::from_value(node).expect("a node");
        cluster.node_applied(&node, &mut due);
        let next = tokio::time::timeout(Duration::ZERO, due.next()).await;
        assert_eq!(next, Ok(key(&pod)));
    }

    #[tokio::test(start_paused = true)]
    async fn orphans_wait_out_the_quarantine_and_a_returned_node_keeps_them() {
        let mut cluster = Cluster::default();
        let mut due = Delays::default();
        cluster.nodes.insert("n".to_string(), false);
        let pod = pod("a", Some("n"), "Running", false);
        cluster.pod_applied(&pod, &mut due);
        cluster.node_gone("n", &mut due);
        let start = tokio::time::Instant::now();
        assert_eq!(due.next().await, key(&pod));
        assert_eq!(start.elapsed(), QUARANTINE);
        assert_eq!(cluster.must_go(&key(&pod)), Some(Why::NodeGone));
        cluster.nodes.insert("n".to_string(), false);
        assert_eq!(cluster.must_go(&key(&pod)), None);
    }
}
