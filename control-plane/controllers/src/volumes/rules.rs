//! Which volume fits which claim. Upstream's rules, as plain functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, ObjectReference, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PersistentVolumeSpec, Pod, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use sampan_api::ephemeral::{claim_name, not_owned};

const STORAGE: &str = "storage";

/// The node that the scheduler chose for a claim's first pod.
pub(super) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The claims that a pod mounts, those of generic ephemeral volumes included.
pub(super) fn claim_names(pod: &Pod) -> Vec<String> {
    let spec = pod.spec.as_ref();
    let volumes = spec.and_then(|spec| spec.volumes.as_deref());
    let volumes = volumes.unwrap_or_default().iter();
    volumes.filter_map(|volume| claim_of(pod, volume)).collect()
}

fn claim_of(pod: &Pod, volume: &Volume) -> Option<String> {
    if volume.ephemeral.is_some() {
        return Some(claim_name(&pod.name_any(), &volume.name));
    }
    let claim = volume.persistent_volume_claim.as_ref()?;
    Some(claim.claim_name.clone())
}

/// Whether a pod that was placed keeps the claim, also one that has ended. The claim of an ephemeral volume is kept until
/// its pod is over and only its object is left: a pod that is deleted in the foreground waits in turn for its claims.
pub(super) fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let Some(spec) = &pod.spec else {
        return false;
    };
    let is_over = pod.metadata.deletion_timestamp.is_some()
        && pod.metadata.deletion_grace_period_seconds == Some(0);
    let is_owned = || not_owned(&pod.metadata, &claim.metadata).is_none();
    let keeps = |volume: &Volume| {
        claim_of(pod, volume).as_ref() == claim.metadata.name.as_ref()
            && (volume.ephemeral.is_none() || !is_over && is_owned())
    };
    spec.node_name.as_ref().is_some_and(|node| !node.is_empty())
        && spec.volumes.iter().flatten().any(keeps)
}

/// The node named by the scheduler, if it has.
pub(super) fn selected_node(claim: &PersistentVolumeClaim) -> Option<&str> {
    let annotations = claim.metadata.annotations.as_ref()?;
    annotations.get(SELECTED_NODE).map(String::as_str)
}

/// Whether the volume's owner is this claim, or a claim of its name that is yet to be bound.
pub(super) fn is_owner(owner: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    let uid = owner.uid.as_deref().unwrap_or_default();
    owner.namespace == claim.namespace()
        && owner.name == claim.metadata.name
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

/// Why a volume cannot serve a claim that names it, in upstream's words; none if it can.
pub(super) fn unfit(
    claim: &PersistentVolumeClaimSpec,
    volume: &PersistentVolumeSpec,
) -> Option<&'static str> {
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".into());
    if requested(claim) > capacity(volume) {
        Some("requested PV is too small")
    } else if class(&claim.storage_class_name) != class(&volume.storage_class_name) {
        Some("storageClassName does not match")
    } else if mode(&claim.volume_mode) != mode(&volume.volume_mode) {
        Some("incompatible volumeMode")
    } else if !has_modes(claim, volume) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

/// The volume a claim is to get: one that is reserved for it, else the smallest that fits. `node` is the node of the first
/// pod, by name, where the claim waited for one.
pub(super) fn best<'a>(
    claim: &PersistentVolumeClaim,
    volumes: &'a [Arc<PersistentVolume>],
    node: Option<&str>,
) -> Option<&'a PersistentVolume> {
    let wanted = claim.spec.as_ref()?;
    let usable = |volume: &&Arc<PersistentVolume>| {
        let Some(spec) = &volume.spec else {
            return false;
        };
        volume.metadata.deletion_timestamp.is_none()
            && unfit(wanted, spec).is_none()
            && node.is_none_or(|node| is_on(spec, node))
    };
    let owner = |volume: &PersistentVolume| volume.spec.as_ref()?.claim_ref.clone();
    let reserved = volumes
        .iter()
        .filter(|volume| owner(volume).is_some_and(|owner| is_owner(&owner, claim)));
    if let Some(volume) = reserved.clone().find(usable) {
        return Some(volume);
    }
    let selector = wanted.selector.as_ref();
    let free = volumes.iter().filter(|volume| owner(volume).is_none());
    let fitting = free
        .filter(usable)
        .filter(|volume| selector.is_none_or(|selector| selects(selector, volume.labels())));
    let smallest = fitting.min_by_key(|volume| volume.spec.as_ref().map_or(0, capacity));
    smallest.map(AsRef::as_ref)
}

