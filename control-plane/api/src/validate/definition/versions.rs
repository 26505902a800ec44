//! The versions of a definition: each on its own, and all together.

use std::collections::HashSet;

use serde_json::Value;

use super::schema;
use crate::names::dns1035_label;
use crate::object::{flag, get, items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

/// Most fields of a version that selectors may name.
const MAX_SELECTABLE: usize = 8;

/// Most steps of a path: what objects nest, less the list or map around them.
const MAX_STEPS: usize = 100;

/// Types and formats a printer column can have.
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];

pub(super) fn check(definition: &Value, out: &mut Errors) {
    let spec = Path::new("spec");
    let path = spec.child("versions");
    let versions = items(definition, "spec.versions");
    for (at, version) in versions.iter().enumerate() {
        if get(version, "schema.openAPIV3Schema").is_none() {
            let path = path.index(at).child("schema").child("openAPIV3Schema");
            out.push(|| FieldError::required(path, ""));
        }
    }
    for (at, version) in versions.iter().enumerate() {
        let name = text(version, "name");
        let wrong = dns1035_label(name);
        if !wrong.is_empty() {
            let path = path.index(at).child("name");
            out.push(|| FieldError::invalid(path, name, wrong.join(",")));
        }
        deprecation(version, &path.index(at), out);
    }
    parts(versions, &spec, out);
    let mut names = HashSet::new();
    if !versions
        .iter()
        .all(|version| names.insert(text(version, "name")))
    {
        let why = "must contain unique version names";
        out.push(|| FieldError::invalid(&path, shown(versions), why));
    }
    if versions.iter().filter(|it| flag(it, "storage")).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        out.push(|| FieldError::invalid(&path, shown(versions), why));
    }
}

/// The versions by name: whole ones would make an answer of megabytes.
fn shown(versions: &[Value]) -> Value {
    versions.iter().map(|it| text(it, "name")).collect()
}

/// Schemas, subresources, columns and selectable fields: at the top, where all versions agree.
fn parts(versions: &[Value], spec: &Path, out: &mut Errors) {
    let alike = |field: &str| {
        let first = versions.first().and_then(|version| get(version, field));
        versions.iter().all(|version| get(version, field) == first)
    };
    let places = |field: &str, top: &str| -> Vec<(usize, Path)> {
        if alike(field) {
            return vec![(0, spec.child(top))];
        }
        let each =
            (0..versions.len()).map(|at| (at, spec.child("versions").index(at).child(field)));
        each.collect()
    };
    let status = |version: &Value| get(version, "subresources.status").is_some();
    let one_schema = alike("schema");
    for (at, path) in places("schema", "validation") {
        if let Some(found) = versions
            .get(at)
            .and_then(|it| get(it, "schema.openAPIV3Schema"))
        {
            let with_status = match one_schema {
                true => versions.iter().any(status),
                false => status(&versions[at]),
            };
            let path = path.child("openAPIV3Schema");
            if with_status {
                schema::beside_status(found, &path, out);
            }
            schema::check(found, &path, out);
        }
    }
    for (at, path) in places("subresources", "subresources") {
        if let Some(scale) = versions
            .get(at)
            .and_then(|it| get(it, "subresources.scale"))
        {
            self::scale(scale, &path, out);
        }
    }
    for (at, path) in places("additionalPrinterColumns", "additionalPrinterColumns") {
        let columns = versions
            .get(at)
            .map_or(&[][..], |it| items(it, "additionalPrinterColumns"));
        for (index, column) in columns.iter().enumerate() {
            self::column(column, &path.index(index), out);
        }
    }
    for (at, path) in places("selectableFields", "selectableFields") {
        if let Some(version) = versions.get(at) {
            selectable(version, &path, out);
        }
    }
}

