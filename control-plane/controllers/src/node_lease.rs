//! Watches over nodes by their leases: one that is not renewed in time makes its node's conditions `Unknown`, and taints follow
//! the Ready condition, so that nothing new is placed there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::watcher::Event;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::delays::Delays;
use crate::source;

/// Where nodes keep their leases.
const LEASES: &str = "kube-node-lease";
/// Upstream's `--node-monitor-grace-period`.
const GRACE: Duration = Duration::from_secs(50);
/// Upstream's `--node-startup-grace-period`: for nodes that have not said yet whether they are ready.
const STARTUP_GRACE: Duration = Duration::from_secs(60);
/// A write that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// What no node says of itself any more once its lease has run out; the network's is the control plane's to say.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

pub(crate) async fn run(client: kube::Client, shutdown: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let mut leases = source::objects(leases, "");
    let mut nodes = source::objects(Api::<Node>::all(client.clone()), "");
    let mut watched = Nodes::new(client);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = leases.next() => {
                // Our own clock counts, not the node's: a renewal is a renewal whenever it is dated.
                if let Event::Apply(lease) | Event::InitApply(lease) = event {
                    watched.silence.set(lease.metadata.name.unwrap_or_default(), GRACE);
                }
            }
            Some(event) = nodes.next() => watched.event(event).await,
            due = watched.due() => watched.handle(due).await,
        }
    }
}

/// The nodes that there are, and when each is due.
struct Nodes {
    client: kube::Client,
    known: HashMap<String, Node>,
    /// When a lease has run out.
    silence: Delays<String>,
    /// When taints that could not be written are tried again.
    unsettled: Delays<String>,
    listed: HashSet<String>,
}

/// What has to be done for a node of this name.
enum Due {
    Silent(String),
    Unsettled(String),
}

impl Nodes {
    fn new(client: kube::Client) -> Self {
        Self {
            client,
            known: HashMap::new(),
            silence: Delays::default(),
            unsettled: Delays::default(),
            listed: HashSet::new(),
        }
    }

    async fn event(&mut self, event: Event<Node>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(node) => {
                let name = node.metadata.name.clone().unwrap_or_default();
                self.listed.insert(name);
                self.applied(node).await;
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let names: Vec<_> = self.known.keys().cloned().collect();
                for name in names.iter().filter(|name| !listed.contains(*name)) {
                    self.gone(name);
                }
            }
            Event::Apply(node) => self.applied(node).await,
            Event::Delete(node) => self.gone(&node.metadata.name.unwrap_or_default()),
        }
    }

    async fn applied(&mut self, node: Node) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let grace = match ready(&node) {
            Some(_) => GRACE,
            None => STARTUP_GRACE,
        };
        if self.known.insert(name.clone(), node).is_none() {
            self.silence.set(name.clone(), grace);
        }
        self.settle(name).await;
    }

    fn gone(&mut self, name: &String) {
        self.known.remove(name);
        self.silence.cancel(name);
        self.unsettled.cancel(name);
    }

    /// Waits for the next thing that is due. Whoever stops waiting loses nothing: it is done by [`Nodes::handle`], which
    /// must come to its end.
    async fn due(&mut self) -> Due {
        tokio::select! {
            name = self.silence.next() => Due::Silent(name),
            name = self.unsettled.next() => Due::Unsettled(name),
        }
    }

    async fn handle(&mut self, due: Due) {
        match due {
            Due::Silent(name) => self.silent(name).await,
            Due::Unsettled(name) => self.settle(name).await,
        }
    }

    async fn silent(&mut self, name: String) {
        let Some(node) = self.known.get(&name) else {
            return;
        };
        tracing::warn!(node = name, "the node has not renewed its lease");
        if let Err(error) = mark_unknown(&self.client, node).await {
            tracing::warn!(node = name, %error, "cannot mark the node; it is tried again");
            self.silence.set(name, RETRY);
        }
    }

    /// Brings the taints in line with the Ready condition.
    async fn settle(&mut self, name: String) {
        self.unsettled.cancel(&name);
        let Some(node) = self.known.get(&name) else {
            return;
        };
        let spec = node.spec.as_ref();
        let current = spec
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default();
        let wanted = wanted_taints(node, &current);
        if wanted == current {
            return;
        }
        let patch = json!({
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": wanted},
        });
        let api: Api<Node> = Api::all(self.client.clone());
        let params = PatchParams::default();
        match api.patch(&name, &params, &Patch::Merge(patch)).await {
            Ok(_) => {}
            // The node changed meanwhile: its new state comes and is settled then.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                tracing::warn!(node = name, %error, "cannot taint the node; it is tried again");
                self.unsettled.set(name, RETRY);
            }
        }
    }
}

/// The status of the Ready condition.
fn ready(node: &Node) -> Option<&str> {
    let mut conditions = node
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let ready = conditions.find(|condition| condition.type_ == "Ready")?;
    Some(&ready.status)
}

fn wanted_taints(node: &Node, current: &[Taint]) -> Vec<Taint> {
    let key = match ready(node) {
        // One that has not said anything yet is given the time to.
        Some("True") | None => None,
        Some("Unknown") => Some(UNREACHABLE),
        Some(_) => Some(NOT_READY),
    };
    let ours = |taint: &Taint| taint.key == NOT_READY || taint.key == UNREACHABLE;
    let mut wanted: Vec<Taint> = current
        .iter()
        .filter(|taint| !ours(taint) || Some(taint.key.as_str()) == key)
        .cloned()
        .collect();
    for effect in ["NoSchedule", "NoExecute"] {
        let Some(key) = key else { break };
        if !wanted
            .iter()
            .any(|taint| taint.key == key && taint.effect == effect)
        {
            let time_added = (effect == "NoExecute").then(|| Time(now()));
            wanted.push(Taint {
                key: key.to_string(),
                effect: effect.to_string(),
                time_added,
                value: None,
            });
        }
    }
    wanted
}

