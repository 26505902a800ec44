//! What becomes of a claim: it waits, is bound, loses its volume, or goes when no pod uses it any more.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::events::EventType;
use serde_json::{Value, json};

use super::rules::{self, best, is_owner, selected_node, unfit, uses};
use super::{PROVISIONER, Volumes};

/// Keeps a claim while pods use it.
const IN_USE: &str = "kubernetes.io/pvc-protection";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
pub(super) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Provisioners of this name make nothing: volumes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

impl Volumes {
    pub(super) async fn claim(&self, namespace: &str, name: &str) -> Result<(), kube::Error> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        let Some(claim) = api.get_opt(name).await? else {
            return Ok(());
        };
        let mut finalizers = claim.metadata.finalizers.clone().unwrap_or_default();
        let protected = finalizers.iter().any(|finalizer| finalizer == IN_USE);
        if claim.metadata.deletion_timestamp.is_some() {
            if protected && !self.is_used(&claim).await? {
                finalizers.retain(|finalizer| finalizer != IN_USE);
                patch_claim(
                    &api,
                    &claim,
                    json!({"metadata": {"finalizers": finalizers}}),
                )
                .await?;
            }
            return Ok(());
        }
        if !protected {
            finalizers.push(IN_USE.to_string());
            // What follows is done when this change comes back.
            return patch_claim(
                &api,
                &claim,
                json!({"metadata": {"finalizers": finalizers}}),
            )
            .await;
        }
        let volume = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_name.clone());
        match volume.filter(|name| !name.is_empty()) {
            Some(volume) => self.named(&api, &claim, &volume).await,
            None => self.unbound(&api, &claim).await,
        }
    }

    /// Whether a pod that was placed mounts the claim, as upstream: also one that has ended.
    async fn is_used(&self, claim: &PersistentVolumeClaim) -> Result<bool, kube::Error> {
        let namespace = claim.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let pods = pods.list(&ListParams::default()).await?;
        Ok(pods.items.iter().any(|pod| uses(pod, claim)))
    }

    async fn unbound(
        &self,
        api: &Api<PersistentVolumeClaim>,
        claim: &PersistentVolumeClaim,
    ) -> Result<(), kube::Error> {
        let spec = claim.spec.clone().unwrap_or_default();
        let class_name = spec.storage_class_name.unwrap_or_default();
        let class = self.cache.class(&class_name);
        let mode = class
            .as_ref()
            .and_then(|class| class.volume_binding_mode.clone());
        let delayed = mode.as_deref() == Some("WaitForFirstConsumer");
        let node = selected_node(claim);
        let volumes = self.cache.volumes();
        let reserved = volumes.iter().any(|volume| {
            let owner = volume
                .spec
                .as_ref()
                .and_then(|spec| spec.claim_ref.as_ref());
            owner.is_some_and(|owner| is_owner(owner, claim))
        });
        if delayed && node.is_none() && !reserved {
            let note = "waiting for first consumer to be created before binding";
            self.note(claim, EventType::Normal, "WaitForFirstConsumer", note)
                .await;
            return Ok(());
        }
        if let Some(volume) = best(claim, &volumes, node) {
            return self.bind(api, claim, &volume.name_any()).await;
        }
        if class_name.is_empty() {
            let note = "no persistent volumes available for this claim and no storage class is set";
            self.note(claim, EventType::Normal, "FailedBinding", note)
                .await;
            return Ok(());
        }
        let Some(class) = class else {
            let note = format!("storageclass.storage.k8s.io \"{class_name}\" not found");
            self.note(claim, EventType::Warning, "ProvisioningFailed", &note)
                .await;
            return Ok(());
        };
        match class.provisioner.as_str() {
            PROVISIONER => self.provision(claim, &class).await,
            NO_PROVISIONER => Ok(()),
            other => {
                let note = format!(
                    "Waiting for a volume to be created either by the external provisioner '{other}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
                );
                self.note(claim, EventType::Normal, "ExternalProvisioning", &note)
                    .await;
                Ok(())
            }
        }
    }

    /// A claim that names its volume: bound, or to be bound to that one.
    async fn named(
        &self,
        api: &Api<PersistentVolumeClaim>,
        claim: &PersistentVolumeClaim,
        name: &str,
    ) -> Result<(), kube::Error> {
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let bound = claim.annotations().contains_key(BIND_COMPLETED);
        let Some(volume) = volumes.get_opt(name).await? else {
            if bound {
                let note = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
                self.lost(api, claim, "ClaimLost", note).await?;
            }
            return Ok(());
        };
        let spec = volume.spec.clone().unwrap_or_default();
        match &spec.claim_ref {
            Some(owner) if !is_owner(owner, claim) => {
                if bound {
                    let note =
                        "Two claims are bound to the same volume, this one is bound incorrectly";
                    return self.lost(api, claim, "ClaimMisbound", note).await;
                }
                let note = format!("volume \"{name}\" already bound to a different claim.");
                self.note(claim, EventType::Warning, "FailedBinding", &note)
                    .await;
                Ok(())
            }
            _ => {
                let wanted = claim.spec.clone().unwrap_or_default();
                if let Some(reason) = unfit(&wanted, &spec).filter(|_| !bound) {
                    let note = format!("Cannot bind to requested volume \"{name}\": {reason}");
                    self.note(claim, EventType::Warning, "VolumeMismatch", &note)
                        .await;
                    return Ok(());
                }
                self.bind(api, claim, name).await
            }
        }
    }

    /// Brings volume and claim to show that they belong to each other. What is so already is not written.
    async fn bind(
        &self,
        api: &Api<PersistentVolumeClaim>,
        claim: &PersistentVolumeClaim,
        name: &str,
    ) -> Result<(), kube::Error> {
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let Some(mut volume) = volumes.get_opt(name).await? else {
            return Ok(());
        };
        let spec = volume.spec.clone().unwrap_or_default();
        let owner = spec.claim_ref.unwrap_or_default();
        if owner.name.is_some() && !is_owner(&owner, claim) {
            // Another claim was quicker; the volume's news brings this one here again.
            return Ok(());
        }
        if owner.uid != claim.metadata.uid {
            let mut change = json!({"spec": {"claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name_any(),
                "uid": claim.metadata.uid, "resourceVersion": claim.resource_version(),
            }}});
            if owner.name.is_none() {
                change["metadata"]["annotations"][BOUND_BY_CONTROLLER] = json!("yes");
            }
            change["metadata"]["resourceVersion"] = json!(volume.resource_version());
            let patch = Patch::Merge(change);
            volume = volumes.patch(name, &PatchParams::default(), &patch).await?;
        }
        self.set_volume_phase(&volume, "Bound", None).await?;
        let mut change = json!({});
        let mut annotate = |key: &str| {
            if !claim.annotations().contains_key(key) {
                change["metadata"]["annotations"][key] = json!("yes");
            }
        };
        annotate(BIND_COMPLETED);
        let named = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_name.as_deref());
        if named.unwrap_or_default().is_empty() {
            annotate(BOUND_BY_CONTROLLER);
            change["spec"]["volumeName"] = json!(name);
        }
        if change != json!({}) {
            patch_claim(api, claim, change).await?;
        }
        let spec = volume.spec.unwrap_or_default();
        let status = json!({
            "phase": "Bound", "accessModes": spec.access_modes, "capacity": spec.capacity,
        });
        let known = serde_json::to_value(&claim.status).unwrap_or_default();
        let is_new = ["phase", "accessModes", "capacity"]
            .into_iter()
            .any(|field| known[field] != status[field]);
        if is_new {
            set_status(api, claim, status).await?;
        }
        Ok(())
    }

    async fn lost(
        &self,
        api: &Api<PersistentVolumeClaim>,
        claim: &PersistentVolumeClaim,
        reason: &str,
        note: &str,
    ) -> Result<(), kube::Error> {
        let phase = claim
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if phase != Some("Lost") {
            set_status(api, claim, json!({"phase": "Lost"})).await?;
            self.note(claim, EventType::Warning, reason, note).await;
        }
        Ok(())
    }

    pub(super) async fn note(
        &self,
        claim: &PersistentVolumeClaim,
        type_: EventType,
        reason: &str,
        note: &str,
    ) {
        self.teller
            .tell(claim, type_, reason, note.to_string())
            .await;
    }

    /// The node a claim waited for, as the scheduler wrote it.
    pub(super) fn node_of(claim: &PersistentVolumeClaim) -> Option<String> {
        rules::selected_node(claim).map(str::to_string)
    }
}

/// Changes a claim unless somebody else did since it was read.
pub(super) async fn patch_claim(
    api: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    mut change: Value,
) -> Result<(), kube::Error> {
    change["metadata"]["resourceVersion"] = json!(claim.resource_version());
    let patch = Patch::Merge(change);
    api.patch(&claim.name_any(), &PatchParams::default(), &patch)
        .await
        .map(drop)
}

async fn set_status(
    api: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    status: Value,
) -> Result<(), kube::Error> {
    let change = json!({"metadata": {"uid": claim.uid()}, "status": status});
    let patch = Patch::Merge(change);
    api.patch_status(&claim.name_any(), &PatchParams::default(), &patch)
        .await
        .map(drop)
}
