//! Devices that are in trouble, and who bears it.

use serde_json::Value;

use crate::names;
use crate::object::text;
use crate::status::{Errors, FieldError};

use super::super::path::{Path, choice_or_empty, invalid, optional_text, required_choice};

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

pub(super) fn taint(taint: &Value, path: &Path, out: &mut Errors) {
    let key = text(taint, "key");
    invalid(out, &path.child("key"), key, names::qualified_name(key));
    optional_text(out, taint, path, "value", names::label_value);
    required_choice(out, taint, path, "effect", &EFFECTS);
}

pub(super) fn toleration(toleration: &Value, path: &Path, out: &mut Errors) {
    optional_text(out, toleration, path, "key", names::qualified_name);
    let value = text(toleration, "value");
    match text(toleration, "operator") {
        "Exists" if !value.is_empty() => {
            let why = "must be empty for operator `Exists`";
            out.push(|| FieldError::invalid(path.child("value"), value, why));
        }
        "Exists" => {}
        "Equal" => optional_text(out, toleration, path, "value", names::label_value),
        "" => out.push(|| FieldError::required(path.child("operator"), "")),
        other => {
            let at = path.child("operator");
            out.push(|| FieldError::not_supported(at, other, &["Equal", "Exists"]));
        }
    }
    choice_or_empty(out, toleration, path, "effect", &EFFECTS);
}
