//! PersistentVolumeClaims: the volume a claim is bound to, and where it lies on this node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeSpec, Pod,
};
use kube::Api;
use sampan_api::ephemeral;
use sampan_api::selector::node_requirement_matches;

use super::{Place, Step, VolumePolicy, host_path, make_folder};
use crate::content::volumes::VolumeError;
use crate::quantity;

/// The driver of volumes that are folders of a node, made by the control plane's provisioner.
const LOCAL_DRIVER: &str = "local.sampan.dev";

/// The claim that a pod's volume names.
pub(super) struct Named<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// The pod whose ephemeral volume it is to be: it has to own it, or somebody else's data would be mounted.
    pub(super) made_for: Option<&'a Pod>,
}

/// Where the volume bound to a claim is.
pub(super) async fn place(
    client: &kube::Client,
    named: Named<'_>,
    policy: &VolumePolicy,
    step: Step,
) -> Result<Place, VolumeError> {
    let Named {
        namespace, name, ..
    } = named;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(name).await.map_err(unreadable)?;
    let claim = claim.ok_or_else(|| VolumeError::Missing {
        kind: "persistentvolumeclaim",
        name: name.to_owned(),
    })?;
    let not_owned = |pod: &Pod| ephemeral::not_owned(&pod.metadata, &claim.metadata);
    if let Some(why) = named.made_for.and_then(not_owned) {
        return Err(VolumeError::Claim(why));
    }
    if claim.metadata.deletion_timestamp.is_some() && step == Step::Prepare {
        return Err(VolumeError::Claim(format!(
            "persistentvolumeclaim \"{name}\" is being deleted"
        )));
    }
    let phase = claim.status.and_then(|status| status.phase);
    let volume_name = claim.spec.and_then(|spec| spec.volume_name);
    let bound = volume_name.filter(|name| !name.is_empty() && phase.as_deref() == Some("Bound"));
    let volume_name = bound.ok_or_else(|| {
        VolumeError::Claim(format!("persistentvolumeclaim \"{name}\" is not bound"))
    })?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volume = volumes.get_opt(&volume_name).await.map_err(unreadable)?;
    let volume = volume.ok_or_else(|| VolumeError::Missing {
        kind: "persistentvolume",
        name: volume_name.clone(),
    })?;
    let spec = volume.spec.unwrap_or_default();
    let owner = spec.claim_ref.as_ref().and_then(|owner| owner.uid.clone());
    if owner != claim.metadata.uid {
        return Err(VolumeError::Claim(format!(
            "persistentvolume \"{volume_name}\" is bound to another claim than \"{name}\""
        )));
    }
    if step == Step::Prepare {
        on_this_node(client, &policy.node.name, &spec).await?;
    }
    of_spec(&spec, policy, step).await
}

/// Refuses a volume that is on other nodes: a folder of its name here would hold nothing of it.
async fn on_this_node(
    client: &kube::Client,
    name: &str,
    spec: &PersistentVolumeSpec,
) -> Result<(), VolumeError> {
    let affinity = spec.node_affinity.as_ref();
    let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) else {
        return Ok(());
    };
    let nodes: Api<Node> = Api::all(client.clone());
    let node = nodes.get(name).await.map_err(unreadable)?;
    let labels = node.metadata.labels.unwrap_or_default();
    let mut terms = required.node_selector_terms.iter();
    if terms.any(|term| means(term, name, &labels)) {
        return Ok(());
    }
    Err(VolumeError::Claim(
        "NodeAffinity check failed: no matching NodeSelectorTerms".to_owned(),
    ))
}

/// Whether a term means a node of this name with these labels; one without requirements means none.
fn means(term: &NodeSelectorTerm, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let holds = |wanted: &NodeSelectorRequirement, value: Option<&str>| {
        let values = wanted.values.as_deref().unwrap_or_default();
        node_requirement_matches(&wanted.operator, values, value)
    };
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|wanted| holds(wanted, labels.get(&wanted.key).map(String::as_str)))
        && fields
            .iter()
            .all(|wanted| holds(wanted, (wanted.key == "metadata.name").then_some(name)))
}

