//! Admission policies and their bindings. Whether an expression compiles is for whoever evaluates
//! it.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{self, get, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::conditions;
use super::path::{Path, invalid, required_choice, required_text};
use super::selector::label_selector;
use super::webhook::{self, FAILURE_POLICIES, REINVOCATIONS, rule};

const MAX_AUDIT_ANNOTATIONS: usize = 20;
const MAX_AUDIT_EXPRESSION: usize = 5 * 1024;
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const NEITHER: &str = "validations or auditAnnotations must contain at least one item";
/// Words that the language keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

pub(super) fn create(kind: &str, value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    match kind {
        "ValidatingAdmissionPolicy" => {
            common(spec, &path, out);
            validations(value, spec, &path, out);
        }
        "MutatingAdmissionPolicy" => {
            common(spec, &path, out);
            let constraints = part(spec, "matchConstraints");
            rule::mutable(constraints, &path.child("matchConstraints"), out);
            mutations(spec, &path, out);
        }
        "ValidatingAdmissionPolicyBinding" => {
            binding(spec, &path, out);
            actions(spec, &path.child("validationActions"), out);
        }
        _ => {
            binding(spec, &path, out);
            let resources = part(spec, "matchResources");
            rule::mutable(resources, &path.child("matchResources"), out);
        }
    }
}

fn common(spec: &Value, path: &Path, out: &mut Errors) {
    required_choice(out, spec, path, "failurePolicy", &FAILURE_POLICIES);
    if let Some(kind) = get(spec, "paramKind") {
        param_kind(kind, &path.child("paramKind"), out);
    }
    let here = path.child("matchConstraints");
    match get(spec, "matchConstraints") {
        None => out.push(|| FieldError::required(here, "")),
        Some(constraints) => {
            rule::matching(constraints, &here, out);
            if is_empty(constraints, "resourceRules") {
                out.push(|| FieldError::required(here.child("resourceRules"), ""));
            }
        }
    }
    let here = path.child("matchConditions");
    webhook::conditions(items(spec, "matchConditions"), &here, out);
    for (at, variable) in items(spec, "variables").iter().enumerate() {
        let here = path.child("variables").index(at);
        let name = text(variable, "name");
        if name.trim().is_empty() {
            let why = "name is not specified";
            out.push(|| FieldError::required(here.child("name"), why));
        } else if !is_identifier(name) {
            let why = "must be a valid CEL identifier";
            out.push(|| FieldError::invalid(here.child("name"), name, why));
        }
        expression(variable, "expression", &here, out);
    }
}

fn expression(value: &Value, field: &str, path: &Path, out: &mut Errors) {
    if text(value, field).trim().is_empty() {
        let why = format!("{field} is not specified");
        out.push(|| FieldError::required(path.child(field), why));
    }
}

fn is_identifier(name: &str) -> bool {
    let start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let inner = |byte: u8| start(byte) || byte.is_ascii_digit();
    name.bytes().next().is_some_and(start) && name.bytes().all(inner) && !RESERVED.contains(&name)
}

fn param_kind(kind: &Value, path: &Path, out: &mut Errors) {
    let (at, version) = (path.child("apiVersion"), text(kind, "apiVersion"));
    let mut parts = version.split('/');
    match (parts.next().unwrap_or(""), parts.next(), parts.next()) {
        ("", None, _) => out.push(|| FieldError::required(at, "")),
        (_, _, Some(_)) => {
            let why = format!("unexpected GroupVersion string: {version}");
            out.push(|| FieldError::invalid(at, version, why));
        }
        (first, second, None) => {
            let (group, version) = second.map_or(("", first), |version| (first, version));
            let wrong = names::dns1123_subdomain(group);
            if !group.is_empty() && !wrong.is_empty() {
                out.push(|| FieldError::invalid(&at, group, wrong.join(",")));
            }
            let wrong = names::dns1035_label(version);
            if version.is_empty() {
                let why = "version must be specified";
                out.push(|| FieldError::invalid(at, text(kind, "apiVersion"), why));
            } else if !wrong.is_empty() {
                out.push(|| FieldError::invalid(at, version, wrong.join(",")));
            }
        }
    }
    let (at, name) = (path.child("kind"), text(kind, "kind"));
    let wrong = names::dns1035_label(&name.to_lowercase());
    if name.is_empty() {
        out.push(|| FieldError::required(at, ""));
    } else if !wrong.is_empty() {
        let why = format!(
            "may have mixed case, but should otherwise match: {}",
            wrong.join(",")
        );
        out.push(|| FieldError::invalid(at, name, why));
    }
}

fn validations(value: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    if is_empty(spec, "validations") && is_empty(spec, "auditAnnotations") {
        out.push(|| FieldError::required(path.child("validations"), NEITHER));
        out.push(|| FieldError::required(path.child("auditAnnotations"), NEITHER));
    }
    for (at, one) in items(spec, "validations").iter().enumerate() {
        let here = path.child("validations").index(at);
        expression(one, "expression", &here, out);
        for field in ["messageExpression", "message"] {
            let found = text(one, field);
            let why = match found.trim() {
                "" if !found.is_empty() => "must be non-empty if specified",
                text if field == "message" && text.contains(['\n', '\r']) => {
                    "must not contain line breaks"
                }
                _ => continue,
            };
            out.push(|| FieldError::invalid(here.child(field), found, why));
        }
        if let Some(reason) = get(one, "reason").and_then(Value::as_str)
            && !REASONS.contains(&reason)
        {
            let at = here.child("reason");
            out.push(|| FieldError::not_supported(at, reason, &REASONS));
        }
    }
    audit_annotations(value, spec, &path.child("auditAnnotations"), out);
}

