//! Before a pod is bound: its claims learn the node, and get their volumes.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::SELECTED_NODE;

/// The longest a pod waits for the volumes of its node before it is tried again.
const BIND_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the claims of a pod have no volumes yet.
#[derive(Debug)]
pub(crate) enum ClaimError {
    Api(kube::Error),
    Watch(String),
    /// Nobody made a volume in time.
    Late,
}

impl std::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClaimError::Api(error) => error.fmt(f),
            ClaimError::Watch(error) => error.fmt(f),
            ClaimError::Late => f.write_str("binding volumes: timed out waiting for the condition"),
        }
    }
}

/// Tells the claims' provisioners the node, and returns when all of them are bound.
pub(crate) async fn bind_claims(
    client: &kube::Client,
    claims: &[Arc<PersistentVolumeClaim>],
    node: &str,
) -> Result<(), ClaimError> {
    for claim in claims {
        let api = api(client, claim);
        let annotations = json!({ SELECTED_NODE: node });
        let metadata = json!({"uid": claim.metadata.uid, "annotations": annotations});
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .map_err(ClaimError::Api)?;
    }
    for claim in claims {
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        let bound = await_condition(api(client, claim), name, is_bound);
        match tokio::time::timeout(BIND_TIMEOUT, bound).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(ClaimError::Watch(error.to_string())),
            Err(_) => return Err(ClaimError::Late),
        }
    }
    Ok(())
}

fn is_bound(claim: Option<&PersistentVolumeClaim>) -> bool {
    let status = claim.and_then(|claim| claim.status.as_ref());
    status.and_then(|status| status.phase.as_deref()) == Some("Bound")
}

fn api(client: &kube::Client, claim: &PersistentVolumeClaim) -> Api<PersistentVolumeClaim> {
    let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
    Api::namespaced(client.clone(), namespace)
}
