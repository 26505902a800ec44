//! The Node object and its heartbeats.
//!
//! One loop registers the node, writes its status when it changed (or every five minutes), and
//! makes it again when somebody deleted it; another renews the Lease. Both outlive any failure of
//! the API server.

mod health;
mod host;
mod images;
mod lease;
mod object;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use sampan_proto::{ImageService, RuntimeService};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::agent::{api_message, in_time};
use crate::limits::{API_RETRY, NODE_FACTS_PERIOD, NODE_STATUS_PERIOD};
use crate::plan::Backoff;
use crate::room::Room;
pub(crate) use host::{HostSource, meminfo};
pub(crate) use lease::renew_loop;
pub(crate) use object::{Identity, capacity};

/// What the node's loops share.
pub(crate) struct NodeLoop {
    pub(crate) client: kube::Client,
    pub(crate) runtime: Arc<dyn RuntimeService>,
    pub(crate) images: Arc<dyn ImageService>,
    pub(crate) identity: Identity,
    pub(crate) host: HostSource,
    /// Never less than the Node says, by which pods are sent here.
    pub(crate) room: Arc<Room>,
}

/// Why the loop woke up.
enum Woken {
    /// The node is there, and differs from what was written.
    Seen(Box<Node>),
    Deleted,
    Time,
}

impl NodeLoop {
    /// Keeps the Node object true until shutdown. `registered` tells the Node's UID.
    pub(crate) async fn run(
        self,
        registered: tokio::sync::watch::Sender<Option<String>>,
        shutdown: CancellationToken,
    ) {
        let work = async {
            let nodes: Api<Node> = Api::all(self.client.clone());
            let config =
                watcher::Config::default().fields(&format!("metadata.name={}", self.identity.name));
            let mut own = std::pin::pin!(watcher::watcher(nodes.clone(), config).default_backoff());
            let mut present = self.register(&nodes).await;
            loop {
                registered.send_replace(present.metadata.uid.clone());
                present = self.write_status(&nodes, present).await;
                let woken = tokio::select! {
                    event = own.next() => match event {
                        Some(Ok(Event::Apply(node) | Event::InitApply(node))) => {
                            Woken::Seen(Box::new(node))
                        }
                        Some(Ok(Event::Delete(_))) => Woken::Deleted,
                        _ => continue,
                    },
                    () = tokio::time::sleep(NODE_FACTS_PERIOD) => Woken::Time,
                };
                match woken {
                    Woken::Seen(node) => present = *node,
                    Woken::Deleted => present = self.register(&nodes).await,
                    Woken::Time => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Makes the Node, or brings the labels of the one that is there up to date. Tries until it
    /// works.
    async fn register(&self, nodes: &Api<Node>) -> Node {
        let mut retry = Backoff::default();
        loop {
            match self.register_once(nodes).await {
                Ok(node) => return node,
                Err(error) => {
                    tracing::warn!(
                        reason = api_message(&error),
                        "node not registered; trying again"
                    );
                }
            }
            retry.fail(Timestamp::now(), API_RETRY);
            tokio::time::sleep(retry.delay()).await;
        }
    }

    async fn register_once(&self, nodes: &Api<Node>) -> Result<Node, kube::Error> {
        let seen = self.observe().await;
        let wanted = object::node(&self.identity, &seen, Timestamp::now());
        self.will_say(wanted.status.as_ref());
        match in_time(nodes.create(&PostParams::default(), &wanted)).await {
            Ok(node) => {
                tracing::info!(node = self.identity.name, "node registered");
                return Ok(node);
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
        let present = in_time(nodes.get(&self.identity.name)).await?;
        let Some(patch) = object::metadata_patch(&present, &wanted) else {
            return Ok(present);
        };
        let params = PatchParams::default();
        let patch = Patch::Strategic(patch);
        in_time(nodes.patch(&self.identity.name, &params, &patch)).await
    }

    /// Writes the status if it changed or its heartbeat is due. Returns the Node as it is then.
    async fn write_status(&self, nodes: &Api<Node>, present: Node) -> Node {
        let now = Timestamp::now();
        let known = present.status.clone().unwrap_or_default();
        let seen = self.observe().await;
        let next = object::status(&self.identity, &seen, &known, now);
        let is_due = is_due(&known, now) || object::differs(&known, &next);
        let patch = is_due.then(|| object::status_patch(&known, &next));
        let Some(patch) = patch.flatten() else {
            self.says(&present);
            return present;
        };
        self.will_say(Some(&next));
        let params = PatchParams::default();
        let body = Patch::Strategic(json!({ "status": patch }));
        match in_time(nodes.patch_status(&self.identity.name, &params, &body)).await {
            Ok(node) => {
                self.says(&node);
                node
            }
            Err(kube::Error::Api(status)) if status.code == 404 => self.register(nodes).await,
            Err(error) => {
                // The next wake-up writes it; until then this keeps the loop from spinning.
                tracing::warn!(reason = api_message(&error), "node status not written");
                tokio::time::sleep(API_RETRY.1.min(Duration::from_secs(5))).await;
                present
            }
        }
    }

    /// Before the Node is written: as soon as it is, pods come by what it says.
    fn will_say(&self, status: Option<&NodeStatus>) {
        if let Some(amounts) = status.and_then(|status| status.allocatable.as_ref()) {
            self.room.raise_whole(amounts);
        }
    }

    /// The Node is written: nobody goes by what it said before.
    fn says(&self, node: &Node) {
        let status = node.status.as_ref();
        if let Some(amounts) = status.and_then(|status| status.allocatable.as_ref()) {
            self.room.set_whole(amounts);
        }
    }

    async fn observe(&self) -> object::Seen {
        let host = self.host.read().await;
        let health = health::health(self.runtime.as_ref(), &host).await;
        let images = images::largest(self.images.as_ref()).await;
        let images = images.inspect_err(|error| tracing::warn!(%error, "images not listed"));
        object::Seen {
            host,
            health,
            images: images.ok(),
        }
    }
}

/// Whether the heartbeat times in the conditions are older than the status period, or from before the clock was set back.
fn is_due(known: &NodeStatus, now: Timestamp) -> bool {
    let ready = known
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "Ready");
    let written = ready.and_then(|ready| ready.last_heartbeat_time.as_ref());
    written.is_none_or(|time| {
        Duration::try_from(now.duration_since(time.0)).map_or(true, |age| age >= NODE_STATUS_PERIOD)
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::NodeCondition;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_heartbeat_is_due_after_its_period_and_when_the_clock_was_set_back() {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let period = NODE_STATUS_PERIOD.as_secs().cast_signed();
        let known = |written| NodeStatus {
            conditions: Some(vec![NodeCondition {
                type_: "Ready".to_owned(),
                last_heartbeat_time: Some(Time(at(written))),
                ..NodeCondition::default()
            }]),
            ..NodeStatus::default()
        };
        let now = 1_000_000;
        for (written, due) in [
            (now, false),
            (now - period + 1, false),
            (now - period, true),
            (now + 3_600, true),
        ] {
            assert_eq!(is_due(&known(written), at(now)), due, "{written}");
        }
        assert!(is_due(&NodeStatus::default(), at(now)), "never written");
    }
}
