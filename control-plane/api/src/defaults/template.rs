//! Defaults of pod specs, wherever one stands: in a pod, or in the template of what makes pods.

use serde_json::{Map, Value};

use crate::object::{set, set_default, text};

use super::{amounts, container, default_text, each, volume, within};

/// The template at `path`, which is there in every object of the kind.
pub(super) fn required(value: &mut Value, path: &str) {
    set_default(value, path, Map::new());
    optional(value, path);
}

/// The template at `path`, of kinds that may have none.
pub(super) fn optional(value: &mut Value, path: &str) {
    within(value, path, |template| {
        set_default(template, "metadata", Map::new());
        set_default(template, "spec", Map::new());
        within(template, "spec", spec);
    });
}

pub(super) fn spec(spec: &mut Value) {
    each(spec, "volumes", volume::apply);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, container::apply);
    }
    amounts::round_requirements(spec);
    amounts::round(spec, ["overhead"]);
    default_text(spec, "restartPolicy", "Always");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "dnsPolicy", "ClusterFirst");
    mirror_service_account(spec);
    set_default(spec, "securityContext", Map::new());
    default_text(spec, "schedulerName", "default-scheduler");
}

/// `serviceAccount` is the old name of `serviceAccountName`; readers may look at either.
pub(super) fn mirror_service_account(spec: &mut Value) {
    let mut name = text(spec, "serviceAccountName").to_owned();
    if name.is_empty() {
        name = text(spec, "serviceAccount").to_owned();
    }
    if !name.is_empty() {
        set(spec, "serviceAccountName", name.as_str());
        set(spec, "serviceAccount", name);
    }
}