/// Whether a volume can be used on the node of this name. Only the names of nodes are looked at: other labels of theirs
/// are the scheduler's business.
fn is_on(volume: &PersistentVolumeSpec, node: &str) -> bool {
    let affinity = volume.node_affinity.as_ref();
    let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) else {
        return true;
    };
    let holds = |wanted: &NodeSelectorRequirement| {
        wanted.key != "kubernetes.io/hostname"
            || wanted.operator != "In"
            || wanted.values.iter().flatten().any(|name| name == node)
    };
    let terms = &required.node_selector_terms;
    terms
        .iter()
        .any(|term| term.match_expressions.iter().flatten().all(holds))
}

fn has_modes(claim: &PersistentVolumeClaimSpec, volume: &PersistentVolumeSpec) -> bool {
    let offered = volume.access_modes.as_deref().unwrap_or_default();
    let wanted = claim.access_modes.as_deref().unwrap_or_default();
    wanted.iter().all(|mode| offered.contains(mode))
}

fn requested(claim: &PersistentVolumeClaimSpec) -> i128 {
    let resources = claim.resources.as_ref();
    bytes(resources.and_then(|r| r.requests.as_ref()))
}

fn capacity(volume: &PersistentVolumeSpec) -> i128 {
    bytes(volume.capacity.as_ref())
}