async fn mark_unknown(client: &kube::Client, node: &Node) -> Result<(), kube::Error> {
    let unknown = silenced(node);
    if unknown.is_empty() {
        return Ok(());
    }
    let name = node.metadata.name.clone().unwrap_or_default();
    let api: Api<Node> = Api::all(client.clone());
    let patch = Patch::Strategic(json!({"status": {"conditions": unknown}}));
    match api
        .patch_status(&name, &PatchParams::default(), &patch)
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The conditions that change when a node falls silent.
fn silenced(node: &Node) -> Vec<NodeCondition> {
    let conditions = node
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let conditions: Vec<_> = conditions.collect();
    let silenced = CONDITIONS.iter().filter_map(|kind| {
        let now = Some(Time(now()));
        let (reason, message, heartbeat) = match conditions.iter().find(|c| c.type_ == *kind) {
            Some(said) if said.status == "Unknown" => return None,
            Some(said) => (
                "NodeStatusUnknown",
                "Kubelet stopped posting node status.",
                &said.last_heartbeat_time,
            ),
            None => (
                "NodeStatusNeverUpdated",
                "Kubelet never posted node status.",
                &node.metadata.creation_timestamp,
            ),
        };
        Some(NodeCondition {
            type_: kind.to_string(),
            status: "Unknown".to_string(),
            reason: Some(reason.to_string()),
            message: Some(message.to_string()),
            last_heartbeat_time: heartbeat.clone(),
            last_transition_time: now,
        })
    });
    silenced.collect()
}

fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{server, status};

    fn check(ready: &str, taints: &[(&str, &str)], expected: &[(&str, &str)]) {
        let taints: Vec<_> = taints
            .iter()
            .map(|(key, effect)| json!({"key": key, "effect": effect}))
            .collect();
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n"},
            "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .expect("node");
        let current = node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default();
        let wanted = wanted_taints(&node, &current);
        let wanted: Vec<_> = wanted
            .iter()
            .map(|taint| (taint.key.as_str(), taint.effect.as_str()))
            .collect();
        assert_eq!(wanted, expected);
    }

    #[test]
    fn taints_follow_the_condition() {
        let unreachable = [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")];
        let not_ready = [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")];
        check("True", &[], &[]);
        check("True", &unreachable, &[]);
        check("Unknown", &[], &unreachable);
        check("Unknown", &unreachable, &unreachable);
        check("False", &unreachable, &not_ready);
        let kept = [("mine", "NoSchedule")];
        check("True", &kept, &kept);
    }

    fn node(name: &str, conditions: &serde_json::Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": conditions},
        }))
        .expect("a node")
    }

    #[test]
    fn what_a_silent_node_said_of_itself_is_unknown() {
        let node = node(
            "n",
            &json!([{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "Unknown"},
                    {"type": "NetworkUnavailable", "status": "False"}, {"type": "Mine", "status": "True"}]),
        );
        let silenced = silenced(&node);
        let silenced: Vec<_> = silenced
            .iter()
            .map(|c| (c.type_.as_str(), c.reason.as_deref().unwrap_or_default()))
            .collect();
        let expected = [
            ("Ready", "NodeStatusUnknown"),
            ("MemoryPressure", "NodeStatusNeverUpdated"),
            ("PIDPressure", "NodeStatusNeverUpdated"),
        ];
        assert_eq!(silenced, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_taint_that_could_not_be_written_says_nothing_about_the_lease() {
        let (client, got) = server(|_, _| Some(status(500, "InternalError")));
        let mut nodes = Nodes::new(client);
        let broken = node("n", &json!([{"type": "Ready", "status": "False"}]));
        nodes.event(Event::Apply(broken)).await;
        let due = nodes.due().await;
        nodes.handle(due).await;
        let got = got.lock().expect("nobody panicked");
        let paths: Vec<_> = got.iter().map(|(_, path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/api/v1/nodes/n", "/api/v1/nodes/n"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_says_nothing_is_given_the_time_to_begin() {
        let (client, got) = server(|_, _| Some(json!({"metadata": {}})));
        let mut nodes = Nodes::new(client);
        nodes.event(Event::Apply(node("n", &json!([])))).await;
        let start = tokio::time::Instant::now();
        let due = nodes.due().await;
        nodes.handle(due).await;
        assert_eq!(start.elapsed(), STARTUP_GRACE);
        let got = got.lock().expect("nobody panicked");
        let paths: Vec<_> = got.iter().map(|(_, path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/api/v1/nodes/n/status"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_a_list_has_no_more_is_gone() {
        let (client, _) = server(|_, _| None);
        let mut nodes = Nodes::new(client);
        let ready = |name| node(name, &json!([{"type": "Ready", "status": "True"}]));
        for names in [&["a", "b"][..], &["b"]] {
            nodes.event(Event::Init).await;
            for name in names {
                nodes.event(Event::InitApply(ready(name))).await;
            }
            nodes.event(Event::InitDone).await;
        }
        assert_eq!(nodes.known.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(nodes.silence.next().await, "b");
    }
}
