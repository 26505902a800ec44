//! Watches over nodes by their leases: one that is not renewed in time makes its node's conditions `Unknown`, and taints follow
//! the Ready condition, so that nothing new is placed there.

use std::collections::HashMap;
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
/// A write that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

pub(crate) async fn run(client: kube::Client, shutdown: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let mut leases = source::objects(leases, "");
    let mut nodes = source::objects(Api::<Node>::all(client.clone()), "");
    let mut known: HashMap<String, Node> = HashMap::new();
    let mut silence: Delays<String> = Delays::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = leases.next() => {
                // Our own clock counts, not the node's: a renewal is a renewal whenever it is dated.
                if let Event::Apply(lease) | Event::InitApply(lease) = event {
                    silence.set(lease.metadata.name.unwrap_or_default(), GRACE);
                }
            }
            Some(event) = nodes.next() => match event {
                Event::Apply(node) | Event::InitApply(node) => {
                    let name = node.metadata.name.clone().unwrap_or_default();
                    if known.insert(name.clone(), node).is_none() {
                        silence.set(name.clone(), GRACE);
                    }
                    settle(&client, &known[&name], &mut silence).await;
                }
                Event::Delete(node) => {
                    let name = node.metadata.name.unwrap_or_default();
                    known.remove(&name);
                    silence.cancel(&name);
                }
                Event::Init | Event::InitDone => {}
            },
            name = silence.next() => if let Some(node) = known.get(&name) {
                tracing::warn!(node = name, "the node has not renewed its lease");
                if let Err(error) = mark_unknown(&client, node).await {
                    tracing::warn!(node = name, %error, "cannot mark the node; it is tried again");
                    silence.set(name, RETRY);
                }
            },
        }
    }
}

/// Brings the taints in line with the Ready condition.
async fn settle(client: &kube::Client, node: &Node, silence: &mut Delays<String>) {
    let current = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    let wanted = wanted_taints(node, &current);
    if wanted == current {
        return;
    }
    let name = node.metadata.name.clone().unwrap_or_default();
    let patch = json!({
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "spec": {"taints": wanted},
    });
    let api: Api<Node> = Api::all(client.clone());
    match api
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Ok(_) => {}
        // The node changed meanwhile: its new state comes and is settled then.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
        Err(error) => {
            tracing::warn!(node = name, %error, "cannot taint the node");
            silence.set(name, RETRY);
        }
    }
}

fn wanted_taints(node: &Node, current: &[Taint]) -> Vec<Taint> {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "Ready");
    let key = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => None,
        Some("Unknown") => Some(UNREACHABLE),
        _ => Some(NOT_READY),
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
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let unknown: Vec<NodeCondition> = conditions
        .into_iter()
        .filter(|condition| condition.status != "Unknown")
        .map(|condition| NodeCondition {
            status: "Unknown".to_string(),
            reason: Some("NodeStatusUnknown".to_string()),
            message: Some("Kubelet stopped posting node status.".to_string()),
            last_transition_time: Some(Time(now())),
            ..condition
        })
        .collect();
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

fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
