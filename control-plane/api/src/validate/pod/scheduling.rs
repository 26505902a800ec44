//! Where a pod may run: tolerations and spread constraints.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::super::node::TAINT_EFFECTS;
use super::super::path::{Path, choice_or_empty, invalid, optional_choice};
use super::super::selector::label_selector;

pub(in super::super) fn tolerations(spec: &Value, path: &Path, out: &mut Errors) {
    for (at, toleration) in items(spec, "tolerations").iter().enumerate() {
        let here = path.index(at);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        let at_operator = here.child("operator");
        if !key.is_empty() {
            invalid(out, &here.child("key"), key, names::qualified_name(key));
        } else if operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all \
                       values and all keys\"";
            out.push(|| FieldError::invalid(&at_operator, operator, why));
        }
        if int(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            out.push(|| FieldError::invalid(here.child("effect"), effect, why));
        }
        let known = ["Equal", "Exists", "Lt", "Gt"];
        match operator {
            "" | "Equal" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    let why = wrong.join(";");
                    out.push(|| FieldError::invalid(at_operator, value, why));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                out.push(|| FieldError::invalid(at_operator, value, why));
            }
            "Exists" => {}
            // Comparisons have names already, behind a feature that is off.
            "Lt" | "Gt" => out.push(|| FieldError::not_supported(at_operator, operator, &known)),
            _ => {
                let known = &known[..2];
                out.push(|| FieldError::not_supported(at_operator, operator, known));
            }
        }
        choice_or_empty(out, toleration, &here, "effect", &TAINT_EFFECTS);
    }
}

pub(super) fn spread(spec: &Value, path: &Path, out: &mut Errors) {
    let all = items(spec, "topologySpreadConstraints");
    let pair = |one| (text(one, "topologyKey"), text(one, "whenUnsatisfiable"));
    // How many of each are yet to come.
    let mut left: HashMap<_, usize> = HashMap::new();
    for constraint in all {
        *left.entry(pair(constraint)).or_default() += 1;
    }
    for (at, constraint) in all.iter().enumerate() {
        let here = path.index(at);
        let (key, action) = pair(constraint);
        positive(
            int(constraint, "maxSkew").unwrap_or(0),
            &here.child("maxSkew"),
            out,
        );
        if key.is_empty() {
            let here = here.child("topologyKey");
            out.push(|| FieldError::required(here, "can not be empty"));
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        if !actions.contains(&action) {
            let here = here.child("whenUnsatisfiable");
            out.push(|| FieldError::not_supported(here, action, &actions));
        }
        let left = left.entry((key, action)).or_default();
        *left -= 1;
        if *left > 0 {
            let shown = format!("{{{key}, {action}}}");
            let here = here.child("{topologyKey, whenUnsatisfiable}");
            out.push(|| FieldError::duplicate(here, shown));
        }
        if let Some(domains) = int(constraint, "minDomains") {
            let here = here.child("minDomains");
            positive(domains, &here, out);
            if action != "DoNotSchedule" {
                let why = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                out.push(|| FieldError::invalid(here, domains, why));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_choice(out, constraint, &here, policy, &["Honor", "Ignore"]);
        }
        label_keys(constraint, &here, out);
        if let Some(selector) = get(constraint, "labelSelector") {
            label_selector(selector, &here.child("labelSelector"), out);
        }
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys`, which have become part of the selector by now.
pub(super) fn label_keys(term: &Value, path: &Path, out: &mut Errors) {
    let selector = get(term, "labelSelector");
    let keys = |field| {
        items(term, field)
            .iter()
            .map(|key| key.as_str().unwrap_or(""))
    };
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let here = path.child(field);
        if !is_empty(term, field) && selector.is_none() {
            let why = "must not be specified when labelSelector is not set";
            out.push(|| FieldError::forbidden(here, why));
            continue;
        }
        for (at, key) in keys(field).enumerate() {
            invalid(out, &here.index(at), key, names::qualified_name(key));
        }
    }
    if let Some(selector) = selector {
        let places: HashMap<&str, usize> = keys("matchLabelKeys")
            .enumerate()
            .map(|(at, key)| (key, at))
            .collect();
        let labels = entries(selector, "matchLabels").map(|(key, _)| key);
        let mut selected: HashSet<&str> = labels.collect();
        for expression in items(selector, "matchExpressions") {
            let key = text(expression, "key");
            let again = !selected.insert(key);
            if let Some(at) = places.get(key).filter(|_| again) {
                let why = "exists in both matchLabelKeys and labelSelector";
                out.push(|| FieldError::invalid(path.index(*at), key, why));
            }
        }
    }
    let mismatched: HashSet<&str> = keys("mismatchLabelKeys").collect();
    for (at, key) in keys("matchLabelKeys").enumerate() {
        if mismatched.contains(key) {
            let why = "exists in both matchLabelKeys and mismatchLabelKeys";
            let here = path.child("matchLabelKeys").index(at);
            out.push(|| FieldError::invalid(here, key, why));
        }
    }
}

fn positive(number: i64, path: &Path, out: &mut Errors) {
    if number <= 0 {
        let why = "must be greater than zero";
        out.push(|| FieldError::invalid(path, number, why));
    }
}
