//! What may change in a pod that exists: nearly nothing.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, int, items, remove, set, text};
use crate::status::FieldError;

use super::super::path::{Path, invalid};
use super::super::semantic::normal;
use super::{container, diff, spec};

const SPEC_TYPE: &str = "io.k8s.api.core.v1.PodSpec";
const ALLOWED: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(in super::super) fn update(new: &Value, old: &Value, out: &mut Vec<FieldError>) {
    let null = Value::Null;
    let (new, old) = (
        get(new, "spec").unwrap_or(&null),
        get(old, "spec").unwrap_or(&null),
    );
    let path = Path::new("spec");
    spec(new, &path, out);
    for list in ["containers", "initContainers"] {
        if items(new, list).len() != items(old, list).len() {
            let why = "pod updates may not add or remove containers";
            out.push(FieldError::forbidden(path.child(list), why));
            return;
        }
        for (at, one) in items(new, list).iter().enumerate() {
            // An unchanged image was found good or bad before; either way it is not news.
            if get(one, "image") != items(old, list).get(at).and_then(|old| get(old, "image")) {
                container::image(one, &path.child(list).index(at), out);
            }
        }
    }
    deadline(new, old, &path, out);
    tolerations(new, old, &path, out);
    let gated = gates(new, old, &path, out);
    if gated {
        node_selector(new, old, &path, out);
    }
    let (now, before) = (
        normal(&masked(new, old, gated), SPEC_TYPE),
        normal(old, SPEC_TYPE),
    );
    if now != before {
        let why = format!("{ALLOWED}\n{}", diff::unified(&before, &now));
        out.push(FieldError::forbidden(path, why));
    }
}

/// `new` with everything that may change taken from `old`.
fn masked(new: &Value, old: &Value, gated: bool) -> Value {
    let mut masked = new.clone();
    let mut carry = |path: &str| match get(old, path) {
        Some(value) => set(&mut masked, path, value.clone()),
        None => {
            remove(&mut masked, path);
        }
    };
    for path in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        carry(path);
    }
    if gated {
        carry("nodeSelector");
        if get(old, "affinity.nodeAffinity").is_none() {
            carry("affinity");
        }
    }
    let grace = |value: &Value| int(value, "terminationGracePeriodSeconds").unwrap_or(0);
    if grace(old) < 0 && grace(new) == 1 {
        carry("terminationGracePeriodSeconds");
    }
    for list in ["containers", "initContainers"] {
        let before = items(old, list);
        for (at, one) in crate::object::items_mut(&mut masked, list)
            .iter_mut()
            .enumerate()
        {
            match before.get(at).and_then(|old| get(old, "image")) {
                Some(image) => set(one, "image", image.clone()),
                None => {
                    remove(one, "image");
                }
            }
        }
    }
    masked
}

/// A deadline may come, or come closer.
fn deadline(new: &Value, old: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let field = "activeDeadlineSeconds";
    let at = path.child(field);
    match (int(new, field), int(old, field)) {
        (Some(new), Some(old)) if new > old => {
            let why = "must be less than or equal to previous value";
            out.push(FieldError::invalid(&at, new, why));
        }
        (Some(new), _) => invalid(out, &at, new, names::in_range(new, 0, i64::from(i32::MAX))),
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            out.push(FieldError::invalid(&at, Value::Null, why));
        }
        (None, None) => {}
    }
}

/// Tolerations may come and change how long they last, never go.
fn tolerations(new: &Value, old: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let lasting = |toleration: &Value| {
        ["key", "operator", "value", "effect"].map(|field| text(toleration, field).to_owned())
    };
    let kept: HashSet<_> = items(new, "tolerations").iter().map(lasting).collect();
    let all_kept = items(old, "tolerations")
        .iter()
        .all(|one| kept.contains(&lasting(one)));
    if !all_kept {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        out.push(FieldError::forbidden(path.child("tolerations"), why));
    }
}

/// Gates may only go. Returns whether the pod was held back by any.
fn gates(new: &Value, old: &Value, path: &Path, out: &mut Vec<FieldError>) -> bool {
    let names = items(old, "schedulingGates").iter();
    let before: HashSet<&str> = names.map(|gate| text(gate, "name")).collect();
    for (at, gate) in items(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !before.contains(name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            out.push(FieldError::forbidden(
                path.child("schedulingGates").index(at),
                why,
            ));
        }
    }
    !before.is_empty()
}

/// While a pod is held back its selector may become narrower.
fn node_selector(new: &Value, old: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let selected = |key: &str| new.pointer("/nodeSelector").and_then(|all| all.get(key));
    if entries(old, "nodeSelector").any(|(key, value)| selected(key) != Some(value)) {
        let all = get(new, "nodeSelector").cloned().unwrap_or(Value::Null);
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        out.push(FieldError::invalid(path.child("nodeSelector"), all, why));
    }
}
