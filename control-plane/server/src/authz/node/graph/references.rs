//! The objects a pod or a PersistentVolume names, as upstream follows them.

use std::collections::BTreeMap;

use sampan_api::object;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Kind, Thing};

/// Marks a pod that stands for what a node runs anyway. It gives the node nothing: nodes make these themselves.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Sources of volumes with a reference to a secret.
const WITH_SECRET: [(&str, &str); 8] = [
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
];

/// Annotations of a pod, or with `.CONTAINER` behind it of one container: where settings for its guests come from,
/// separated by commas, ConfigMaps among them.
pub(crate) const SETTINGS: &str = "sampan.dev/wasi-config";

/// Whether a pod that is bound has what can come or go later: ephemeral containers, claims made for it, and annotations.
pub(super) fn may_change(raw: &[u8]) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata {
        annotations: Option<BTreeMap<String, IgnoredAny>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Spec {
        ephemeral_containers: Option<IgnoredAny>,
        resource_claims: Option<IgnoredAny>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct State {
        extended_resource_claim_status: Option<IgnoredAny>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Pod {
        metadata: Metadata,
        spec: Spec,
        status: State,
    }
    let pod: Pod = serde_json::from_slice(raw).unwrap_or_default();
    let mut annotations = pod.metadata.annotations.iter().flatten();
    annotations.any(|(key, _)| key.starts_with(SETTINGS))
        || pod.spec.ephemeral_containers.is_some()
        || pod.spec.resource_claims.is_some()
        || pod.status.extended_resource_claim_status.is_some()
}

/// What a pod names, each once.
pub(super) fn of_pod(raw: &[u8]) -> Vec<Thing> {
    let pod: Value = serde_json::from_slice(raw).unwrap_or_default();
    if object::annotation(&pod, MIRROR).is_some() {
        return Vec::new();
    }
    let mut found = Found {
        namespace: object::namespace(&pod),
        things: Vec::new(),
    };
    let spec = object::part(&pod, "spec");
    found.settings(&pod);
    found.add(Kind::ServiceAccount, spec, "serviceAccountName");
    for secret in object::items(spec, "imagePullSecrets") {
        found.add(Kind::Secret, secret, "name");
    }
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        object::items(spec, field)
            .iter()
            .for_each(|container| found.container(container));
    }
    for volume in object::items(spec, "volumes") {
        found.volume(volume);
        if object::get(volume, "ephemeral").is_some() {
            let name = format!("{}-{}", object::name(&pod), object::text(volume, "name"));
            found.named(Kind::Claim, &name);
        }
    }
    let made = object::items(&pod, "status.resourceClaimStatuses");
    for claim in object::items(spec, "resourceClaims").iter().chain(made) {
        found.add(Kind::ResourceClaim, claim, "resourceClaimName");
    }
    let extended = "status.extendedResourceClaimStatus.resourceClaimName";
    found.add(Kind::ResourceClaim, &pod, extended);
    found.things
}

struct Found<'a> {
    namespace: &'a str,
    things: Vec<Thing>,
}

impl Found<'_> {
    fn add(&mut self, kind: Kind, value: &Value, path: &str) {
        self.named(kind, object::text(value, path));
    }

    fn named(&mut self, kind: Kind, name: &str) {
        let thing = Thing::new(kind, self.namespace, name);
        if !name.is_empty() && !self.things.contains(&thing) {
            self.things.push(thing);
        }
    }

    fn settings(&mut self, pod: &Value) {
        let annotations = object::annotations(pod).into_iter().flatten();
        let lists = annotations
            .filter(|(key, _)| key.starts_with(SETTINGS))
            .filter_map(|(_, list)| list.as_str());
        for source in lists.flat_map(|list| list.split(',')) {
            if let Some(name) = source.trim().strip_prefix("configmap/") {
                self.named(Kind::ConfigMap, name);
            }
        }
    }

    fn container(&mut self, container: &Value) {
        for source in object::items(container, "envFrom") {
            self.add(Kind::Secret, source, "secretRef.name");
            self.add(Kind::ConfigMap, source, "configMapRef.name");
        }
        for variable in object::items(container, "env") {
            self.add(Kind::Secret, variable, "valueFrom.secretKeyRef.name");
            self.add(Kind::ConfigMap, variable, "valueFrom.configMapKeyRef.name");
        }
    }

    fn volume(&mut self, volume: &Value) {
        self.add(Kind::Secret, volume, "secret.secretName");
        self.add(Kind::Secret, volume, "azureFile.secretName");
        for (source, reference) in WITH_SECRET {
            let source = object::part(volume, source);
            self.add(Kind::Secret, object::part(source, reference), "name");
        }
        self.add(Kind::ConfigMap, volume, "configMap.name");
        for source in object::items(volume, "projected.sources") {
            self.add(Kind::Secret, source, "secret.name");
            self.add(Kind::ConfigMap, source, "configMap.name");
        }
        self.add(Kind::Claim, volume, "persistentVolumeClaim.claimName");
    }
}

/// The claim that holds a volume, and the secrets that a node needs to mount it.
pub(super) fn of_volume(raw: &[u8]) -> Option<(Thing, Vec<Thing>)> {
    let volume: Value = serde_json::from_slice(raw).unwrap_or_default();
    let spec = object::part(&volume, "spec");
    let owner = object::get(spec, "claimRef")?;
    let own = object::text(owner, "namespace");
    let claim = Thing::new(Kind::Claim, own, object::text(owner, "name"));
    let mut secrets = Vec::new();
    let mut add = |namespace: &str, name: &str| {
        let namespace = if namespace.is_empty() { own } else { namespace };
        let secret = Thing::new(Kind::Secret, namespace, name);
        if !name.is_empty() && !secrets.contains(&secret) {
            secrets.push(secret);
        }
    };
    let azure = object::part(spec, "azureFile");
    add(
        object::text(azure, "secretNamespace"),
        object::text(azure, "secretName"),
    );
    for (source, reference) in WITH_SECRET.into_iter().chain([
        ("csi", "nodeStageSecretRef"),
        ("csi", "nodeExpandSecretRef"),
    ]) {
        let reference = object::part(object::part(spec, source), reference);
        add(
            object::text(reference, "namespace"),
            object::text(reference, "name"),
        );
    }
    Some((claim, secrets))
}
