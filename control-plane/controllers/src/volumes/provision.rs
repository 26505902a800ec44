//! Making a volume for a claim: a folder of the node that the scheduler chose.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use kube::runtime::events::EventType;
use serde_json::{Value, json};

use super::claim::{BOUND_BY_CONTROLLER, patch_claim};
use super::rules::SELECTED_NODE;
use super::volume::{IN_USE, PROVISIONED_BY};
use super::{DRIVER, PROVISIONER, Volumes};

/// Keeps a volume until its node has removed the folder.
const ON_NODE: &str = "sampan.dev/local-volume";

impl Volumes {
    pub(super) async fn provision(
        &self,
        claim: &PersistentVolumeClaim,
        class: &StorageClass,
    ) -> Result<(), kube::Error> {
        let node = Volumes::node_of(claim);
        let made = wanted(claim, class, node.as_deref());
        let volume = match made {
            Ok(volume) => volume,
            Err(why) => {
                let name = class.name_any();
                let note =
                    format!("failed to provision volume with StorageClass \"{name}\": {why}");
                self.note(claim, EventType::Warning, "ProvisioningFailed", &note)
                    .await;
                return match node {
                    Some(_) => self.unselect(claim).await,
                    None => Ok(()),
                };
            }
        };
        let name = volume.name_any();
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        match api.create(&PostParams::default(), &volume).await {
            Ok(_) => {
                let note = format!("Successfully provisioned volume {name}");
                self.note(claim, EventType::Normal, "ProvisioningSucceeded", &note)
                    .await;
                Ok(())
            }
            // Made in an earlier turn.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the node away from a claim: the scheduler, which waits for the volume, is told by that and tries again.
    async fn unselect(&self, claim: &PersistentVolumeClaim) -> Result<(), kube::Error> {
        let namespace = claim.namespace().unwrap_or_default();
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
        let annotations = json!({ SELECTED_NODE: null });
        patch_claim(
            &api,
            claim,
            json!({"metadata": {"annotations": annotations}}),
        )
        .await
    }
}

/// The volume, or why there can be none.
fn wanted(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    node: Option<&str>,
) -> Result<PersistentVolume, String> {
    let spec = claim.spec.clone().unwrap_or_default();
    let node = node.ok_or("no node was chosen: volumeBindingMode must be WaitForFirstConsumer")?;
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err("a folder is no block device".to_string());
    }
    if spec.selector.is_some() {
        return Err("claim.Spec.Selector is not supported".to_string());
    }
    if spec.data_source.is_some() || spec.data_source_ref.is_some() {
        return Err("volumes cannot be made from another source".to_string());
    }
    let modes = spec.access_modes.unwrap_or_default();
    let of_one_node = |mode: &String| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod");
    if !modes.iter().all(of_one_node) {
        return Err("only ReadWriteOnce and ReadWriteOncePod are supported".to_string());
    }
    let requests = spec.resources.and_then(|resources| resources.requests);
    let size = requests.and_then(|requests| requests.get("storage").cloned());
    let name = format!("pvc-{}", claim.uid().unwrap_or_default());
    let volume: Value = json!({
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: PROVISIONER, BOUND_BY_CONTROLLER: "yes"},
            "finalizers": [IN_USE, ON_NODE],
        },
        "spec": {
            "capacity": {"storage": size},
            "accessModes": modes,
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "storageClassName": class.name_any(),
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name_any(),
                "uid": claim.uid(), "resourceVersion": claim.resource_version(),
            },
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}},
        },
    });
    serde_json::from_value(volume).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::server;

    #[tokio::test]
    async fn a_claim_that_cannot_be_served_has_its_node_taken_away() {
        let (client, got) = server(|_, _| Some(json!({"metadata": {}})));
        let volumes = Volumes {
            teller: crate::tell::Teller::new(client.clone(), "test"),
            cache: Default::default(),
            client,
        };
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": "local"}, "provisioner": PROVISIONER}))
        .expect("a class");
        for (annotations, expect) in [
            (
                json!({SELECTED_NODE: "here"}),
                json!([{"metadata": {"annotations": {SELECTED_NODE: null}, "resourceVersion": "7"}}]),
            ),
            (json!({}), json!([])),
        ] {
            let claim = json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "7",
                "annotations": annotations}, "spec": {"accessModes": ["ReadWriteMany"]}});
            let claim = serde_json::from_value(claim).expect("a claim");
            let done = volumes.provision(&claim, &class).await;
            done.expect("the server does what it is asked");
            let got = std::mem::take(&mut *got.lock().expect("nobody panicked"));
            let patched = got.into_iter().filter(|(method, path, _)| {
                method == "PATCH" && path.ends_with("/persistentvolumeclaims/c")
            });
            let bodies: Vec<Value> = patched.map(|(_, _, body)| body).collect();
            assert_eq!(json!(bodies), expect);
        }
    }

    #[test]
    fn a_folder_of_the_chosen_node() {
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": "local"}, "provisioner": PROVISIONER, "reclaimPolicy": "Retain"}))
        .expect("a class");
        let claim = |extra: Value| -> PersistentVolumeClaim {
            let mut claim = json!({"metadata": {"name": "c", "namespace": "n", "uid": "u"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                "resources": {"requests": {"storage": "1Gi"}}}});
            for (key, value) in extra.as_object().expect("an object") {
                claim["spec"][key] = value.clone();
            }
            serde_json::from_value(claim).expect("a claim")
        };
        let volume = wanted(&claim(json!({})), &class, Some("here")).expect("it can be made");
        let volume = serde_json::to_value(volume).expect("JSON");
        assert_eq!(volume["metadata"]["name"], "pvc-u");
        assert_eq!(volume["spec"]["csi"]["volumeHandle"], "pvc-u");
        assert_eq!(volume["spec"]["capacity"]["storage"], "1Gi");
        assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        for (extra, node, why) in [
            (json!({}), None, "WaitForFirstConsumer"),
            (
                json!({"accessModes": ["ReadWriteMany"]}),
                Some("here"),
                "ReadWriteOnce",
            ),
            (json!({"volumeMode": "Block"}), Some("here"), "block device"),
            (json!({"selector": {}}), Some("here"), "Selector"),
        ] {
            let error = wanted(&claim(extra), &class, node).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
