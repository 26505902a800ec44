//! Before a pod is bound: its claims learn the node, and get their volumes.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::sync::watch;

use super::SELECTED_NODE;
use crate::bind::text;

/// The longest a pod waits for the volumes of its node before it is tried again.
const BIND_TIMEOUT: Duration = Duration::from_secs(60);

/// A claim whose volume is chosen or made once the node is known.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(super) claim: Arc<PersistentVolumeClaim>,
    /// Turns true when the claim has its volume, and closes when it never will.
    pub(super) bound: watch::Receiver<bool>,
}

/// Why the claims of a pod have no volumes yet, with upstream's wording as its text.
#[derive(Debug)]
pub(crate) enum ClaimError {
    Api(kube::Error),
    /// The claim is there no more: namespace and name.
    Gone(String),
    /// Nobody made a volume in time.
    Late,
}

impl std::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("running PreBind plugin \"VolumeBinding\": ")?;
        match self {
            ClaimError::Api(error) => f.write_str(&text(error)),
            ClaimError::Gone(claim) => write!(
                f,
                "binding volumes: failed to check provisioning pvc: could not find v1.PersistentVolumeClaim {claim:?}"
            ),
            ClaimError::Late => f.write_str("binding volumes: context deadline exceeded"),
        }
    }
}

/// Tells the claims' provisioners the node.
pub(crate) async fn tell_claims(
    client: &kube::Client,
    claims: &[Awaited],
    node: &str,
) -> Result<(), ClaimError> {
    for Awaited { claim, .. } in claims {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let annotations = json!({ SELECTED_NODE: node });
        let metadata = json!({"uid": claim.metadata.uid, "annotations": annotations});
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .map_err(ClaimError::Api)?;
    }
    Ok(())
}

/// Returns when all claims have their volumes, as the scheduler's own watch tells: waiting costs the server nothing.
pub(crate) async fn claims_bound(claims: &mut [Awaited]) -> Result<(), ClaimError> {
    let all = async {
        for Awaited { claim, bound } in claims {
            if bound.wait_for(|bound| *bound).await.is_err() {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                let (namespace, name) = (&claim.metadata.namespace, &claim.metadata.name);
                return Err(ClaimError::Gone(format!(
                    "{}/{}",
                    part(namespace),
                    part(name)
                )));
            }
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(BIND_TIMEOUT, all).await;
    in_time.unwrap_or(Err(ClaimError::Late))
}

/// Whether the claim has its volume.
pub(super) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let status = claim.status.as_ref();
    status.and_then(|status| status.phase.as_deref()) == Some("Bound")
}
