//! The requests the scheduler makes: binding a pod, and noting that it could not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pod::{PodKey, nominated_node};
use crate::volumes::{Awaited, claims_bound, tell_claims};

/// A pod on its way to its node.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) key: PodKey,
    pub(crate) pod: Arc<Pod>,
    pub(crate) node: String,
    /// What has to get its volume first.
    pub(crate) claims: Vec<Awaited>,
    /// How often the pod was tried, this time included.
    pub(crate) attempts: u32,
    pub(crate) sending: Sending,
    pub(crate) started: Instant,
}

/// Whether the request for a binding is sent or the pod is turned back: whoever asks first has decided, for the server may
/// have bound a pod before it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sending(Arc<AtomicBool>);

impl Sending {
    /// Whether it is up to who asks.
    pub(crate) fn decide(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// What became of a binding.
#[derive(Debug)]
pub(crate) enum Bound {
    Done,
    /// The pod is gone or turned back, or somebody else bound it: nothing is left to do.
    Superseded,
    Failed(String),
}

impl Binding {
    /// Makes the requests. While claims wait for their volumes, which may be long, others may have the place.
    pub(crate) async fn run(
        mut self,
        client: kube::Client,
        place: OwnedSemaphorePermit,
        places: Arc<Semaphore>,
    ) -> (Self, Bound) {
        let bound = if self.claims.is_empty() {
            bind(&client, &self, place).await
        } else {
            match self.volumes(&client, place, places).await {
                Ok(place) => bind(&client, &self, place).await,
                Err(why) => Bound::Failed(why),
            }
        };
        (self, bound)
    }

    async fn volumes(
        &mut self,
        client: &kube::Client,
        place: OwnedSemaphorePermit,
        places: Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, String> {
        let told = tell_claims(client, &mut self.claims, &self.node).await;
        told.map_err(|error| error.to_string())?;
        drop(place);
        let bound = claims_bound(&mut self.claims, &self.node).await;
        bound.map_err(|error| error.to_string())?;
        let place = places.acquire_owned().await;
        place.map_err(|error| error.to_string())
    }
}

async fn bind(client: &kube::Client, binding: &Binding, _place: OwnedSemaphorePermit) -> Bound {
    if !binding.sending.decide() {
        return Bound::Superseded;
    }
    let Binding { key, pod, node, .. } = binding;
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": key.name, "namespace": key.namespace, "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let params = PostParams::default();
    match api
        .create_subresource::<_, Value>("binding", &key.name, &params, &binding)
        .await
    {
        Ok(_) => Bound::Done,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Bound::Superseded,
        Err(error) => Bound::Failed(format!(
            "running Bind plugin \"DefaultBinder\": {}",
            text(&error)
        )),
    }
}

/// The time for an object, in whole seconds.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}

/// What the server said, or why it could not be asked.
pub(crate) fn text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Why a pod has no node yet.
#[derive(Debug, Clone)]
pub(crate) struct Unplaced {
    /// `Unschedulable` or `SchedulerError`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// The node it is nominated for from now on, empty for none; absent if that stays as it is.
    pub(crate) nominated: Option<String>,
}

/// Sets the condition that says why the pod has no node, and the node it waits for; nothing is written if the pod says so already.
pub(crate) async fn note_unplaced(
    client: &kube::Client,
    pod: &Pod,
    why: &Unplaced,
) -> Result<(), kube::Error> {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let said = conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some(why.reason)
            && condition.message.as_deref() == Some(&why.message)
    });
    let mut status = json!({});
    if !said {
        status["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": why.reason,
            "message": why.message,
            "lastTransitionTime": now(),
        }]);
    }
    let nominated = nominated_node(pod).unwrap_or_default();
    if let Some(node) = why.nominated.as_deref().filter(|node| *node != nominated) {
        let node = (!node.is_empty()).then_some(node);
        status["nominatedNodeName"] = json!(node);
    }
    if status == json!({}) {
        return Ok(());
    }
    let key = PodKey::of(pod);
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
    match api
        .patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(patch))
        .await
    {
        Ok(_) => Ok(()),
        // The pod is gone, or another of that name is there: its news is not about this one.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}
