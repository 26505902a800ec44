//! When containers start again: policies, rules about exit codes, and resizes.

use std::collections::HashSet;

use serde_json::Value;

use crate::object::{get, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, optional_choice};
use super::Context;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;

/// `restartPolicy` and `restartPolicyRules` of a container.
pub(super) fn policy(container: &Value, path: &Path, out: &mut Errors) {
    let rules = items(container, "restartPolicyRules");
    if get(container, "restartPolicy").is_none() {
        if !rules.is_empty() {
            let why = "must specify restartPolicy when restart rules are used";
            out.push(|| FieldError::required(path.child("restartPolicy"), why));
        }
    } else {
        optional_choice(out, container, path, "restartPolicy", &POLICIES);
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > MAX_RULES {
        out.push(|| FieldError::too_many(&path, rules.len(), MAX_RULES));
    }
    for (at, rule) in rules.iter().enumerate() {
        rule_of(rule, &path.index(at), out);
    }
}

fn rule_of(rule: &Value, path: &Path, out: &mut Errors) {
    const ACTIONS: [&str; 2] = ["Restart", "RestartAllContainers"];
    let action = text(rule, "action");
    if !ACTIONS.contains(&action) {
        let here = path.child("action");
        out.push(|| FieldError::not_supported(here, action, &ACTIONS));
    }
    let here = path.child("exitCodes");
    let Some(codes) = get(rule, "exitCodes") else {
        out.push(|| FieldError::required(here, "must be specified"));
        return;
    };
    let operator = text(codes, "operator");
    if !matches!(operator, "In" | "NotIn") {
        let here = here.child("operator");
        out.push(|| FieldError::not_supported(here, operator, &["In", "NotIn"]));
    }
    let values = items(codes, "values").len();
    if values > MAX_CODES {
        let here = here.child("values");
        out.push(|| FieldError::too_many(here, values, MAX_CODES));
    }
}

/// `resizePolicy`: whether more or less of a resource needs a new start.
pub(super) fn resize_policy(
    container: &Value,
    context: &Context<'_>,
    path: &Path,
    out: &mut Errors,
) {
    const CHOICES: [(&str, [&str; 2]); 2] = [
        ("resourceName", ["cpu", "memory"]),
        ("restartPolicy", ["NotRequired", "RestartContainer"]),
    ];
    let path = path.child("resizePolicy");
    let mut seen = HashSet::new();
    for (at, policy) in items(container, "resizePolicy").iter().enumerate() {
        let resource = text(policy, "resourceName");
        if !seen.insert(resource) {
            out.push(|| FieldError::duplicate(path.index(at), resource));
        }
        // The list as a whole is to blame, as upstream has it.
        for (field, known) in CHOICES {
            match text(policy, field) {
                "" => out.push(|| FieldError::required(&path, "")),
                found if known.contains(&found) => {}
                found => out.push(|| FieldError::not_supported(&path, found, &known)),
            }
        }
        let restart = text(policy, "restartPolicy");
        if text(context.spec, "restartPolicy") == "Never" && restart != "NotRequired" {
            let why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            out.push(|| FieldError::invalid(&path, restart, why));
        }
    }
}

/// What runs to its end before the pod starts is not started again for more memory.
pub(super) fn resize_of_init(container: &Value, path: &Path, out: &mut Errors) {
    for (at, policy) in items(container, "resizePolicy").iter().enumerate() {
        if text(policy, "restartPolicy") == "RestartContainer" {
            let why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            let here = path.child("resizePolicy").index(at).child("restartPolicy");
            out.push(|| FieldError::invalid(here, "RestartContainer", why));
        }
    }
}
