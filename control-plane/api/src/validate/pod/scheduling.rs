//! Where a pod may run: tolerations, affinities, spread constraints.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::FieldError;

use super::super::node::TAINT_EFFECTS;
use super::super::path::{Path, invalid, optional_choice, required_choice, required_text};
use super::super::selector::label_selector;

/// Terms of a preference weigh this much.
const WEIGHTS: (i64, i64) = (1, 100);

pub(super) fn all(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    tolerations(spec, &path.child("tolerations"), out);
    let affinity = path.child("affinity");
    if let Some(node) = get(spec, "affinity.nodeAffinity") {
        node_affinity(node, &affinity.child("nodeAffinity"), out);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(value) = get(spec, &format!("affinity.{kind}")) {
            pod_affinity(value, &affinity.child(kind), out);
        }
    }
    spread(spec, &path.child("topologySpreadConstraints"), out);
}

pub(in super::super) fn tolerations(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for (at, toleration) in items(spec, "tolerations").iter().enumerate() {
        let here = path.index(at);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        if !key.is_empty() {
            invalid(out, &here.child("key"), key, names::qualified_name(key));
        } else if operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all \
                       values and all keys\"";
            out.push(FieldError::invalid(here.child("operator"), operator, why));
        }
        if int(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            out.push(FieldError::invalid(here.child("effect"), effect, why));
        }
        match operator {
            "" | "Equal" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    let why = wrong.join(";");
                    out.push(FieldError::invalid(here.child("operator"), value, why));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                out.push(FieldError::invalid(here.child("operator"), value, why));
            }
            "Exists" => {}
            _ => {
                let at = here.child("operator");
                out.push(FieldError::not_supported(
                    at,
                    operator,
                    &["Equal", "Exists"],
                ));
            }
        }
        optional_choice(out, toleration, &here, "effect", &TAINT_EFFECTS);
    }
}

fn node_affinity(affinity: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    if let Some(selector) = get(affinity, required) {
        node_selector(selector, &path.child(required), out);
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (at, term) in items(affinity, preferred).iter().enumerate() {
        let here = path.child(preferred).index(at);
        weight(term, &here, out);
        if let Some(preference) = get(term, "preference") {
            node_selector_term(preference, &here.child("preference"), out);
        }
    }
}

/// Terms of which one must hold.
pub(in super::super) fn node_selector(selector: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let here = path.child("nodeSelectorTerms");
    let terms = items(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        let why = "must have at least one node selector term";
        out.push(FieldError::required(&here, why));
    }
    for (at, term) in terms.iter().enumerate() {
        node_selector_term(term, &here.index(at), out);
    }
}

fn node_selector_term(term: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for (list, by_field) in [("matchExpressions", false), ("matchFields", true)] {
        for (at, requirement) in items(term, list).iter().enumerate() {
            let here = path.child(list).index(at);
            let values = items(requirement, "values").len();
            let at_values = here.child("values");
            match text(requirement, "operator") {
                "In" | "NotIn" if by_field => {
                    if values != 1 {
                        let why = "must be only one value when `operator` is 'In' or 'NotIn' for \
                                   node field selector";
                        out.push(FieldError::required(at_values, why));
                    }
                }
                "In" | "NotIn" => {
                    if values == 0 {
                        let why = "must be specified when `operator` is 'In' or 'NotIn'";
                        out.push(FieldError::required(at_values, why));
                    }
                }
                "Exists" | "DoesNotExist" if !by_field => {
                    if values > 0 {
                        let why = "may not be specified when `operator` is 'Exists' or \
                                   'DoesNotExist'";
                        out.push(FieldError::forbidden(at_values, why));
                    }
                }
                "Gt" | "Lt" if !by_field => {
                    if values != 1 {
                        let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                        out.push(FieldError::required(at_values, why));
                    }
                }
                other => {
                    let why = "not a valid selector operator";
                    out.push(FieldError::invalid(here.child("operator"), other, why));
                }
            }
            let key = text(requirement, "key");
            if !by_field {
                invalid(out, &here.child("key"), key, names::qualified_name(key));
            } else if key != "metadata.name" {
                let why = "not a valid field selector key";
                out.push(FieldError::invalid(here.child("key"), key, why));
            }
        }
    }
}

fn pod_affinity(affinity: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    for (at, term) in items(affinity, required).iter().enumerate() {
        pod_affinity_term(term, &path.child(required).index(at), out);
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (at, weighted) in items(affinity, preferred).iter().enumerate() {
        let here = path.child(preferred).index(at);
        weight(weighted, &here, out);
        if let Some(term) = get(weighted, "podAffinityTerm") {
            pod_affinity_term(term, &here.child("podAffinityTerm"), out);
        }
    }
}

fn pod_affinity_term(term: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = get(term, field) {
            label_selector(selector, &path.child(field), out);
        }
    }
    for namespace in items(term, "namespaces") {
        let namespace = namespace.as_str().unwrap_or("");
        invalid(
            out,
            &path.child("namespaces"),
            namespace,
            names::dns1123_label(namespace),
        );
    }
    if is_empty(term, "topologyKey") {
        out.push(FieldError::required(
            path.child("topologyKey"),
            "can not be empty",
        ));
    }
    let key = text(term, "topologyKey");
    invalid(
        out,
        &path.child("topologyKey"),
        key,
        names::qualified_name(key),
    );
}

fn weight(term: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(WEIGHTS.0..=WEIGHTS.1).contains(&weight) {
        let why = "must be in the range 1-100";
        out.push(FieldError::invalid(path.child("weight"), weight, why));
    }
}

fn spread(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (at, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let here = path.index(at);
        let skew = int(constraint, "maxSkew").unwrap_or(0);
        if skew <= 0 {
            let why = "must be greater than zero";
            out.push(FieldError::invalid(here.child("maxSkew"), skew, why));
        }
        required_text(out, constraint, &here, "topologyKey", names::qualified_name);
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        required_choice(out, constraint, &here, "whenUnsatisfiable", &actions);
        let (key, action) = (
            text(constraint, "topologyKey"),
            text(constraint, "whenUnsatisfiable"),
        );
        if !seen.insert((key, action)) {
            let pair = format!("{{{key}, {action}}}");
            let at = here.child("{topologyKey, whenUnsatisfiable}");
            out.push(FieldError::duplicate(at, pair));
        }
        if let Some(domains) = int(constraint, "minDomains") {
            if domains <= 0 {
                let why = "must be greater than zero";
                out.push(FieldError::invalid(here.child("minDomains"), domains, why));
            } else if action != "DoNotSchedule" {
                let why = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                out.push(FieldError::invalid(here.child("minDomains"), domains, why));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_choice(out, constraint, &here, policy, &["Honor", "Ignore"]);
        }
        if let Some(selector) = get(constraint, "labelSelector") {
            label_selector(selector, &here.child("labelSelector"), out);
        }
    }
}
