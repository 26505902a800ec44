//! The requests the scheduler makes: binding a pod, and noting that it could not.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::pod::PodKey;

/// What became of a binding.
#[derive(Debug)]
pub(crate) enum Bound {
    Done,
    /// The pod is gone, or somebody else bound it: nothing is left to do.
    Superseded,
    Failed(String),
}

pub(crate) async fn bind(
    client: &kube::Client,
    key: &PodKey,
    uid: Option<String>,
    node: &str,
) -> Bound {
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let params = PostParams::default();
    match api
        .create_subresource::<_, Value>("binding", &key.name, &params, &binding)
        .await
    {
        Ok(_) => Bound::Done,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Bound::Superseded,
        Err(error) => Bound::Failed(error.to_string()),
    }
}

/// Sets the condition that says why the pod has no node; nothing is written if it says so already.
pub(crate) async fn note_unschedulable(
    client: &kube::Client,
    pod: &Pod,
    message: &str,
) -> Result<(), kube::Error> {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let said = conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.message.as_deref() == Some(message)
    });
    if said {
        return Ok(());
    }
    let key = PodKey::of(pod);
    let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let now = jiff::Timestamp::now()
        .round(jiff::Unit::Second)
        .unwrap_or(jiff::Timestamp::now());
    let patch = json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {"conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": now.to_string(),
        }]},
    });
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