fn bytes(amounts: Option<&BTreeMap<String, Quantity>>) -> i128 {
    let storage = amounts.and_then(|amounts| amounts.get(STORAGE));
    let parsed = storage.and_then(|q| sampan_api::quantity::Quantity::parse(&q.0).ok());
    parsed.map_or(0, |quantity| quantity.units())
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    equal
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|wanted| {
            let value = labels.get(&wanted.key);
            let listed = || wanted.values.iter().flatten().any(|one| Some(one) == value);
            match wanted.operator.as_str() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claim(extra: Value) -> PersistentVolumeClaim {
        let mut claim = json!({"metadata": {"name": "c", "namespace": "n", "uid": "u"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "resources": {"requests": {"storage": "5Gi"}}}});
        set(&mut claim["spec"], extra);
        serde_json::from_value(claim).expect("a claim")
    }

    fn volume(name: &str, size: &str, extra: Value) -> Arc<PersistentVolume> {
        let labels = json!({"size": size});
        let mut volume = json!({"metadata": {"name": name, "labels": labels}, "spec": {
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": size}}});
        set(&mut volume["spec"], extra);
        Arc::new(serde_json::from_value(volume).expect("a volume"))
    }

    fn set(into: &mut Value, extra: Value) {
        for (key, value) in extra.as_object().expect("an object") {
            into[key] = value.clone();
        }
    }

    #[track_caller]
    fn check(
        claim: &PersistentVolumeClaim,
        volumes: &[Arc<PersistentVolume>],
        expect: Option<&str>,
    ) {
        let found = best(claim, volumes, Some("here")).map(ResourceExt::name_any);
        assert_eq!(found.as_deref(), expect);
    }

    #[test]
    fn the_smallest_that_fits() {
        let volumes = [
            volume("big", "50Gi", json!({})),
            volume("fits", "10Gi", json!({})),
            volume("small", "1Gi", json!({})),
            volume("class", "6Gi", json!({"storageClassName": "fast"})),
            volume("block", "6Gi", json!({"volumeMode": "Block"})),
            volume(
                "taken",
                "6Gi",
                json!({"claimRef": {"name": "x", "namespace": "n", "uid": "y"}}),
            ),
        ];
        check(&claim(json!({})), &volumes, Some("fits"));
        check(
            &claim(json!({"storageClassName": "fast"})),
            &volumes,
            Some("class"),
        );
        check(
            &claim(json!({"volumeMode": "Block"})),
            &volumes,
            Some("block"),
        );
        check(
            &claim(json!({"accessModes": ["ReadWriteMany"]})),
            &volumes,
            None,
        );
        let selector = |selector: Value| claim(json!({ "selector": selector }));
        check(
            &selector(json!({"matchLabels": {"size": "50Gi"}})),
            &volumes,
            Some("big"),
        );
        let not = json!([{"key": "size", "operator": "NotIn", "values": ["10Gi"]}]);
        check(
            &selector(json!({ "matchExpressions": not })),
            &volumes,
            Some("big"),
        );
        check(
            &claim(json!({"resources": {"requests": {"storage": "1Ti"}}})),
            &volumes,
            None,
        );
    }

    #[test]
    fn who_keeps_a_claim() {
        let owner = |uid: &str| json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": true}]);
        let claim = |name: &str, owners: Value| -> PersistentVolumeClaim {
            let metadata = json!({"name": name, "namespace": "n", "ownerReferences": owners});
            serde_json::from_value(json!({ "metadata": metadata })).expect("a claim")
        };
        let pod = |node: Value, deleted: Option<i64>, phase: &str| -> Pod {
            let mut metadata = json!({"name": "p", "namespace": "n", "uid": "u"});
            if let Some(grace) = deleted {
                metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                metadata["deletionGracePeriodSeconds"] = json!(grace);
            }
            let volumes = json!([{"name": "v", "ephemeral": {}},
                {"name": "w", "persistentVolumeClaim": {"claimName": "c"}}]);
            let spec = json!({"nodeName": node, "containers": [], "volumes": volumes});
            let pod = json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}});
            serde_json::from_value(pod).expect("a pod")
        };
        // By name: the claim that is named, the pod's own, and one like it of somebody else.
        for (node, deleted, phase, expect) in [
            (json!(null), None, "Pending", [false, false, false]),
            (json!("here"), None, "Running", [true, true, false]),
            (json!("here"), None, "Succeeded", [true, true, false]),
            (json!("here"), Some(30), "Running", [true, true, false]),
            (json!("here"), Some(0), "Failed", [true, false, false]),
        ] {
            let pod = pod(node, deleted, phase);
            let claims = [
                claim("c", json!([])),
                claim("p-v", owner("u")),
                claim("p-v", owner("other")),
            ];
            assert_eq!(claims.map(|claim| uses(&pod, &claim)), expect, "{phase}");
        }
    }

    #[test]
    fn reservations_and_nodes() {
        let owner = |uid: &str| json!({"claimRef": {"name": "c", "namespace": "n", "uid": uid}});
        let volumes = [
            volume("free", "5Gi", json!({})),
            volume("mine", "50Gi", owner("")),
        ];
        check(&claim(json!({})), &volumes, Some("mine"));
        let volumes = [
            volume("free", "5Gi", json!({})),
            volume("older", "5Gi", owner("before")),
        ];
        check(&claim(json!({})), &volumes, Some("free"));
        let on = |node: &str| {
            let wanted =
                json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
            let terms = json!([{"matchExpressions": [wanted]}]);
            json!({"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}})
        };
        check(&claim(json!({})), &[volume("v", "5Gi", on("there"))], None);
        check(
            &claim(json!({})),
            &[volume("v", "5Gi", on("here"))],
            Some("v"),
        );
    }
}
