//! Where containers see the pod's volumes: as directories, or as devices.

use std::collections::HashSet;

use serde_json::Value;

use crate::object::{flag, get, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, optional_choice};
use super::super::volume_source::no_backsteps;
use super::Context;
use super::volume::Volumes;

const PROPAGATIONS: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
const READ_ONLY: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

pub(super) fn all(container: &Value, context: &Context<'_>, path: &Path, out: &mut Errors) {
    mounts(
        container,
        &context.volumes,
        &path.child("volumeMounts"),
        out,
    );
    devices(
        container,
        &context.volumes,
        &path.child("volumeDevices"),
        out,
    );
}

/// A path inside a volume that cannot lead out of it.
pub(super) fn inner_path(path: &str) -> Vec<String> {
    let mut wrong = no_backsteps(path);
    if path.starts_with('/') {
        wrong.insert(0, "must be a relative path".to_owned());
    }
    wrong
}

/// As [`inner_path`], for files that the system itself writes next to names with two dots.
pub(super) fn inner_file(path: &str) -> Vec<String> {
    let mut wrong = inner_path(path);
    if path.starts_with("..") && !path.starts_with("../") {
        wrong.push("must not start with '..'".to_owned());
    }
    wrong
}

/// Names and paths in a list: what mounts and devices may not have in common.
fn taken<'a>(container: &'a Value, list: &str, path: &str) -> [HashSet<&'a str>; 2] {
    ["name", path].map(|field| {
        let all = items(container, list).iter().map(|one| text(one, field));
        all.filter(|found| !found.is_empty()).collect()
    })
}

fn mounts(container: &Value, volumes: &Volumes<'_>, path: &Path, out: &mut Errors) {
    let [names, paths] = taken(container, "volumeDevices", "devicePath");
    let mut targets = HashSet::new();
    for (at, mount) in items(container, "volumeMounts").iter().enumerate() {
        let here = path.index(at);
        let (name, at_name) = (text(mount, "name"), here.child("name"));
        if name.is_empty() {
            out.push(|| FieldError::required(&at_name, ""));
        }
        if !volumes.contains_key(name) {
            out.push(|| FieldError::not_found(&at_name, name));
        }
        let (target, at_path) = (text(mount, "mountPath"), here.child("mountPath"));
        if target.is_empty() {
            out.push(|| FieldError::required(&at_path, ""));
        }
        if !targets.insert(target) {
            out.push(|| FieldError::invalid(&at_path, target, "must be unique"));
        }
        if names.contains(name) {
            let why = "must not already exist in volumeDevices";
            out.push(|| FieldError::invalid(at_name, name, why));
        }
        if paths.contains(target) {
            let why = "must not already exist as a path in volumeDevices";
            out.push(|| FieldError::invalid(at_path, target, why));
        }
        options(mount, container, path, &here, out);
    }
}

/// Upstream blames the list for most of these, not its item.
fn options(mount: &Value, container: &Value, path: &Path, here: &Path, out: &mut Errors) {
    let (inner, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
    invalid(out, &path.child("subPath"), inner, inner_path(inner));
    if !inner.is_empty() && !expression.is_empty() {
        let why = "subPathExpr and subPath are mutually exclusive";
        let here = here.child("subPathExpr");
        out.push(|| FieldError::invalid(here, expression, why));
    }
    let wrong = inner_path(expression);
    invalid(out, &path.child("subPathExpr"), expression, wrong);
    optional_choice(out, mount, path, "mountPropagation", &PROPAGATIONS);
    let propagation = text(mount, "mountPropagation");
    if propagation == "Bidirectional" && !flag(container, "securityContext.privileged") {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        out.push(|| FieldError::forbidden(path.child("mountPropagation"), why));
    }
    optional_choice(out, mount, path, "recursiveReadOnly", &READ_ONLY);
    if matches!(text(mount, "recursiveReadOnly"), "Enabled" | "IfPossible") {
        let here = path.child("recursiveReadOnly");
        if !flag(mount, "readOnly") {
            let why = "may only be specified when readOnly is true";
            out.push(|| FieldError::forbidden(&here, why));
        }
        if !matches!(propagation, "" | "None") {
            let why = "may only be specified when mountPropagation is None or not specified";
            out.push(|| FieldError::forbidden(here, why));
        }
    }
}

fn devices(container: &Value, volumes: &Volumes<'_>, path: &Path, out: &mut Errors) {
    let [mounted, mount_paths] = taken(container, "volumeMounts", "mountPath");
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for (at, device) in items(container, "volumeDevices").iter().enumerate() {
        let here = path.index(at);
        let (name, at_name) = (text(device, "name"), here.child("name"));
        let mut of_name = |why| out.push(|| FieldError::invalid(&at_name, name, why));
        if !name.is_empty() && !names.insert(name) {
            of_name("must be unique");
        }
        match volumes.get(name) {
            Some(volume) if !is_claimed(volume) => of_name(
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block \
                 mode",
            ),
            _ => {}
        }
        if mounted.contains(name) {
            of_name("must not already exist in volumeMounts");
        }
        if name.is_empty() {
            out.push(|| FieldError::required(&at_name, ""));
        }
        if !volumes.contains_key(name) {
            out.push(|| FieldError::not_found(&at_name, name));
        }
        let (target, at_path) = (text(device, "devicePath"), here.child("devicePath"));
        if is_empty(device, "devicePath") {
            out.push(|| FieldError::required(&at_path, ""));
        }
        let mut of_path = |why| out.push(|| FieldError::invalid(&at_path, target, why));
        if paths.contains(target) {
            of_path("must be unique");
        }
        if no_backsteps(target).is_empty() {
            paths.insert(target);
        } else {
            of_path("can not contain backsteps ('..')");
        }
        if mount_paths.contains(target) {
            of_path("must not already exist as a path in volumeMounts");
        }
    }
}

/// Whether a claim stands behind the volume.
fn is_claimed(volume: &Value) -> bool {
    ["persistentVolumeClaim", "ephemeral"]
        .iter()
        .any(|kind| get(volume, kind).is_some())
}