async fn of_spec(
    spec: &PersistentVolumeSpec,
    policy: &VolumePolicy,
    step: Step,
) -> Result<Place, VolumeError> {
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err(VolumeError::Unsupported("block device".to_owned()));
    }
    let mut place = if let Some(folder) = local_folder(spec, policy) {
        if step == Step::Prepare {
            make_folder(&folder).await?;
        }
        let capacity = spec.capacity.as_ref().and_then(|c| c.get("storage"));
        let limit = capacity.and_then(quantity::whole);
        // The mount's path must hold no link; the ones above the folder are the operator's.
        let real = tokio::fs::canonicalize(&folder).await;
        let path = real.map_err(|source| VolumeError::Io {
            path: folder.display().to_string(),
            source,
        })?;
        Place {
            limit: limit.and_then(|limit| u64::try_from(limit).ok()),
            ..Place::new(path)
        }
    } else if let Some(local) = &spec.local {
        host_path::place(&local.path, "", &policy.host_folders, step).await?
    } else if let Some(source) = &spec.host_path {
        let kind = source.type_.clone().unwrap_or_default();
        host_path::place(&source.path, &kind, &policy.host_folders, step).await?
    } else {
        let fields = serde_json::to_value(spec).unwrap_or_default();
        let known = ["csi", "nfs", "iscsi", "fc", "cephfs", "rbd", "glusterfs"];
        let kind = known.iter().find(|name| fields.get(**name).is_some());
        let kind = kind.copied().unwrap_or("of this persistentvolume");
        return Err(VolumeError::Unsupported(kind.to_owned()));
    };
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if !modes.is_empty() && modes.iter().all(|mode| mode == "ReadOnlyMany") {
        place.only_read();
    }
    Ok(place)
}

/// The folder of a volume that this node provides; none if it is of another kind.
pub(crate) fn local_folder(spec: &PersistentVolumeSpec, policy: &VolumePolicy) -> Option<PathBuf> {
    let csi = spec.csi.as_ref().filter(|csi| csi.driver == LOCAL_DRIVER)?;
    let handle = &csi.volume_handle;
    // Whoever may make PersistentVolumes names it: one part of a path, and no more.
    let plain = !handle.is_empty()
        && !handle.starts_with('.')
        && handle
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    plain.then(|| policy.local_dir.join(handle))
}

/// Whether a volume is on the node of this name.
pub(crate) fn is_here(spec: &PersistentVolumeSpec, node: &str) -> bool {
    let required = spec
        .node_affinity
        .as_ref()
        .and_then(|a| a.required.as_ref());
    let terms = required.map(|required| required.node_selector_terms.as_slice());
    terms.unwrap_or_default().iter().any(|term| {
        term.match_expressions.iter().flatten().any(|wanted| {
            wanted.key == "kubernetes.io/hostname"
                && wanted.operator == "In"
                && wanted.values.iter().flatten().any(|value| value == node)
        })
    })
}

fn unreadable(error: kube::Error) -> VolumeError {
    VolumeError::Claim(crate::agent::api_message(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn handles_stay_in_the_folder() {
        let policy = VolumePolicy {
            local_dir: "/data/volumes".into(),
            ..VolumePolicy::default()
        };
        let folder = |driver: &str, handle: &str| {
            let spec = json!({"csi": {"driver": driver, "volumeHandle": handle}});
            local_folder(&serde_json::from_value(spec).unwrap(), &policy)
        };
        let expected = Some(PathBuf::from("/data/volumes/pvc-1"));
        assert_eq!(folder(LOCAL_DRIVER, "pvc-1"), expected);
        assert_eq!(folder("other", "pvc-1"), None);
        for handle in ["", "..", "../x", "a/b", "/etc", ".hidden"] {
            assert_eq!(folder(LOCAL_DRIVER, handle), None, "{handle}");
        }
    }
}
