//! The requests that make room: victims are told and deleted, and who was to have the room is told that it goes to another.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use crate::bind::now;
use crate::events::Events;
use crate::pod::{DISRUPTION_TARGET, PREEMPTED, PodKey};

/// A pod that has to go.
#[derive(Debug, Clone)]
pub(crate) struct Victim {
    pub(crate) key: PodKey,
    pub(crate) uid: Option<String>,
}

/// Room for one pod.
#[derive(Debug)]
pub(crate) struct Eviction {
    pub(crate) preemptor: Arc<Pod>,
    pub(crate) node: String,
    pub(crate) victims: Vec<Victim>,
    /// Less important pods that waited for the same node.
    pub(crate) outranked: Vec<PodKey>,
}

impl Eviction {
    /// Stops at the first victim that cannot be deleted: the preemptor is to try again then.
    pub(crate) async fn run(
        self,
        client: kube::Client,
        events: Events,
    ) -> (PodKey, Result<(), kube::Error>) {
        let done = self.requests(&client, &events).await;
        (PodKey::of(&self.preemptor), done)
    }

    async fn requests(&self, client: &kube::Client, events: &Events) -> Result<(), kube::Error> {
        for key in &self.outranked {
            let patch = json!({"status": {"nominatedNodeName": null}});
            if let Err(error) = patch_status(client, key, patch).await {
                tracing::warn!(%key, %error, "cannot note that a pod waits for a node no longer");
            }
        }
        let spec = self.preemptor.spec.as_ref();
        let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref());
        let scheduler = scheduler.unwrap_or_default();
        for victim in &self.victims {
            let condition = json!({
                "type": DISRUPTION_TARGET,
                "status": "True",
                "reason": PREEMPTED,
                "message": format!("{scheduler}: preempting to accommodate a higher priority pod"),
                "lastTransitionTime": now(),
            });
            let told = json!({
                "metadata": {"uid": victim.uid},
                "status": {"conditions": [condition]},
            });
            patch_status(client, &victim.key, told).await?;
            delete(client, victim).await?;
            events.preempted(victim, &self.preemptor, note(&self.preemptor, &self.node));
        }
        Ok(())
    }
}

/// What a victim's event says.
pub(crate) fn note(preemptor: &Pod, node: &str) -> String {
    let uid = preemptor.metadata.uid.as_deref().unwrap_or_default();
    format!("Preempted by pod {uid} on node {node}")
}

async fn patch_status(
    client: &kube::Client,
    key: &PodKey,
    patch: Value,
) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let patch = Patch::Strategic(patch);
    let params = PatchParams::default();
    let patched = api.patch_status(&key.name, &params, &patch).await;
    unless_gone(patched.map(drop))
}

async fn delete(client: &kube::Client, victim: &Victim) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &victim.key.namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: victim.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let deleted = api.delete(&victim.key.name, &params).await;
    unless_gone(deleted.map(drop))
}

/// A pod that is gone, or another one of that name, is in nobody's way.
fn unless_gone(answer: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        answer => answer,
    }
}
