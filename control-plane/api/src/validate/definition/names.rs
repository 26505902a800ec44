//! The names of a definition.

use serde_json::Value;

use super::mixed_case;
use crate::names::dns1035_label;
use crate::object::{items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

/// Names a definition cannot do without.
pub(super) fn required(spec: &Value, path: &Path, out: &mut Errors) {
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(spec, &format!("names.{field}")).is_empty() {
            out.push(|| FieldError::required(path.child(field), ""));
        }
    }
}

/// The grammar of the names a definition asks for.
pub(super) fn check_spec(spec: &Value, path: &Path, out: &mut Errors) {
    grammar(spec.get("names").unwrap_or(&Value::Null), path, out);
}

/// The grammar of the names a definition was given.
pub(super) fn check(definition: &Value, path: &Path, out: &mut Errors) {
    let names = definition.pointer("/status/acceptedNames");
    grammar(names.unwrap_or(&Value::Null), path, out);
}

fn grammar(names: &Value, path: &Path, out: &mut Errors) {
    let label = |name: &str| {
        let wrong = dns1035_label(name);
        (!wrong.is_empty()).then(|| wrong.join(","))
    };
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = text(names, field);
        let wrong = match field {
            _ if name.is_empty() => None,
            "plural" | "singular" => label(name),
            _ => mixed_case(name),
        };
        if let Some(why) = wrong {
            out.push(|| FieldError::invalid(path.child(field), name, why));
        }
    }
    for list in ["shortNames", "categories"] {
        for (at, name) in items(names, list).iter().enumerate() {
            let name = name.as_str().unwrap_or("");
            if let Some(why) = label(name) {
                let path = path.child(list).index(at);
                out.push(|| FieldError::invalid(path, name, why));
            }
        }
    }
    let kind = text(names, "kind");
    if !kind.is_empty() && kind == text(names, "listKind") {
        let why = "kind and listKind may not be the same";
        out.push(|| FieldError::invalid(path.child("listKind"), kind, why));
    }
}
