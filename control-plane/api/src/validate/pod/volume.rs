//! Volumes.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, items, part, text};
use crate::status::FieldError;

use super::super::claim;
use super::super::path::{Path, anything, in_range, invalid, labels, quantity, required_text};
use super::super::volume_source::{common, driver_name};
use super::container::inner_path;
use super::env;

/// The names that mounts may refer to.
pub(super) type Volumes<'a> = HashSet<&'a str>;

const PROJECTIONS: [&str; 5] = [
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
];
/// What files of a downward volume may show.
const DOWNWARD_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
/// File permissions.
const MODES: (i64, i64) = (0, 0o777);
/// A token lives between ten minutes and what fits into 32 bits.
const TOKEN_SECONDS: (i64, i64) = (600, 1 << 32);

/// Every volume of the pod; returns their names.
pub(super) fn all<'a>(spec: &'a Value, path: &Path, out: &mut Vec<FieldError>) -> Volumes<'a> {
    let mut seen = Volumes::new();
    for (at, volume) in items(spec, "volumes").iter().enumerate() {
        let here = path.index(at);
        required_text(out, volume, &here, "name", names::dns1123_label);
        let name = text(volume, "name");
        if !seen.insert(name) && !name.is_empty() {
            out.push(FieldError::duplicate(here.child("name"), name));
        }
        sources(volume, &here, out);
    }
    seen
}

/// Exactly one source.
fn sources(volume: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let map = volume.as_object();
    let given = map
        .into_iter()
        .flatten()
        .filter(|(key, value)| *key != "name" && !value.is_null());
    let mut found = false;
    for (kind, source) in given {
        let here = path.child(kind);
        if found {
            let why = "may not specify more than 1 volume type";
            out.push(FieldError::forbidden(here, why));
            continue;
        }
        found = true;
        one_source(kind, source, &here, out);
    }
    if !found {
        out.push(FieldError::required(path, "must specify a volume type"));
    }
}

fn one_source(kind: &str, source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    match kind {
        "emptyDir" => {
            if let Some(limit) = get(source, "sizeLimit") {
                quantity(out, limit, &path.child("sizeLimit"));
            }
        }
        "configMap" => {
            required_text(out, source, path, "name", anything);
            files(source, path, out);
        }
        "secret" => {
            required_text(out, source, path, "secretName", anything);
            files(source, path, out);
        }
        "downwardAPI" => downward(source, path, out),
        "projected" => projected(source, path, out),
        "persistentVolumeClaim" => {
            required_text(out, source, path, "claimName", names::dns1123_subdomain);
        }
        "image" => required_text(out, source, path, "reference", anything),
        "csi" => csi(source, path, out),
        "ephemeral" => ephemeral(source, path, out),
        kind => common(kind, source, path, out),
    }
}

/// `defaultMode` and `items` of what projects keys as files.
fn files(source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    mode(source, path, "defaultMode", out);
    for (at, item) in items(source, "items").iter().enumerate() {
        let here = path.child("items").index(at);
        required_text(out, item, &here, "key", anything);
        required_text(out, item, &here, "path", inner_path);
        mode(item, &here, "mode", out);
    }
}

fn downward(source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    mode(source, path, "defaultMode", out);
    for (at, item) in items(source, "items").iter().enumerate() {
        let here = path.child("items").index(at);
        required_text(out, item, &here, "path", inner_path);
        mode(item, &here, "mode", out);
        match (get(item, "fieldRef"), get(item, "resourceFieldRef")) {
            (Some(_), Some(_)) => {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                out.push(FieldError::invalid(&here, "resource", why));
            }
            (Some(field), None) => {
                env::field_ref(field, &here.child("fieldRef"), &DOWNWARD_FIELDS, out);
            }
            (None, Some(resource)) => {
                let here = here.child("resourceFieldRef");
                required_text(out, resource, &here, "containerName", anything);
                env::resource_ref(resource, &here, out);
            }
            (None, None) => {
                let why = "one of fieldRef and resourceFieldRef is required";
                out.push(FieldError::required(here.child("fieldRef"), why));
            }
        }
    }
}

fn projected(source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    mode(source, path, "defaultMode", out);
    let mut paths = HashSet::new();
    for (at, projection) in items(source, "sources").iter().enumerate() {
        let here = path.child("sources").index(at);
        let given: Vec<&str> = PROJECTIONS
            .into_iter()
            .filter(|kind| get(projection, kind).is_some())
            .collect();
        if given.len() > 1 {
            let why = "may not specify more than 1 volume type per source";
            out.push(FieldError::forbidden(&here, why));
        }
        for kind in given {
            let (here, one) = (
                here.child(kind),
                get(projection, kind).unwrap_or(&Value::Null),
            );
            match kind {
                "downwardAPI" => downward(one, &here, out),
                "serviceAccountToken" => {
                    required_text(out, one, &here, "path", inner_path);
                    in_range(out, one, &here, "expirationSeconds", TOKEN_SECONDS);
                }
                "clusterTrustBundle" => required_text(out, one, &here, "path", inner_path),
                _ => {
                    required_text(out, one, &here, "name", anything);
                    files(one, &here, out);
                }
            }
            let own = items(one, "items").iter().map(|item| text(item, "path"));
            for target in own
                .chain([text(one, "path")])
                .filter(|target| !target.is_empty())
            {
                if !paths.insert(target) {
                    let why = "conflicting duplicate paths";
                    out.push(FieldError::invalid(&here, target, why));
                }
            }
        }
    }
}

fn mode(value: &Value, path: &Path, field: &str, out: &mut Vec<FieldError>) {
    if let Some(mode) = crate::object::int(value, field)
        && !(MODES.0..=MODES.1).contains(&mode)
    {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        invalid(out, &path.child(field), mode, vec![why.to_owned()]);
    }
}

/// A volume a storage driver makes for this pod alone.
fn csi(source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    driver_name(text(source, "driver"), &path.child("driver"), out);
    if let Some(secret) = get(source, "nodePublishSecretRef")
        && text(secret, "name").is_empty()
    {
        let at = path.child("nodePublishSecretRef").child("name");
        out.push(FieldError::required(at, ""));
    }
}

/// A claim that comes and goes with the pod.
fn ephemeral(source: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let here = path.child("volumeClaimTemplate");
    let Some(template) = get(source, "volumeClaimTemplate") else {
        out.push(FieldError::required(here, ""));
        return;
    };
    let metadata = part(template, "metadata");
    labels(out, metadata, &here.child("metadata"), "labels");
    claim::spec(part(template, "spec"), &here.child("spec"), out);
}