fn audit_annotations(value: &Value, spec: &Value, path: &Path, out: &mut Errors) {
    let list = items(spec, "auditAnnotations");
    if list.len() > MAX_AUDIT_ANNOTATIONS {
        let why = format!("must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations");
        out.push(|| FieldError::invalid(path, list, why));
    }
    let mut seen = HashSet::new();
    for (at, one) in list.iter().enumerate() {
        // The policy's name is repeated for each, and may be of any length.
        if out.is_full() {
            return;
        }
        let (here, key) = (path.index(at), text(one, "key"));
        let full = format!("{}/{key}", object::name(value));
        let wrong = names::qualified_name(&full);
        invalid(out, &here.child("key"), full, wrong);
        if text(one, "valueExpression").trim().len() > MAX_AUDIT_EXPRESSION {
            let why = format!("must not exceed {MAX_AUDIT_EXPRESSION} bytes in length");
            out.push(|| FieldError::required(here.child("valueExpression"), why));
        }
        expression(one, "valueExpression", &here, out);
        if !seen.insert(key) {
            out.push(|| FieldError::duplicate(here.child("key"), key));
        }
    }
}

fn mutations(spec: &Value, path: &Path, out: &mut Errors) {
    let list = items(spec, "mutations");
    if list.is_empty() {
        let why = "mutations must contain at least one item";
        out.push(|| FieldError::required(path.child("mutations"), why));
    }
    for (at, one) in list.iter().enumerate() {
        let here = path.child("mutations").index(at);
        let kind = text(one, "patchType");
        let (wanted, other) = match kind {
            "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
            "JSONPatch" => ("jsonPatch", "applyConfiguration"),
            _ => {
                let known = ["ApplyConfiguration", "JSONPatch"];
                required_choice(out, one, &here, "patchType", &known);
                continue;
            }
        };
        let at = here.child(wanted);
        match get(one, wanted) {
            None => {
                let why = format!("must be specified when patchType is {kind}");
                out.push(|| FieldError::required(at, why));
            }
            Some(patch) if text(patch, "expression").trim().is_empty() => {
                out.push(|| FieldError::required(at.child("expression"), ""));
            }
            Some(_) => {}
        }
        if get(one, other).is_some() {
            let why = format!("must not be specified when patchType is {kind}");
            let shown = format!("{{{other}}}");
            out.push(|| FieldError::invalid(here.child(other), shown, why));
        }
    }
    required_choice(out, spec, path, "reinvocationPolicy", &REINVOCATIONS);
}

fn binding(spec: &Value, path: &Path, out: &mut Errors) {
    required_text(out, spec, path, "policyName", names::dns1123_subdomain);
    if let Some(reference) = get(spec, "paramRef") {
        param_ref(reference, &path.child("paramRef"), out);
    }
    if let Some(resources) = get(spec, "matchResources") {
        rule::matching(resources, &path.child("matchResources"), out);
    }
}

fn param_ref(reference: &Value, path: &Path, out: &mut Errors) {
    let (name, selector) = (text(reference, "name"), get(reference, "selector"));
    let both = "name and selector are mutually exclusive";
    if !name.is_empty() {
        invalid(out, &path.child("name"), name, names::path_segment(name));
        if selector.is_some() {
            out.push(|| FieldError::forbidden(path.child("name"), both));
        }
    }
    match selector {
        Some(selector) => {
            label_selector(selector, &path.child("selector"), out);
            if !name.is_empty() {
                out.push(|| FieldError::forbidden(path.child("selector"), both));
            }
        }
        None if name.is_empty() => {
            let why = "one of name or selector must be specified";
            out.push(|| FieldError::required(path, why));
        }
        None => {}
    }
    let known = ["Deny", "Allow"];
    required_choice(out, reference, path, "parameterNotFoundAction", &known);
}

fn actions(spec: &Value, path: &Path, out: &mut Errors) {
    let list = items(spec, "validationActions");
    let mut seen = HashSet::new();
    for (at, action) in list.iter().enumerate() {
        let (here, action) = (path.index(at), action.as_str().unwrap_or(""));
        if !ACTIONS.contains(&action) {
            out.push(|| FieldError::not_supported(&here, action, &ACTIONS));
        }
        if !seen.insert(action) {
            out.push(|| FieldError::duplicate(here, action));
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure \
                   information in the API response and headers serves no purpose)";
        out.push(|| FieldError::invalid(path, list, why));
    }
    if list.is_empty() {
        let why = "at least one validation action is required";
        out.push(|| FieldError::required(path, why));
    }
}

pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(value, "status"));
    let warnings = items(status, "typeChecking.expressionWarnings");
    for (at, warning) in warnings.iter().enumerate() {
        let here = path
            .child("typeChecking")
            .child("expressionWarnings")
            .index(at);
        for field in ["warning", "fieldRef"] {
            if text(warning, field).trim().is_empty() {
                out.push(|| FieldError::required(here.child(field), ""));
            }
        }
    }
    conditions::check(status, &path.child("conditions"), out);
}
