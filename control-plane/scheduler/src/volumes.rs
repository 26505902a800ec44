//! Volumes of pods: upstream's VolumeBinding filter, and what it does before a pod is bound to its node.

mod bind;
mod exclusive;
mod table;

pub(crate) use bind::{Awaited, claims_bound, tell_claims};
pub(crate) use exclusive::{ExclusiveFilter, Users};
pub(crate) use table::VolumeTable;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use sampan_api::ephemeral;

use crate::filter::matches_term;
use crate::snapshot::NodeInfo;

/// Set on a claim to tell its provisioner where the first pod goes.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// What a pod needs of its claims.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    /// The volumes of bound claims; none for one that does not exist.
    bound: Vec<Option<Arc<PersistentVolume>>>,
    /// Claims that wait for a node, each with the volumes it could take instead of a new one.
    waiting: Vec<Waiting>,
    /// The names of claims that no other pod may use at the same time.
    pub(crate) exclusive: Vec<String>,
}

#[derive(Debug, Clone)]
struct Waiting {
    claim: Arc<PersistentVolumeClaim>,
    provisioned: bool,
    /// The only node for it, if another pod has chosen one.
    node: Option<String>,
    candidates: Vec<Arc<PersistentVolume>>,
}

impl Needs {
    /// The claims whose volume is chosen or made once the node is known.
    pub(crate) fn waiting(&self) -> Vec<Arc<PersistentVolumeClaim>> {
        let claims = self.waiting.iter();
        claims.map(|waiting| waiting.claim.clone()).collect()
    }
}

/// The needs of a pod, or why no node will do.
pub(crate) fn needs(pod: &Pod, table: &VolumeTable) -> Result<Needs, String> {
    let mut needs = Needs::default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for (name, is_ephemeral) in claim_names(pod) {
        let Some(claim) = table.claim(namespace, &name) else {
            return Err(match is_ephemeral {
                true => format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
                ),
                false => format!("persistentvolumeclaim \"{name}\" not found"),
            });
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let not_owned = || ephemeral::not_owned(&pod.metadata, &claim.metadata);
        if let Some(why) = is_ephemeral.then(not_owned).flatten() {
            return Err(why);
        }
        if exclusive::is_exclusive(&claim) {
            needs.exclusive.push(name.clone());
        }
        let spec = claim.spec.as_ref();
        let phase = claim
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if phase == Some("Lost") {
            return Err(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume"
            ));
        }
        let volume = spec.and_then(|spec| spec.volume_name.as_deref());
        let annotations = claim.metadata.annotations.as_ref();
        let completed = annotations.is_some_and(|all| all.contains_key(BIND_COMPLETED));
        if let Some(volume) = volume.filter(|volume| !volume.is_empty() && completed) {
            needs.bound.push(table.volume(volume));
            continue;
        }
        let class = spec.and_then(|spec| spec.storage_class_name.as_deref());
        let class = class.and_then(|class| table.class(class));
        let delayed = class.as_ref().is_some_and(|class| {
            class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
        });
        let Some(class) = class.filter(|_| delayed && volume.is_none_or(str::is_empty)) else {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_string());
        };
        let provisioned = class.provisioner != NO_PROVISIONER;
        needs.waiting.push(Waiting {
            provisioned,
            node: table.chosen_node(&claim, provisioned),
            candidates: table.candidates(&claim),
            claim,
        });
    }
    Ok(needs)
}

/// Upstream's VolumeBinding: the reason why the volumes keep a pod off a node.
pub(crate) fn volume_binding(needs: &Needs, node: &NodeInfo) -> Option<String> {
    for volume in &needs.bound {
        match volume {
            None => {
                let why =
                    "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
                return Some(why.to_string());
            }
            Some(volume) if !is_on(volume, node) => {
                let why = "node(s) didn't match PersistentVolume's node affinity";
                return Some(why.to_string());
            }
            Some(_) => {}
        }
    }
    let found = needs.waiting.iter().all(|waiting| {
        let chosen = waiting.node.as_deref();
        chosen.is_none_or(|chosen| chosen == node.name)
            && (waiting.provisioned || waiting.candidates.iter().any(|volume| is_on(volume, node)))
    });
    (!found).then(|| "node(s) didn't find available persistent volumes to bind".to_string())
}

fn is_on(volume: &PersistentVolume, node: &NodeInfo) -> bool {
    let affinity = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|required| {
        let terms = &required.node_selector_terms;
        terms.iter().any(|term| matches_term(term, node))
    })
}

/// The claims that a pod names itself.
pub(crate) fn named_claims(pod: &Pod) -> Box<[String]> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    let claims = volumes.unwrap_or_default().iter();
    let claims = claims.filter_map(|volume| volume.persistent_volume_claim.as_ref());
    claims.map(|claim| claim.claim_name.clone()).collect()
}

pub(crate) fn has_claims(pod: &Pod) -> bool {
    !claim_names(pod).is_empty()
}

