//! Before a pod is bound: its claims learn the node, and get their volumes.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
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
    /// The newest that is known of the claim. Closes when it is gone.
    pub(super) news: watch::Receiver<Arc<PersistentVolumeClaim>>,
    /// The claim's version that names the node; older ones say nothing about what came of it.
    pub(super) told: Option<u64>,
}

/// Why the claims of a pod have no volumes yet, with upstream's wording as its text.
#[derive(Debug)]
pub(crate) enum ClaimError {
    Api(kube::Error),
    /// The claim is there no more: namespace and name.
    Gone(String),
    /// Whoever makes its volumes cannot, on this node.
    Refused(String),
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
            ClaimError::Refused(claim) => {
                write!(f, "binding volumes: provisioning failed for PVC {claim:?}")
            }
            ClaimError::Late => f.write_str("binding volumes: context deadline exceeded"),
        }
    }
}

/// Tells the claims' provisioners the node.
pub(crate) async fn tell_claims(
    client: &kube::Client,
    claims: &mut [Awaited],
    node: &str,
) -> Result<(), ClaimError> {
    for Awaited { claim, told, .. } in claims {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let annotations = json!({ SELECTED_NODE: node });
        let metadata = json!({"uid": claim.metadata.uid, "annotations": annotations});
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        let written = api.patch(name, &PatchParams::default(), &patch).await;
        *told = version(&written.map_err(ClaimError::Api)?);
    }
    Ok(())
}

/// Returns when all claims have their volumes, as the scheduler's own watch tells: waiting costs the server nothing.
pub(crate) async fn claims_bound(claims: &mut [Awaited], node: &str) -> Result<(), ClaimError> {
    let all = try_join_all(claims.iter_mut().map(|awaited| awaited.bound(node)));
    let in_time = tokio::time::timeout(BIND_TIMEOUT, all).await;
    in_time.unwrap_or(Err(ClaimError::Late)).map(drop)
}

impl Awaited {
    async fn bound(&mut self, node: &str) -> Result<(), ClaimError> {
        let Awaited { claim, news, told } = self;
        let (told, name) = (*told, claim.metadata.name.clone().unwrap_or_default());
        // Who cannot make the volume takes the node away again: upstream's word to the scheduler that another may be tried.
        let refused = |claim: &PersistentVolumeClaim| {
            told.is_some() && version(claim) > told && selected_node(claim) != Some(node)
        };
        match news.wait_for(|now| is_bound(now) || refused(now)).await {
            Ok(now) if is_bound(&now) => Ok(()),
            Ok(_) => Err(ClaimError::Refused(name)),
            Err(_) => {
                let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
                Err(ClaimError::Gone(format!("{namespace}/{name}")))
            }
        }
    }
}

/// Whether the claim has its volume.
pub(super) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let status = claim.status.as_ref();
    status.and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// The node that the claim's provisioner was told.
pub(super) fn selected_node(claim: &PersistentVolumeClaim) -> Option<&str> {
    let annotations = claim.metadata.annotations.as_ref()?;
    annotations.get(SELECTED_NODE).map(String::as_str)
}

/// Versions of one kind are numbers that grow, by the API's own contract.
fn version(claim: &PersistentVolumeClaim) -> Option<u64> {
    claim.metadata.resource_version.as_deref()?.parse().ok()
}
