//! What may change in a pod that exists: nearly nothing.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, int, items, part, remove, set, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid};
use super::super::semantic::normal;
use super::{annotations, container, diff, whole};

const SPEC_TYPE: &str = "io.k8s.api.core.v1.PodSpec";
const TERM_TYPE: &str = "io.k8s.api.core.v1.NodeSelectorTerm";
const ALLOWED: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(in super::super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    whole(new, out);
    annotations::changes(new, old, out);
    let (new, old) = (part(new, "spec"), part(old, "spec"));
    let path = Path::new("spec");
    for list in ["containers", "initContainers"] {
        if items(new, list).len() != items(old, list).len() {
            let why = "pod updates may not add or remove containers";
            out.push(|| FieldError::forbidden(path.child(list), why));
            return;
        }
        for (at, one) in items(new, list).iter().enumerate() {
            let here = path.child(list).index(at);
            if text(one, "image").is_empty() {
                out.push(|| FieldError::required(here.child("image"), ""));
            }
            container::image_spaces(one, &here, out);
        }
    }
    if !deadline(new, old, &path, out) {
        return;
    }
    tolerations(new, old, &path, out);
    let gated = gates(new, old, &path, out);
    if gated {
        node_selector(new, old, &path, out);
        node_affinity(new, old, &path, out);
    }
    let (now, before) = (
        normal(&masked(new, old, gated), SPEC_TYPE),
        normal(old, SPEC_TYPE),
    );
    if now != before {
        let why = format!("{ALLOWED}\n{}", diff::unified(&before, &now));
        out.push(|| FieldError::forbidden(path, why));
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
        carry("affinity.nodeAffinity");
    }
    let grace = |value: &Value| int(value, "terminationGracePeriodSeconds").unwrap_or(0);
    if grace(old) < 0 && grace(new) == 1 {
        carry("terminationGracePeriodSeconds");
    }
    let kinds = ["podAffinity", "podAntiAffinity", "nodeAffinity"];
    let affinity = part(&masked, "affinity");
    let nothing = kinds.iter().all(|kind| get(affinity, kind).is_none());
    if gated && nothing && get(old, "affinity").is_none() {
        remove(&mut masked, "affinity");
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

/// A deadline may come, or come closer. Returns whether the rest is worth a look.
fn deadline(new: &Value, old: &Value, path: &Path, out: &mut Errors) -> bool {
    let field = "activeDeadlineSeconds";
    let at = path.child(field);
    let wrong = match (int(new, field), int(old, field)) {
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            out.push(|| FieldError::invalid(&at, Value::Null, why));
            return true;
        }
        (None, None) => return true,
        (Some(new), old) => {
            let mut wrong = names::in_range(new, 0, i64::from(i32::MAX));
            if wrong.is_empty() && old.is_some_and(|old| new > old) {
                wrong.push("must be less than or equal to previous value".to_owned());
            }
            wrong
        }
    };
    let whole = wrong.is_empty();
    invalid(out, &at, int(new, field).unwrap_or(0), wrong);
    whole
}

/// Tolerations may come and change how long they last, never go.
fn tolerations(new: &Value, old: &Value, path: &Path, out: &mut Errors) {
    let lasting = |toleration: &Value| {
        ["key", "operator", "value", "effect"].map(|field| text(toleration, field).to_owned())
    };
    let kept: HashSet<_> = items(new, "tolerations").iter().map(lasting).collect();
    let all_kept = items(old, "tolerations")
        .iter()
        .all(|one| kept.contains(&lasting(one)));
    if !all_kept {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        out.push(|| FieldError::forbidden(path.child("tolerations"), why));
    }
}

/// Gates may only go. Returns whether the pod was held back by any.
fn gates(new: &Value, old: &Value, path: &Path, out: &mut Errors) -> bool {
    let names = items(old, "schedulingGates").iter();
    let before: HashSet<&str> = names.map(|gate| text(gate, "name")).collect();
    for (at, gate) in items(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !before.contains(name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            out.push(|| FieldError::forbidden(path.child("schedulingGates").index(at), why));
        }
    }
    !before.is_empty()
}

/// While a pod is held back its selector may become narrower.
fn node_selector(new: &Value, old: &Value, path: &Path, out: &mut Errors) {
    let selected = |key: &str| new.pointer("/nodeSelector").and_then(|all| all.get(key));
    if entries(old, "nodeSelector").any(|(key, value)| selected(key) != Some(value)) {
        let all = get(new, "nodeSelector").cloned().unwrap_or(Value::Null);
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        out.push(|| FieldError::invalid(path.child("nodeSelector"), all, why));
    }
}

/// While a pod is held back the terms it has may become narrower.
fn node_affinity(new: &Value, old: &Value, path: &Path, out: &mut Errors) {
    const TERMS: &str =
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let (now, before) = (items(new, TERMS), items(old, TERMS));
    let here = path.child(TERMS);
    if before.is_empty() {
        return;
    }
    if now.len() != before.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        out.push(|| FieldError::invalid(here, now, why));
        return;
    }
    for (at, (now, before)) in now.iter().zip(before).enumerate() {
        if !narrower(now, before) {
            let why = "only additions are allowed (no mutations or deletions)";
            out.push(|| FieldError::invalid(here.index(at), now, why));
        }
    }
}

/// A term selects less with more requirements, but one without any selects nothing at all.
fn narrower(now: &Value, before: &Value) -> bool {
    let lists = ["matchExpressions", "matchFields"];
    if lists.iter().all(|list| items(before, list).is_empty()) {
        return lists.iter().all(|list| items(now, list).is_empty());
    }
    let normal = |term: &Value, list: &str| normal(term, TERM_TYPE)[list].clone();
    lists.iter().all(|list| {
        let (now, before) = (normal(now, list), normal(before, list));
        let (now, before) = (now.as_array(), before.as_array());
        let before = before.map_or(&[][..], Vec::as_slice);
        now.map_or(&[][..], Vec::as_slice).starts_with(before)
    })
}
