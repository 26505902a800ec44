//! Environment variables and where their values come from.

use std::collections::HashMap;

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, optional_text, required_text};
use super::super::volume_source::no_backsteps;
use super::{Context, containers};

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
/// Fields that can be asked for at all, besides [`FIELDS`].
const OTHER_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
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
/// Units that amounts of bytes can be shown in.
const BYTE_UNITS: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];
const TOO_MANY: &str = "may not have more than one field specified at a time";

pub(super) fn all(container: &Value, path: &Path, out: &mut Errors) {
    for (at, variable) in items(container, "env").iter().enumerate() {
        let here = path.child("env").index(at);
        required_text(out, variable, &here, "name", names::env_var_name);
        if let Some(from) = get(variable, "valueFrom") {
            let plain = !is_empty(variable, "value");
            source(from, plain, &here.child("valueFrom"), out);
        }
    }
    let path = path.child("envFrom");
    for (at, from) in items(container, "envFrom").iter().enumerate() {
        let here = path.index(at);
        optional_text(out, from, &here, "prefix", names::env_var_name);
        let mut given = 0;
        for field in ["configMapRef", "secretRef"] {
            if let Some(reference) = get(from, field) {
                given += 1;
                let here = here.child(field);
                required_text(out, reference, &here, "name", |name| {
                    names::as_prefix(name, names::dns1123_subdomain)
                });
            }
        }
        let why = match given {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => TOO_MANY,
        };
        out.push(|| FieldError::invalid(&path, "", why));
    }
}

fn source(from: &Value, plain: bool, path: &Path, out: &mut Errors) {
    let mut given = 0;
    for field in [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "fileKeyRef",
    ] {
        let Some(reference) = get(from, field) else {
            continue;
        };
        given += 1;
        let here = path.child(field);
        match field {
            "fieldRef" => field_ref(reference, &here, &FIELDS, out),
            "resourceFieldRef" => resource_ref(reference, &here, false, out),
            "fileKeyRef" => {
                required_text(out, reference, &here, "key", names::env_var_name);
                required_text(out, reference, &here, "volumeName", names::dns1123_label);
                required_text(out, reference, &here, "path", no_backsteps);
            }
            _ => {
                let name = text(reference, "name");
                let wrong = names::dns1123_subdomain(name);
                invalid(out, &here.child("name"), name, wrong);
                required_text(out, reference, &here, "key", names::config_map_key);
            }
        }
    }
    let why = match (given, plain) {
        (0, _) => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` \
             or `fileKeyRef`"
        }
        (_, true) => "may not be specified when `value` is not empty",
        (1, false) => return,
        (_, false) => TOO_MANY,
    };
    out.push(|| FieldError::invalid(path, "", why));
}

/// Files that variables come from lie in directories that the pod's containers share.
pub(super) fn files(context: &Context<'_>, path: &Path, out: &mut Errors) {
    // Of several volumes of one name the last counts.
    let volumes: HashMap<&str, &Value> = items(context.spec, "volumes")
        .iter()
        .map(|volume| (text(volume, "name"), volume))
        .collect();
    for (container, here) in containers(context.spec, path) {
        for (at, variable) in items(container, "env").iter().enumerate() {
            let Some(file) = get(variable, "valueFrom.fileKeyRef") else {
                continue;
            };
            let here = here.child("env").index(at).child("valueFrom");
            let here = here.child("fileKeyRef").child("volumeName");
            let name = text(file, "volumeName");
            match volumes.get(name) {
                None => out.push(|| FieldError::not_found(here, name)),
                Some(volume) if get(volume, "emptyDir").is_none() => {
                    let why = "referenced volume must be of type emptyDir";
                    out.push(|| FieldError::invalid(here, name, why));
                }
                Some(_) => {}
            }
        }
    }
}

/// A field of the pod, shown in a variable or a file.
pub(super) fn field_ref(reference: &Value, path: &Path, allowed: &[&str], out: &mut Errors) {
    for field in ["apiVersion", "fieldPath"] {
        if is_empty(reference, field) {
            out.push(|| FieldError::required(path.child(field), ""));
            return;
        }
    }
    let at = path.child("fieldPath");
    let field = text(reference, "fieldPath");
    let subscript = field
        .strip_suffix("']")
        .and_then(|rest| rest.split_once("['"));
    let version = text(reference, "apiVersion");
    let unknown = match (version, subscript) {
        ("v1", Some(("metadata.labels", key))) => {
            invalid(out, path, key, names::qualified_name(key));
            return;
        }
        ("v1", Some(("metadata.annotations", key))) => {
            let key = key.to_lowercase();
            invalid(out, path, key.as_str(), names::qualified_name(&key));
            return;
        }
        ("v1", Some(_)) => format!("field label does not support subscript: {field}"),
        ("v1", None) if allowed.contains(&field) => return,
        ("v1", None) if FIELDS.contains(&field) || OTHER_FIELDS.contains(&field) => {
            out.push(|| FieldError::not_supported(at, field, allowed));
            return;
        }
        ("v1", None) => format!("field label not supported: {field}"),
        _ => format!("unsupported pod version: {version}"),
    };
    let why = format!("error converting fieldPath: {unknown}");
    out.push(|| FieldError::invalid(at, field, why));
}

/// A resource of a container, shown in a variable or a file; files must say of which container.
pub(super) fn resource_ref(reference: &Value, path: &Path, of_volume: bool, out: &mut Errors) {
    let name = text(reference, "resource");
    let huge = ["requests.hugepages-", "limits.hugepages-"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    if of_volume && is_empty(reference, "containerName") {
        out.push(|| FieldError::required(path.child("containerName"), ""));
    } else if name.is_empty() {
        out.push(|| FieldError::required(path.child("resource"), ""));
    } else if !RESOURCES.contains(&name) && !huge {
        let here = path.child("resource");
        out.push(|| FieldError::not_supported(here, name, &RESOURCES));
    }
    let divisor = get(reference, "divisor").map(Quantity::from_value);
    let divisor = match divisor {
        None => return,
        Some(Err(error)) => {
            let here = path.child("divisor");
            out.push(|| FieldError::invalid(here, name, error.to_string()));
            return;
        }
        Some(Ok(divisor)) if divisor.is_zero() => return,
        Some(Ok(divisor)) => divisor.to_string(),
    };
    let bytes = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are";
    let (units, shown, noun): (&[&str], _, _) = match name.split_once('.') {
        Some((_, "cpu")) => (&["1m", "1"], "1m and 1 are", "cpu"),
        Some((_, "memory")) => (&BYTE_UNITS, bytes, "memory"),
        Some((_, "ephemeral-storage")) => (&BYTE_UNITS, bytes, "local ephemeral storage"),
        _ if huge => (&BYTE_UNITS, bytes, "hugepages"),
        _ => return,
    };
    if !units.contains(&divisor.as_str()) {
        let why = format!("only divisor's values {shown} supported with the {noun} resource");
        out.push(|| FieldError::invalid(path.child("divisor"), name, why));
    }
}
