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
        let values = here.child("values");
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
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                out.push(|| FieldError::invalid(here.child("operator"), other, why));
            }
        }
        let key = text(requirement, "key");
        invalid(out, &here.child("key"), key, names::qualified_name(key));
        for (at, value) in items(requirement, "values").iter().enumerate() {
            let value = value.as_str().unwrap_or("");
            invalid(out, &values.index(at), value, names::label_value(value));
        }
    }
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