/// Whether the pod mounts the claim of that name.
pub(crate) fn uses_claim(pod: &Pod, namespace: &str, claim: &str) -> bool {
    pod.metadata.namespace.as_deref() == Some(namespace)
        && claim_names(pod).iter().any(|(name, _)| name == claim)
}

/// The claims a pod mounts; true for those of generic ephemeral volumes.
fn claim_names(pod: &Pod) -> Vec<(String, bool)> {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    let claims = volumes.unwrap_or_default().iter().filter_map(|volume| {
        if volume.ephemeral.is_some() {
            return Some((ephemeral::claim_name(pod_name, &volume.name), true));
        }
        let claim = volume.persistent_volume_claim.as_ref()?;
        Some((claim.claim_name.clone(), false))
    });
    claims.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn table() -> VolumeTable {
        let mut table = VolumeTable::default();
        for (name, mode, provisioner) in [
            ("late", "WaitForFirstConsumer", "sampan.dev/local"),
            ("manual", "WaitForFirstConsumer", NO_PROVISIONER),
            ("now", "Immediate", "other"),
        ] {
            let class = json!({"metadata": {"name": name}, "provisioner": provisioner,
                "volumeBindingMode": mode});
            table.put_class(serde_json::from_value(class).expect("a class"));
        }
        let claim = |name: &str, class: &str, volume: &str| {
            let done = if volume.is_empty() {
                json!({})
            } else {
                json!({BIND_COMPLETED: "yes"})
            };
            json!({"metadata": {"name": name, "namespace": "n", "annotations": done},
                "spec": {"storageClassName": class, "volumeName": volume,
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}}}})
        };
        let told = |name: &str, class: &str, node: &str| {
            let mut claim = claim(name, class, "");
            claim["metadata"]["annotations"] = json!({ SELECTED_NODE: node });
            claim
        };
        for claim in [
            claim("bound", "late", "v1"),
            claim("lost", "late", "gone"),
            claim("late", "late", ""),
            claim("manual", "manual", ""),
            claim("now", "now", ""),
            told("told", "late", "b"),
            told("told-manual", "manual", "a"),
        ] {
            table.put_claim(serde_json::from_value(claim).expect("a claim"));
        }
        let volume = |name: &str, class: &str, node: &str| {
            let wanted = json!({"key": "host", "operator": "In", "values": [node]});
            let terms = json!([{"matchExpressions": [wanted]}]);
            json!({"metadata": {"name": name}, "spec": {"storageClassName": class,
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}})
        };
        for volume in [volume("v1", "late", "a"), volume("v2", "manual", "b")] {
            table.put_volume(serde_json::from_value(volume).expect("a volume"));
        }
        table
    }

    fn pod(claim: &str) -> Pod {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        let pod = json!({"metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [], "volumes": volumes}});
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_claim_of_an_ephemeral_volume_is_made_for_its_pod() {
        let mut table = table();
        let mut claim = serde_json::to_value(table.claim("n", "late")).expect("JSON");
        claim["metadata"]["name"] = json!("p-v");
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [],
            "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let why = |table: &VolumeTable| needs(&pod, table).err().unwrap_or_default();
        let wait =
            "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-v\"";
        assert_eq!(why(&table), wait);
        let owner = |uid: &str, controller: bool| {
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "p",
            "uid": uid, "controller": controller}])
        };
        for owners in [json!([]), owner("other", true), owner("u", false)] {
            claim["metadata"]["ownerReferences"] = owners;
            table.put_claim(serde_json::from_value(claim.clone()).expect("a claim"));
            let not = "PVC n/p-v was not created for pod n/p (pod is not owner)";
            assert_eq!(why(&table), not);
        }
        claim["metadata"]["ownerReferences"] = owner("u", true);
        table.put_claim(serde_json::from_value(claim).expect("a claim"));
        assert_eq!(why(&table), "");
    }

    #[test]
    fn which_nodes_the_volumes_leave() {
        let node = |name: &str| NodeInfo {
            name: name.to_string(),
            labels: [("host".to_string(), name.to_string())].into(),
            ..NodeInfo::default()
        };
        let check = |claim: &str, expect: Value| {
            let got = match needs(&pod(claim), &table()) {
                Ok(needs) => {
                    let on = |name: &str| volume_binding(&needs, &node(name));
                    json!([on("a"), on("b"), needs.waiting().len()])
                }
                Err(why) => json!(why),
            };
            assert_eq!(got, expect, "{claim}");
        };
        let affinity = "node(s) didn't match PersistentVolume's node affinity";
        check("bound", json!([null, affinity, 0]));
        let gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
        check("lost", json!([gone, gone, 0]));
        check("late", json!([null, null, 1]));
        let none = "node(s) didn't find available persistent volumes to bind";
        check("manual", json!([none, null, 1]));
        check("told", json!([none, null, 1]));
        check("told-manual", json!([none, null, 1]));
        check(
            "now",
            json!("pod has unbound immediate PersistentVolumeClaims"),
        );
        check("none", json!("persistentvolumeclaim \"none\" not found"));
    }
}