fn deprecation(version: &Value, path: &Path, out: &mut Errors) {
    const MAX: usize = 256;
    let Some(warning) = get(version, "deprecationWarning").and_then(Value::as_str) else {
        return;
    };
    let mut refuse = |why: &str| {
        let path = path.child("deprecationWarning");
        out.push(|| FieldError::invalid(path, warning, why));
    };
    if !flag(version, "deprecated") {
        return refuse("can only be set for deprecated versions");
    }
    if warning.len() > MAX {
        refuse("must be <= 256 characters long");
    }
    if warning.is_empty() {
        refuse("must not be an empty string");
    }
    if let Some((at, _)) = warning.char_indices().find(|(_, c)| c.is_control()) {
        refuse(&format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        ));
    }
}

/// A path of more steps than objects may nest leads nowhere, and a scale would be written that deep.
fn simple_path(text: &str) -> Option<&'static str> {
    match text.chars().next() {
        None => Some("must not be empty"),
        Some('.') if text.split('.').nth(MAX_STEPS + 1).is_some() => {
            Some("must be a simple json path of at most 100 steps")
        }
        Some('.') => None,
        Some(_) => Some("must be a simple json path starting with ."),
    }
}

fn scale(scale: &Value, path: &Path, out: &mut Errors) {
    let path = path.child("scale");
    let mut below = |field: &str, roots: &[&str], words: &str, required: bool| {
        let found = text(scale, field);
        let at = path.child(field);
        if found.is_empty() {
            if required {
                out.push(|| FieldError::required(at, ""));
            }
            return;
        }
        if let Some(why) = simple_path(found) {
            out.push(|| FieldError::invalid(at, found, why));
        } else if !roots.iter().any(|root| found.starts_with(root)) {
            let why = format!("should be a json path under {words}");
            out.push(|| FieldError::invalid(at, found, why));
        }
    };
    below("specReplicasPath", &[".spec."], ".spec", true);
    below("statusReplicasPath", &[".status."], ".status", true);
    let both = &[".spec.", ".status."];
    below("labelSelectorPath", both, "either .spec or .status", false);
}

fn column(column: &Value, path: &Path, out: &mut Errors) {
    if text(column, "name").is_empty() {
        out.push(|| FieldError::required(path.child("name"), ""));
    }
    let one_of = |known: &[&str]| format!("must be one of {}", known.join(","));
    match text(column, "type") {
        "" => {
            let why = one_of(&COLUMN_TYPES);
            out.push(|| FieldError::required(path.child("type"), why));
        }
        kind if !COLUMN_TYPES.contains(&kind) => {
            let why = one_of(&COLUMN_TYPES);
            out.push(|| FieldError::invalid(path.child("type"), kind, why));
        }
        _ => {}
    }
    let format = text(column, "format");
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        let why = one_of(&COLUMN_FORMATS);
        out.push(|| FieldError::invalid(path.child("format"), format, why));
    }
    match text(column, "jsonPath") {
        "" => out.push(|| FieldError::required(path.child("JSONPath"), "")),
        found => {
            if let Some(why) = simple_path(found) {
                let path = path.child("JSONPath");
                out.push(|| FieldError::invalid(path, found, why));
            }
        }
    }
}

fn selectable(version: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, field) in items(version, "selectableFields").iter().enumerate() {
        let found = text(field, "jsonPath");
        let path = path.index(at).child("jsonPath");
        if found.is_empty() {
            out.push(|| FieldError::required(path, ""));
            continue;
        }
        let schema = get(version, "schema.openAPIV3Schema").unwrap_or(&Value::Null);
        let node = match schema::field(schema, found) {
            Ok(node) => node,
            Err(error) => {
                let why = format!("is an invalid path: {error}");
                out.push(|| FieldError::invalid(path, found, why));
                continue;
            }
        };
        if found == ".metadata" || found.starts_with(".metadata.") {
            let why = "must not point to fields in metadata";
            out.push(|| FieldError::invalid(&path, found, why));
        }
        if !matches!(text(node, "type"), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string \
                       fields and strings with formats are allowed.";
            out.push(|| FieldError::invalid(&path, found, why));
        }
        if !seen.insert(found) {
            out.push(|| FieldError::duplicate(path, found));
        }
    }
    if seen.len() > MAX_SELECTABLE {
        out.push(|| FieldError::too_many(path, seen.len(), MAX_SELECTABLE));
    }
}
