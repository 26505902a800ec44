//! Defaults of volumes.

use serde_json::{Map, Value};

use crate::object::{get, set, set_default};

use super::{amounts, container, default_text, each, within};

/// Permissions of projected files: 0644.
const DEFAULT_MODE: i64 = 0o644;

pub(super) fn apply(volume: &mut Value) {
    let sourceless = volume
        .as_object()
        .is_some_and(|map| map.iter().all(|(key, v)| key == "name" || v.is_null()));
    if sourceless {
        set(volume, "emptyDir", Map::new());
    }
    sources(volume);
}

/// What volumes of pods and persistent volumes have in common.
pub(super) fn sources(volume: &mut Value) {
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        within(volume, source, |source| {
            set_default(source, "defaultMode", DEFAULT_MODE)
        });
    }
    within(volume, "downwardAPI", downward);
    within(volume, "projected", |projected| {
        each(projected, "sources", projection)
    });
    within(volume, "hostPath", |path| set_default(path, "type", ""));
    within(volume, "image", |image| {
        if get(image, "pullPolicy").is_none() {
            let policy = container::pull_policy(crate::object::text(image, "reference"));
            set(image, "pullPolicy", policy);
        }
    });
    within(volume, "iscsi", |iscsi| {
        default_text(iscsi, "iscsiInterface", "default")
    });
    within(volume, "rbd", |rbd| {
        default_text(rbd, "pool", "rbd");
        default_text(rbd, "user", "admin");
        default_text(rbd, "keyring", "/etc/ceph/keyring");
    });
    within(volume, "azureDisk", |disk| {
        set_default(disk, "cachingMode", "ReadWrite");
        set_default(disk, "kind", "Shared");
        set_default(disk, "fsType", "ext4");
        set_default(disk, "readOnly", false);
    });
    within(volume, "scaleIO", |scale| {
        default_text(scale, "storageMode", "ThinProvisioned");
        default_text(scale, "fsType", "xfs");
    });
    within(volume, "ephemeral.volumeClaimTemplate.spec", |claim| {
        set_default(claim, "volumeMode", "Filesystem");
        amounts::round_requirements(claim);
    });
}

fn projection(source: &mut Value) {
    within(source, "downwardAPI", downward);
    within(source, "serviceAccountToken", |token| {
        set_default(token, "expirationSeconds", 3600)
    });
}

fn downward(source: &mut Value) {
    each(source, "items", |item| {
        within(item, "fieldRef", container::field_ref)
    });
}
