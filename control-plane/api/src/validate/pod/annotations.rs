//! Annotations of pods that mean something to the system, and the fields some of them became.

use std::collections::HashSet;

use serde_json::Value;

use crate::object::{self, entry, get, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid};
use super::containers;
use super::mounts::inner_path;

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const LOCALHOST: &str = "localhost/";
const RUNTIME_DEFAULTS: [&str; 2] = ["runtime/default", "docker/default"];

pub(in super::super) fn check(metadata: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    let known: HashSet<&str> = containers(spec, path)
        .map(|(container, _)| text(container, "name"))
        .collect();
    for (key, value) in object::entries(metadata, "annotations") {
        let (here, value) = (path.key(key), value.as_str().unwrap_or(""));
        if key == MIRROR && text(spec, "nodeName").is_empty() {
            let why = "must set spec.nodeName if mirror pod annotation is set";
            out.push(|| FieldError::invalid(here, value, why));
        } else if key == DELETION_COST && !is_cost(value) {
            out.push(|| FieldError::invalid(here, value, "must be a 32bit integer"));
        } else if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            seccomp(value, &path.child(key), out);
        } else if let Some(name) = key.strip_prefix(APP_ARMOR) {
            if !known.contains(name) {
                out.push(|| FieldError::invalid(&here, name, "container not found"));
            }
            let known = value.is_empty()
                || value == RUNTIME_DEFAULTS[0]
                || value == "unconfined"
                || value.starts_with(LOCALHOST);
            if !known {
                let why = format!("invalid AppArmor profile name: {value:?}");
                out.push(|| FieldError::invalid(here, value, why));
            }
        }
    }
}

/// Annotations that stay as they are for a pod's whole life.
pub(super) fn changes(new: &Value, old: &Value, out: &mut Errors) {
    let path = Path::new("metadata").child("annotations");
    let old_keys = object::entries(old, "metadata.annotations").map(|(key, _)| key);
    let new_keys = object::entries(new, "metadata.annotations").map(|(key, _)| key);
    let added = new_keys.filter(|key| object::annotation(old, key).is_none());
    for key in old_keys.chain(added) {
        let noun = match key {
            MIRROR => "mirror pod annotation",
            key if key.starts_with(APP_ARMOR) => "AppArmor annotations",
            _ => continue,
        };
        let (now, before) = (object::annotation(new, key), object::annotation(old, key));
        if now != before {
            let verb = if before.is_none() {
                "add"
            } else {
                "remove or update"
            };
            let why = format!("may not {verb} {noun}");
            out.push(|| FieldError::forbidden(path.key(key), why));
        }
    }
}

/// Fields and annotations about seccomp must not contradict each other.
pub(in super::super) fn seccomp_fields(
    metadata: &Value,
    spec: &Value,
    path: &Path,
    out: &mut Errors,
) {
    const FIELD: &str = "securityContext.seccompProfile";
    if let Some(profile) = get(spec, FIELD) {
        agree(
            metadata,
            SECCOMP_POD,
            profile,
            &path.child(FIELD),
            "seccomp",
            out,
        );
    }
    for (container, here) in containers(spec, path) {
        if let Some(profile) = get(container, FIELD) {
            let key = format!("{SECCOMP_CONTAINER}{}", text(container, "name"));
            agree(metadata, &key, profile, &here.child(FIELD), "seccomp", out);
        }
    }
}

/// As [`seccomp_fields`], about AppArmor, whose annotations are of containers only.
pub(super) fn app_armor_fields(metadata: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    const FIELD: &str = "securityContext.appArmorProfile";
    if text(spec, "os.name") == "windows" {
        return;
    }
    for (container, here) in containers(spec, path) {
        if let Some(profile) = get(container, FIELD).or_else(|| get(spec, FIELD)) {
            let key = format!("{APP_ARMOR}{}", text(container, "name"));
            agree(metadata, &key, profile, &here.child(FIELD), "apparmor", out);
        }
    }
}

fn agree(metadata: &Value, key: &str, profile: &Value, path: &Path, noun: &str, out: &mut Errors) {
    let Some(said) = entry(metadata, "annotations", key).and_then(Value::as_str) else {
        return;
    };
    let same_type = match text(profile, "type") {
        "Unconfined" => said == "unconfined",
        "RuntimeDefault" if noun == "seccomp" => RUNTIME_DEFAULTS.contains(&said),
        "RuntimeDefault" => said == RUNTIME_DEFAULTS[0],
        "Localhost" => said.starts_with(LOCALHOST),
        _ => true,
    };
    if !same_type {
        let why = format!("{noun} type in annotation and field must match");
        out.push(|| FieldError::forbidden(path.child("type"), why));
    } else if text(profile, "type") == "Localhost"
        && said.strip_prefix(LOCALHOST) != get(profile, "localhostProfile").and_then(Value::as_str)
    {
        let why = format!("{noun} profile in annotation and field must match");
        out.push(|| FieldError::forbidden(path.child("localhostProfile"), why));
    }
}

fn seccomp(profile: &str, path: &Path, out: &mut Errors) {
    if RUNTIME_DEFAULTS.contains(&profile) || profile == "unconfined" {
        return;
    }
    match profile.strip_prefix(LOCALHOST) {
        Some(local) => invalid(out, path, local, inner_path(local)),
        None => out.push(|| FieldError::invalid(path, profile, "must be a valid seccomp profile")),
    }
}

/// A number in decimal without a plus or leading zeros.
fn is_cost(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let zeros = digits.len() > 1 && digits.starts_with('0');
    !zeros && !value.starts_with('+') && value.parse::<i32>().is_ok()
}
