//! What becomes of a volume: available, bound, released; kept or deleted when its claim is gone.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::EventType;
use serde_json::json;

use super::{PROVISIONER, Volumes};

/// Keeps a volume while a claim is bound to it.
pub(super) const IN_USE: &str = "kubernetes.io/pv-protection";
/// Names who made a volume, and is to unmake it.
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

impl Volumes {
    pub(super) async fn volume(&self, name: &str) -> Result<(), kube::Error> {
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        let Some(volume) = api.get_opt(name).await? else {
            return Ok(());
        };
        let owner = volume.spec.as_ref().and_then(|spec| spec.claim_ref.clone());
        let Some(owner) = owner else {
            self.protect(&api, &volume, false).await?;
            return self.set_volume_phase(&volume, "Available", None).await;
        };
        // Reserved by hand for a claim that is yet to come, or to be bound.
        let Some(uid) = owner.uid.filter(|uid| !uid.is_empty()) else {
            self.protect(&api, &volume, false).await?;
            return self.set_volume_phase(&volume, "Available", None).await;
        };
        let namespace = owner.namespace.unwrap_or_default();
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
        let claim = claims.get_opt(&owner.name.unwrap_or_default()).await?;
        let claim = claim.filter(|claim| claim.metadata.uid.as_deref() == Some(&uid));
        let Some(claim) = claim else {
            self.set_volume_phase(&volume, "Released", None).await?;
            self.protect(&api, &volume, false).await?;
            return self.reclaim(&api, &volume).await;
        };
        self.protect(&api, &volume, true).await?;
        let named = claim.spec.and_then(|spec| spec.volume_name);
        match named.as_deref() == Some(name) {
            true => self.set_volume_phase(&volume, "Bound", None).await,
            // The claim's own turn binds it.
            false => Ok(()),
        }
    }

    /// The finalizer: there until the volume is deleted and unused.
    async fn protect(
        &self,
        api: &Api<PersistentVolume>,
        volume: &PersistentVolume,
        bound: bool,
    ) -> Result<(), kube::Error> {
        let mut finalizers = volume.metadata.finalizers.clone().unwrap_or_default();
        let protected = finalizers.iter().any(|finalizer| finalizer == IN_USE);
        let deleted = volume.metadata.deletion_timestamp.is_some();
        if deleted && protected && !bound {
            finalizers.retain(|finalizer| finalizer != IN_USE);
        } else if !deleted && !protected {
            finalizers.push(IN_USE.to_string());
        } else {
            return Ok(());
        }
        let metadata = json!({
            "resourceVersion": volume.resource_version(), "finalizers": finalizers,
        });
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        api.patch(&volume.name_any(), &PatchParams::default(), &patch)
            .await
            .map(drop)
    }

    /// What the policy says once the claim is gone. Volumes of other provisioners are theirs to delete.
    async fn reclaim(
        &self,
        api: &Api<PersistentVolume>,
        volume: &PersistentVolume,
    ) -> Result<(), kube::Error> {
        let spec = volume.spec.as_ref();
        let policy = spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        let maker = volume.annotations().get(PROVISIONED_BY).map(String::as_str);
        match (policy, maker) {
            (Some("Delete"), Some(PROVISIONER)) => {
                if volume.metadata.deletion_timestamp.is_some() {
                    return Ok(());
                }
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: volume.uid(),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                api.delete(&volume.name_any(), &params).await.map(drop)
            }
            (Some("Delete"), None) => {
                let name = volume.name_any();
                let why = format!(
                    "error getting deleter volume plugin for volume \"{name}\": no deletable volume plugin matched"
                );
                self.failed(volume, "VolumeFailedDelete", why).await
            }
            (Some("Recycle"), _) => {
                let why = "No recycler plugin found for the volume!".to_string();
                self.failed(volume, "VolumeFailedRecycle", why).await
            }
            _ => Ok(()),
        }
    }

    async fn failed(
        &self,
        volume: &PersistentVolume,
        reason: &str,
        why: String,
    ) -> Result<(), kube::Error> {
        self.set_volume_phase(volume, "Failed", Some(&why)).await?;
        self.teller
            .tell(volume, EventType::Warning, reason, why)
            .await;
        Ok(())
    }

    /// Shows the phase, unless it is shown. A failed volume stays so until it is released anew or deleted.
    pub(super) async fn set_volume_phase(
        &self,
        volume: &PersistentVolume,
        phase: &str,
        message: Option<&str>,
    ) -> Result<(), kube::Error> {
        let known = volume.status.as_ref();
        let shown = known.and_then(|status| status.phase.as_deref());
        if shown == Some(phase) || (shown == Some("Failed") && phase == "Released") {
            return Ok(());
        }
        let status = json!({
            "phase": phase, "message": message,
            "lastPhaseTransitionTime": jiff::Timestamp::now().round(jiff::Unit::Second).ok(),
        });
        let change = json!({"metadata": {"uid": volume.uid()}, "status": status});
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        api.patch_status(
            &volume.name_any(),
            &PatchParams::default(),
            &Patch::Merge(change),
        )
        .await
        .map(drop)
    }
}
