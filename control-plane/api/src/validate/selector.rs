//! `LabelSelector` objects, and whether they select what they are meant to.

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, part, text};
use crate::selector::LabelSelector;
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid, labels};

/// A selector that may be absent.
pub(super) fn label_selector(selector: &Value, path: &Path, out: &mut Errors) {
    labels(out, selector, path, "matchLabels");
    for (at, requirement) in items(selector, "matchExpressions").iter().enumerate() {
        let here = path.child("matchExpressions").index(at);
        let known = ["In", "NotIn", "Exists", "DoesNotExist"];
        let operator = text(requirement, "operator");
        how_many(requirement, &here, out);
        if !known.contains(&operator) {
            let why = "not a valid selector operator";
            out.push(|| FieldError::invalid(here.child("operator"), operator, why));
        }
        label_names(requirement, &here, out);
    }
}

/// Operators ask for values or for none.
fn how_many(requirement: &Value, path: &Path, out: &mut Errors) {
    let values = path.child("values");
    let empty = is_empty(requirement, "values");
    match text(requirement, "operator") {
        "In" | "NotIn" if empty => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            out.push(|| FieldError::required(&values, why));
        }
        "Exists" | "DoesNotExist" if !empty => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            out.push(|| FieldError::forbidden(&values, why));
        }
        _ => {}
    }
}

fn label_names(requirement: &Value, path: &Path, out: &mut Errors) {
    let key = text(requirement, "key");
    invalid(out, &path.child("key"), key, names::qualified_name(key));
    for (at, value) in items(requirement, "values").iter().enumerate() {
        let (value, here) = (value.as_str().unwrap_or(""), path.child("values").index(at));
        invalid(out, &here, value, names::label_value(value));
    }
}

/// The requirements of a selector in an access review, `fieldSelector` or `labelSelector`. An operator nobody knows is
/// no error: whoever decides does not go by it.
pub fn review_requirements(selector: &Value, field: &str, path: &str) -> Vec<FieldError> {
    let mut out = Errors::new();
    for (at, requirement) in items(selector, "requirements").iter().enumerate() {
        let here = Path::new(path).index(at);
        how_many(requirement, &here, &mut out);
        if field == "labelSelector" {
            label_names(requirement, &here, &mut out);
        } else if is_empty(requirement, "key") {
            out.push(|| FieldError::required(here.child("key"), "must be specified"));
        }
    }
    out.into_list()
}

/// A selector that must be there and select something less than everything.
pub(super) fn required(spec: &Value, path: &Path, noun: &str, out: &mut Errors) {
    let here = path.child("selector");
    let Some(selector) = get(spec, "selector") else {
        out.push(|| FieldError::required(here, ""));
        return;
    };
    label_selector(selector, &here, out);
    not_empty(selector, &here, noun, out);
}

pub(super) fn not_empty(selector: &Value, path: &Path, noun: &str, out: &mut Errors) {
    if is_empty(selector, "matchLabels") && is_empty(selector, "matchExpressions") {
        let why = format!("empty selector is invalid for {noun}");
        out.push(|| FieldError::invalid(path, selector, why));
    }
}

/// What a controller makes from its template it must find again.
pub(super) fn matches_template(
    selector: &LabelSelector,
    template: &Value,
    path: &Path,
    out: &mut Errors,
) {
    let labels = part(template, "metadata.labels");
    if !selector.is_everything() && !selector.matches_labels(labels.as_object()) {
        let why = "`selector` does not match template `labels`";
        let at = path.child("metadata").child("labels");
        out.push(|| FieldError::invalid(at, labels, why));
    }
}
