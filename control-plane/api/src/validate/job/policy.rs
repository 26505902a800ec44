//! Which ends of pods count, and what they mean for the Job.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, int, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, not_negative};
use super::{indexed, indexes};

const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_CONDITIONS: usize = 20;
const MAX_INDEX_BYTES: usize = 64 * 1024;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

pub(super) fn failure(policy: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("rules");
    let rules = items(policy, "rules");
    if rules.len() > MAX_RULES {
        out.push(|| FieldError::too_many(&here, rules.len(), MAX_RULES));
    }
    let lists = ["template.spec.containers", "template.spec.initContainers"];
    let containers = lists.iter().flat_map(|list| items(spec, list));
    let containers: HashSet<&str> = containers.map(|one| text(one, "name")).collect();
    for (at, rule) in rules.iter().enumerate() {
        let here = here.index(at);
        action(rule, spec, &here.child("action"), out);
        let (codes, conditions) = (get(rule, "onExitCodes"), items(rule, "onPodConditions"));
        if let Some(codes) = codes {
            exit_codes(codes, &containers, &here.child("onExitCodes"), out);
        }
        pod_conditions(conditions, &here.child("onPodConditions"), out);
        let why = match (codes.is_some(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        out.push(|| FieldError::invalid(here, Value::Null, why).unshown());
    }
}

fn action(rule: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    match text(rule, "action") {
        "" => out.push(|| FieldError::required(path, valid_values(&ACTIONS))),
        "FailIndex" if get(spec, "backoffLimitPerIndex").is_none() => {
            let why = "requires the backoffLimitPerIndex to be set";
            out.push(|| FieldError::invalid(path, "FailIndex", why));
        }
        action if ACTIONS.contains(&action) => {}
        action => out.push(|| FieldError::not_supported(path, action, &ACTIONS)),
    }
}

fn valid_values(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

fn pod_conditions(patterns: &[Value], path: &Path, out: &mut Errors) {
    if patterns.len() > MAX_CONDITIONS {
        out.push(|| FieldError::too_many(path, patterns.len(), MAX_CONDITIONS));
    }
    for (at, pattern) in patterns.iter().enumerate() {
        let here = path.index(at);
        let kind = text(pattern, "type");
        invalid(out, &here.child("type"), kind, names::qualified_name(kind));
        match text(pattern, "status") {
            "" => {
                let why = valid_values(&STATUSES);
                out.push(|| FieldError::required(here.child("status"), why));
            }
            status if STATUSES.contains(&status) => {}
            status => {
                let at = here.child("status");
                out.push(|| FieldError::not_supported(at, status, &STATUSES));
            }
        }
    }
}

fn exit_codes(codes: &Value, containers: &HashSet<&str>, path: &Path, out: &mut Errors) {
    let operators = ["In", "NotIn"];
    let operator = text(codes, "operator");
    match operator {
        "" => {
            let why = valid_values(&operators);
            out.push(|| FieldError::required(path.child("operator"), why));
        }
        "In" | "NotIn" => {}
        other => {
            let at = path.child("operator");
            out.push(|| FieldError::not_supported(at, other, &operators));
        }
    }
    if let Some(name) = get(codes, "containerName").and_then(Value::as_str)
        && !containers.contains(name)
    {
        let why = "must be one of the container or initContainer names in the pod template";
        out.push(|| FieldError::invalid(path.child("containerName"), name, why));
    }
    let here = path.child("values");
    let values = items(codes, "values");
    if values.is_empty() {
        let why = "at least one value is required";
        out.push(|| FieldError::invalid(&here, values, why));
    } else if values.len() > MAX_EXIT_CODES {
        out.push(|| FieldError::too_many(&here, values.len(), MAX_EXIT_CODES));
    }
    let mut seen = HashSet::new();
    for (at, value) in values.iter().enumerate() {
        let code = value.as_i64().unwrap_or(0);
        if operator == "In" && code == 0 {
            let why = "must not be 0 for the In operator";
            out.push(|| FieldError::invalid(here.index(at), code, why));
        }
        if !seen.insert(code) {
            out.push(|| FieldError::duplicate(here.index(at), code));
        }
    }
    if !values.is_sorted_by_key(|value| value.as_i64()) {
        out.push(|| FieldError::invalid(here, values, "must be ordered"));
    }
}

pub(super) fn success(policy: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    if !indexed(spec) {
        let why = "requires indexed completion mode";
        out.push(|| FieldError::invalid(path, policy, why));
        return;
    }
    let here = path.child("rules");
    let rules = items(policy, "rules");
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        out.push(|| FieldError::required(&here, why));
    }
    if rules.len() > MAX_RULES {
        out.push(|| FieldError::too_many(&here, rules.len(), MAX_RULES));
    }
    let completions = int(spec, "completions").unwrap_or(0);
    for (at, rule) in rules.iter().enumerate() {
        success_rule(rule, completions, &here.index(at), out);
    }
}

fn success_rule(rule: &Value, completions: i64, path: &Path, out: &mut Errors) {
    let named = get(rule, "succeededIndexes").and_then(Value::as_str);
    let count = int(rule, "succeededCount");
    if named.is_none() && count.is_none() {
        let why = "at least one of succeededCount or succeededIndexes must be specified";
        out.push(|| FieldError::required(path, why));
    }
    let mut total = None;
    if let Some(text) = named {
        let at = path.child("succeededIndexes");
        if text.len() > MAX_INDEX_BYTES {
            out.push(|| FieldError::too_long(&at, MAX_INDEX_BYTES));
        }
        match indexes::count(text, completions) {
            Ok(number) => total = Some(number),
            Err(why) => {
                let why = format!("error parsing succeededIndexes: {why}");
                out.push(|| FieldError::invalid(at, text, why));
                total = Some(0);
            }
        }
    }
    let Some(count) = count else {
        return;
    };
    not_negative(out, rule, path, "succeededCount");
    let limits = [
        (Some(completions), "the number of specified completions"),
        (
            total,
            "the number of indexes in the specified succeededIndexes field",
        ),
    ];
    for (limit, what) in limits {
        if let Some(limit) = limit.filter(|limit| count > *limit) {
            let why = format!("must be less than or equal to {limit} ({what})");
            out.push(|| FieldError::invalid(path.child("succeededCount"), count, why));
        }
    }
}

/// When a pod that is going gets its successor.
pub(super) fn replacement(spec: &Value, path: &Path, out: &mut Errors) {
    if get(spec, "podReplacementPolicy").is_none() {
        return;
    }
    let supported: &[&str] = if get(spec, "podFailurePolicy").is_some() {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    let policy = text(spec, "podReplacementPolicy");
    if !supported.contains(&policy) {
        let at = path.child("podReplacementPolicy");
        out.push(|| FieldError::not_supported(at, policy, supported));
    }
}
