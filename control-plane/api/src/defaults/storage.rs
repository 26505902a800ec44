//! Defaults of persistent volumes, claims and what describes storage.

use serde_json::Value;

use crate::object::{is_empty, set, set_default};

use super::{amounts, default_text, volume, within};

pub(super) fn volume(value: &mut Value) {
    within(value, "spec", volume::sources);
    amounts::round(value, ["spec.capacity"]);
    default_text(value, "status.phase", "Pending");
    default_text(value, "spec.persistentVolumeReclaimPolicy", "Retain");
    set_default(value, "spec.volumeMode", "Filesystem");
}

pub(super) fn claim(value: &mut Value) {
    within(value, "spec", amounts::round_requirements);
    amounts::round(value, ["status.capacity", "status.allocatedResources"]);
    default_text(value, "status.phase", "Pending");
    set_default(value, "spec.volumeMode", "Filesystem");
}

pub(super) fn class(value: &mut Value) {
    set_default(value, "reclaimPolicy", "Delete");
    set_default(value, "volumeBindingMode", "Immediate");
}

pub(super) fn csi_driver(value: &mut Value) {
    set_default(value, "spec.attachRequired", true);
    for no in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
    ] {
        set_default(value, &format!("spec.{no}"), false);
    }
    set_default(value, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType");
    if is_empty(value, "spec.volumeLifecycleModes") {
        set(value, "spec.volumeLifecycleModes", vec!["Persistent"]);
    }
}
