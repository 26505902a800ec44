//! Environment variables and where their values come from.

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, text};
use crate::status::FieldError;

use super::super::path::{Path, invalid, optional_text, required_text};
use super::container::inner_path;
use super::volume::Volumes;

const SOURCES: [&str; 5] = [
    "fieldRef",
    "resourceFieldRef",
    "configMapKeyRef",
    "secretKeyRef",
    "fileKeyRef",
];
/// Fields of the pod that a variable may show.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Resources of a container that a variable or file may show.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const TOO_MANY: &str = "may not have more than one field specified at a time";

pub(super) fn all(
    container: &Value,
    path: &Path,
    volumes: &Volumes<'_>,
    out: &mut Vec<FieldError>,
) {
    for (at, variable) in items(container, "env").iter().enumerate() {
        let here = path.child("env").index(at);
        required_text(out, variable, &here, "name", names::env_var_name);
        if let Some(from) = get(variable, "valueFrom") {
            let here = here.child("valueFrom");
            if !is_empty(variable, "value") {
                let why = "may not be specified when `value` is not empty";
                out.push(FieldError::invalid(&here, "", why));
            }
            source(from, &here, volumes, out);
        }
    }
    for (at, from) in items(container, "envFrom").iter().enumerate() {
        let here = path.child("envFrom").index(at);
        optional_text(out, from, &here, "prefix", names::env_var_name);
        let given = ["configMapRef", "secretRef"].map(|field| get(from, field).is_some());
        match given {
            [false, false] => {
                let why = "must specify one of: `configMapRef` or `secretRef`";
                out.push(FieldError::invalid(&here, "", why));
            }
            [true, true] => out.push(FieldError::invalid(&here, "", TOO_MANY)),
            _ => {}
        }
        for field in ["configMapRef", "secretRef"] {
            if let Some(reference) = get(from, field) {
                let here = here.child(field);
                required_text(out, reference, &here, "name", names::dns1123_subdomain);
            }
        }
    }
}

/// A field of the pod, shown in a variable or a file.
pub(super) fn field_ref(
    reference: &Value,
    path: &Path,
    allowed: &[&str],
    out: &mut Vec<FieldError>,
) {
    if text(reference, "apiVersion").is_empty() {
        out.push(FieldError::required(path.child("apiVersion"), ""));
        return;
    }
    let at = path.child("fieldPath");
    let field = text(reference, "fieldPath");
    if field.is_empty() {
        out.push(FieldError::required(at, ""));
        return;
    }
    if let Some((base, rest)) = field.split_once("['") {
        let key = rest.strip_suffix("']").unwrap_or("");
        match base {
            "metadata.labels" => invalid(out, &at, key, names::qualified_name(key)),
            "metadata.annotations" => {
                invalid(
                    out,
                    &at,
                    key,
                    names::qualified_name(&key.to_ascii_lowercase()),
                );
            }
            _ => {
                let why = "does not support subscript";
                out.push(FieldError::invalid(at, field, why));
            }
        }
        return;
    }
    if allowed.contains(&field) {
        return;
    }
    if FIELDS.contains(&field) || matches!(field, "metadata.labels" | "metadata.annotations") {
        out.push(FieldError::not_supported(at, field, allowed));
    } else {
        let why = format!("error converting fieldPath: field label not supported: {field}");
        out.push(FieldError::invalid(at, field, why));
    }
}

/// A resource of a container, shown in a variable or a file.
pub(super) fn resource_ref(reference: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let at = path.child("resource");
    match text(reference, "resource") {
        "" => out.push(FieldError::required(at, "")),
        name => {
            let huge = name
                .split_once('.')
                .is_some_and(|(_, rest)| rest.starts_with("hugepages-"));
            if !RESOURCES.contains(&name) && !huge {
                out.push(FieldError::not_supported(at, name, &RESOURCES));
            }
        }
    }
}

fn source(from: &Value, path: &Path, volumes: &Volumes<'_>, out: &mut Vec<FieldError>) {
    let given: Vec<&str> = SOURCES
        .into_iter()
        .filter(|field| get(from, field).is_some())
        .collect();
    match given.len() {
        0 => {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or \
                       `secretKeyRef`";
            out.push(FieldError::invalid(path, "", why));
        }
        1 => {}
        _ => out.push(FieldError::invalid(path, "", TOO_MANY)),
    }
    for field in given {
        let (here, reference) = (path.child(field), get(from, field).unwrap_or(&Value::Null));
        match field {
            "fieldRef" => field_ref(reference, &here, &FIELDS, out),
            "resourceFieldRef" => resource_ref(reference, &here, out),
            "fileKeyRef" => {
                required_text(out, reference, &here, "key", names::env_var_name);
                required_text(out, reference, &here, "path", inner_path);
                let volume = text(reference, "volumeName");
                if !volumes.contains(volume) {
                    out.push(FieldError::not_found(here.child("volumeName"), volume));
                }
            }
            _ => {
                required_text(out, reference, &here, "name", names::dns1123_subdomain);
                required_text(out, reference, &here, "key", names::config_map_key);
            }
        }
    }
}
