//! Volumes.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{
    Path, anything, invalid, labels, quantity, required_choice, required_text,
};
use super::super::volume_source::{common, driver_name};
use super::super::{claim, metadata};
use super::mounts::inner_file;
use super::{Home, env, projected};

/// The volumes that mounts may refer to, by name: those with nothing wrong.
pub(super) type Volumes<'a> = HashMap<&'a str, &'a Value>;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
/// What files of a downward volume may show.
const DOWNWARD_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
/// Longest name of a claim.
const MAX_CLAIM: usize = 253;
/// File permissions.
const MODES: (i64, i64) = (0, 0o777);

pub(super) fn all<'a>(
    spec: &'a Value,
    home: Home<'_>,
    path: &Path,
    out: &mut Errors,
) -> Volumes<'a> {
    let mut found = Volumes::new();
    let made = made_claims(spec, home);
    for (at, volume) in items(spec, "volumes").iter().enumerate() {
        let (here, before) = (path.index(at), out.found());
        sources(volume, home, &here, out);
        required_text(out, volume, &here, "name", names::dns1123_label);
        let name = text(volume, "name");
        if found.contains_key(name) {
            out.push(|| FieldError::duplicate(here.child("name"), name));
        }
        if out.found() == before {
            found.insert(name, volume);
        }
        let claim = text(volume, "persistentVolumeClaim.claimName");
        if made.contains(claim) {
            let why = "must not reference a PVC that gets created for an ephemeral volume";
            let here = here.child("persistentVolumeClaim").child("claimName");
            out.push(|| FieldError::invalid(here, claim, why));
        }
    }
    found
}

/// The claims that come to be for the pod's ephemeral volumes.
fn made_claims(spec: &Value, home: Home<'_>) -> HashSet<String> {
    let Home::Pod(pod) = home else {
        return HashSet::new();
    };
    let volumes = items(spec, "volumes").iter();
    // Nothing has a name as long as that, and many volumes would each repeat it.
    let may_be = (1..=MAX_CLAIM).contains(&pod.len());
    volumes
        .filter(|volume| may_be && get(volume, "ephemeral").is_some())
        .map(|volume| crate::ephemeral::claim_name(pod, text(volume, "name")))
        .collect()
}

/// Exactly one source.
fn sources(volume: &Value, home: Home<'_>, path: &Path, out: &mut Errors) {
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
            out.push(|| FieldError::forbidden(here, why));
            continue;
        }
        found = true;
        match (kind.as_str(), home) {
            ("image", home) => {
                if home != Home::Template && is_empty(source, "reference") {
                    out.push(|| FieldError::required(here.child("reference"), ""));
                }
                required_choice(out, source, &here, "pullPolicy", &PULL_POLICIES);
            }
            ("ephemeral", home) => {
                ephemeral(source, &here, out);
                claim_name(text(volume, "name"), home, path, out);
            }
            (kind, _) => one_source(kind, source, &here, out),
        }
    }
    if !found {
        out.push(|| FieldError::required(path, "must specify a volume type"));
    }
}

fn one_source(kind: &str, source: &Value, path: &Path, out: &mut Errors) {
    match kind {
        "emptyDir" => {
            if let Some(limit) = get(source, "sizeLimit") {
                quantity(out, limit, &path.child("sizeLimit"));
            }
        }
        "configMap" => {
            required_text(out, source, path, "name", anything);
            mode(source, path, "defaultMode", out);
            files(source, path, out);
        }
        "secret" => {
            required_text(out, source, path, "secretName", anything);
            mode(source, path, "defaultMode", out);
            files(source, path, out);
        }
        "downwardAPI" => {
            mode(source, path, "defaultMode", out);
            for item in items(source, "items") {
                downward(item, path, out);
            }
        }
        "projected" => projected::all(source, path, out),
        "persistentVolumeClaim" => required_text(out, source, path, "claimName", anything),
        "csi" => csi(source, path, out),
        kind => common(kind, source, path, out),
    }
}

/// `items` of what projects keys as files.
pub(super) fn files(source: &Value, path: &Path, out: &mut Errors) {
    for (at, item) in items(source, "items").iter().enumerate() {
        let here = path.child("items").index(at);
        required_text(out, item, &here, "key", anything);
        required_text(out, item, &here, "path", inner_file);
        mode(item, &here, "mode", out);
    }
}

/// A file that shows a field of the pod. Upstream blames the volume for it.
pub(super) fn downward(item: &Value, path: &Path, out: &mut Errors) {
    required_text(out, item, path, "path", inner_file);
    match (get(item, "fieldRef"), get(item, "resourceFieldRef")) {
        (Some(field), other) => {
            env::field_ref(field, &path.child("fieldRef"), &DOWNWARD_FIELDS, out);
            if other.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                out.push(|| FieldError::invalid(path, "resource", why));
            }
        }
        (None, Some(resource)) => {
            env::resource_ref(resource, &path.child("resourceFieldRef"), true, out);
        }
        (None, None) => {
            let why = "one of fieldRef and resourceFieldRef is required";
            out.push(|| FieldError::required(path, why));
        }
    }
    mode(item, path, "mode", out);
}

pub(super) fn mode(value: &Value, path: &Path, field: &str, out: &mut Errors) {
    if let Some(mode) = int(value, field)
        && !(MODES.0..=MODES.1).contains(&mode)
    {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        invalid(out, &path.child(field), mode, vec![why.to_owned()]);
    }
}

/// A volume a storage driver makes for this pod alone.
fn csi(source: &Value, path: &Path, out: &mut Errors) {
    driver_name(text(source, "driver"), &path.child("driver"), out);
    let Some(secret) = get(source, "nodePublishSecretRef") else {
        return;
    };
    match text(secret, "name") {
        "" => {
            let here = path.child("nodePublishSecretRef").child("name");
            out.push(|| FieldError::required(here, ""));
        }
        // Upstream leaves out the middle of the path.
        name => invalid(
            out,
            &path.child("name"),
            name,
            names::dns1123_subdomain(name),
        ),
    }
}

/// A claim that comes and goes with the pod.
fn ephemeral(source: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("volumeClaimTemplate");
    let Some(template) = get(source, "volumeClaimTemplate") else {
        out.push(|| FieldError::required(here, ""));
        return;
    };
    let (own, at_own) = (part(template, "metadata"), here.child("metadata"));
    metadata::annotations(own, &at_own.child("annotations"), out);
    labels(out, own, &at_own, "labels");
    for (field, _) in own.as_object().into_iter().flatten() {
        let allowed = matches!(
            field.as_str(),
            "annotations" | "labels" | "creationTimestamp"
        );
        if !allowed && !is_empty(own, field) {
            out.push(|| FieldError::forbidden(at_own.child(field), "cannot be set"));
        }
    }
    claim::spec(part(template, "spec"), &here.child("spec"), out);
}

/// The pod's and the volume's name together are the name of the claim.
fn claim_name(volume: &str, home: Home<'_>, path: &Path, out: &mut Errors) {
    let Home::Pod(pod) = home else {
        return;
    };
    if pod.is_empty() || volume.is_empty() || out.is_full() {
        return;
    }
    let claim = format!("{pod}-{volume}");
    for message in names::dns1123_subdomain(&claim) {
        out.push(|| {
            let why = format!("PVC name {claim:?}: {message}");
            FieldError::invalid(path.child("name"), volume, why)
        });
    }
}
