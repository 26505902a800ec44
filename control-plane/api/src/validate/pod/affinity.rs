//! Which nodes, and which pods on them, a pod wants around it.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid};
use super::super::selector::label_selector;
use super::scheduling::label_keys;

/// Terms of a preference weigh this much.
const WEIGHTS: (i64, i64) = (1, 100);
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Whether values that no label can have are wrong, or only never there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    OfLabels,
    Any,
}

pub(super) fn all(spec: &Value, path: &Path, out: &mut Errors) {
    if let Some(node) = get(spec, "affinity.nodeAffinity") {
        node_affinity(node, &path.child("nodeAffinity"), out);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(value) = get(spec, &format!("affinity.{kind}")) {
            pod_affinity(value, &path.child(kind), out);
        }
    }
}

fn node_affinity(affinity: &Value, path: &Path, out: &mut Errors) {
    if let Some(selector) = get(affinity, REQUIRED) {
        node_selector(selector, &path.child(REQUIRED), out);
    }
    for (at, term) in items(affinity, PREFERRED).iter().enumerate() {
        let here = path.child(PREFERRED).index(at);
        weight(term, &here, out);
        if let Some(preference) = get(term, "preference") {
            let here = here.child("preference");
            node_selector_term(preference, Values::Any, &here, out);
        }
    }
}

/// Terms of which one must hold.
pub(in super::super) fn node_selector(selector: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("nodeSelectorTerms");
    let terms = items(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        let why = "must have at least one node selector term";
        out.push(|| FieldError::required(&here, why));
    }
    for (at, term) in terms.iter().enumerate() {
        node_selector_term(term, Values::OfLabels, &here.index(at), out);
    }
}

fn node_selector_term(term: &Value, values: Values, path: &Path, out: &mut Errors) {
    for (at, requirement) in items(term, "matchExpressions").iter().enumerate() {
        let here = path.child("matchExpressions").index(at);
        by_label(requirement, values, &here, out);
    }
    for (at, requirement) in items(term, "matchFields").iter().enumerate() {
        by_field(requirement, &path.child("matchFields").index(at), out);
    }
}

fn by_label(requirement: &Value, values: Values, path: &Path, out: &mut Errors) {
    let found = items(requirement, "values");
    let here = path.child("values");
    match text(requirement, "operator") {
        "In" | "NotIn" => {
            if found.is_empty() {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                out.push(|| FieldError::required(&here, why));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !found.is_empty() {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                out.push(|| FieldError::forbidden(&here, why));
            }
        }
        "Gt" | "Lt" => {
            if found.len() != 1 {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                out.push(|| FieldError::required(&here, why));
            }
        }
        other => operator(other, path, out),
    }
    let key = text(requirement, "key");
    invalid(out, &path.child("key"), key, names::qualified_name(key));
    if values == Values::OfLabels {
        for (at, value) in found.iter().enumerate() {
            let value = value.as_str().unwrap_or("");
            invalid(out, &here.index(at), value, names::label_value(value));
        }
    }
}

fn by_field(requirement: &Value, path: &Path, out: &mut Errors) {
    let found = items(requirement, "values");
    let here = path.child("values");
    match text(requirement, "operator") {
        "In" | "NotIn" => {
            if found.len() != 1 {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node \
                           field selector";
                out.push(|| FieldError::required(&here, why));
            }
        }
        other => operator(other, path, out),
    }
    let key = text(requirement, "key");
    if key != "metadata.name" {
        let why = "not a valid field selector key";
        out.push(|| FieldError::invalid(path.child("key"), key, why));
        return;
    }
    for (at, value) in found.iter().enumerate() {
        let value = value.as_str().unwrap_or("");
        invalid(out, &here.index(at), value, names::dns1123_subdomain(value));
    }
}

fn operator(found: &str, path: &Path, out: &mut Errors) {
    let why = "not a valid selector operator";
    out.push(|| FieldError::invalid(path.child("operator"), found, why));
}

fn pod_affinity(affinity: &Value, path: &Path, out: &mut Errors) {
    for (at, term) in items(affinity, REQUIRED).iter().enumerate() {
        pod_affinity_term(term, &path.child(REQUIRED).index(at), out);
    }
    for (at, weighted) in items(affinity, PREFERRED).iter().enumerate() {
        let here = path.child(PREFERRED).index(at);
        weight(weighted, &here, out);
        let term = part(weighted, "podAffinityTerm");
        pod_affinity_term(term, &here.child("podAffinityTerm"), out);
    }
}

fn pod_affinity_term(term: &Value, path: &Path, out: &mut Errors) {
    for field in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = get(term, field) {
            label_selector(selector, &path.child(field), out);
        }
    }
    for namespace in items(term, "namespaces") {
        // Upstream says the field's name in the singular.
        let namespace = namespace.as_str().unwrap_or("");
        let wrong = names::dns1123_label(namespace);
        invalid(out, &path.child("namespace"), namespace, wrong);
    }
    label_keys(term, path, out);
    let here = path.child("topologyKey");
    if is_empty(term, "topologyKey") {
        out.push(|| FieldError::required(&here, "can not be empty"));
    }
    let key = text(term, "topologyKey");
    invalid(out, &here, key, names::qualified_name(key));
}

fn weight(term: &Value, path: &Path, out: &mut Errors) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(WEIGHTS.0..=WEIGHTS.1).contains(&weight) {
        let why = "must be in the range 1-100";
        out.push(|| FieldError::invalid(path.child("weight"), weight, why));
    }
}
