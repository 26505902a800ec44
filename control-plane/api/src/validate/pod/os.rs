//! The operating system a pod is for, and what each of them does not have.

use serde_json::Value;

use crate::object::{get, text};
use crate::status::{Errors, FieldError};

use super::super::path::Path;
use super::containers;

const NOT_LINUX: &str = "windows options cannot be set for a linux pod";
const NOT_WINDOWS: &str = "cannot be set for a windows pod";
/// Fields of a pod that say nothing to Windows.
const OF_PODS: [&str; 15] = [
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];
/// Fields of a container's security context that say nothing to Windows.
const OF_CONTAINERS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

pub(super) fn check(spec: &Value, path: &Path, out: &mut Errors) {
    if get(spec, "os").is_none() {
        return;
    }
    let here = path.child("os");
    match text(spec, "os.name") {
        "" => out.push(|| FieldError::required(here.child("name"), "")),
        "linux" => linux(spec, path, out),
        "windows" => windows(spec, path, out),
        other => out.push(|| FieldError::not_supported(here, other, &["linux", "windows"])),
    }
}

fn linux(spec: &Value, path: &Path, out: &mut Errors) {
    const FIELD: &str = "securityContext.windowsOptions";
    if get(spec, FIELD).is_some() {
        out.push(|| FieldError::forbidden(path.child(FIELD), NOT_LINUX));
    }
    for (container, here) in containers(spec, path) {
        if get(container, FIELD).is_some() {
            out.push(|| FieldError::forbidden(here.child(FIELD), NOT_LINUX));
        }
    }
}

fn windows(spec: &Value, path: &Path, out: &mut Errors) {
    // What is false is not set.
    let set = |value: &Value, field: &str| {
        let plain = matches!(field, "hostPID" | "hostIPC");
        get(value, field).is_some_and(|value| !plain || value == true)
    };
    for field in OF_PODS {
        if set(spec, field) {
            out.push(|| FieldError::forbidden(path.child(field), NOT_WINDOWS));
        }
    }
    for (container, here) in containers(spec, path) {
        let Some(context) = get(container, "securityContext") else {
            continue;
        };
        let here = here.child("securityContext");
        for field in OF_CONTAINERS {
            if set(context, field) {
                out.push(|| FieldError::forbidden(here.child(field), NOT_WINDOWS));
            }
        }
    }
}
