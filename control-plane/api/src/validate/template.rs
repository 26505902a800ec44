//! Templates of pods.

use serde_json::Value;

use crate::object::{get, is_empty, part, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, labels};
use super::{metadata, pod};

pub(super) fn check(template: &Value, path: &Path, out: &mut Errors) {
    let metadata = part(template, "metadata");
    labels(out, metadata, path, "labels");
    metadata::annotations(metadata, &path.child("annotations"), out);
    let (spec, here) = (part(template, "spec"), path.child("spec"));
    pod::annotations(metadata, spec, &path.child("annotations"), out);
    pod::spec(spec, &here, pod::Home::Template, out);
    pod::seccomp_fields(metadata, spec, &here, out);
    if !is_empty(template, "spec.ephemeralContainers") {
        let why = "ephemeral containers not allowed in pod template";
        out.push(|| FieldError::forbidden(here.child("ephemeralContainers"), why));
    }
}

/// The template of what replaces pods that end: they are to run for ever.
pub(super) fn of_endless_pods(template: &Value, path: &Path, kind: &str, out: &mut Errors) {
    let here = path.child("spec");
    let policy = text(template, "spec.restartPolicy");
    if policy != "Always" {
        let at = here.child("restartPolicy");
        out.push(|| FieldError::not_supported(at, policy, &["Always"]));
    }
    if get(template, "spec.activeDeadlineSeconds").is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        out.push(|| FieldError::forbidden(here.child("activeDeadlineSeconds"), why));
    }
}
