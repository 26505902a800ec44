//! StatefulSets.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::names;
use crate::object::{get, items, part, remove, set, text};
use crate::resource::Resource;
use crate::selector::LabelSelector;
use crate::status::{Errors, FieldError};

use super::super::change::Change;
use super::super::path::{Path, labels, not_negative, optional_text};
use super::super::{claim, metadata, selector, template};
use super::{claim_names, strategy};

/// What an update may change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const FORBIDDEN: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
    'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' \
    and 'minReadySeconds' are forbidden";

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    general(spec, &path, out);
    for (at, one) in items(spec, "volumeClaimTemplates").iter().enumerate() {
        let here = path.child("volumeClaimTemplates").index(at).child("spec");
        claim::spec(part(one, "spec"), &here, out);
    }
    optional_text(out, spec, &path, "serviceName", names::dns1123_label);
    selection(spec, &path, true, out);
    template::of_endless_pods(
        part(spec, "template"),
        &path.child("template"),
        "StatefulSet",
        out,
    );
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(new, "spec"));
    // A template that was accepted by older rules does not keep its set from being scaled.
    let mut before = Errors::new();
    selection(part(old, "spec"), &path, true, &mut before);
    general(spec, &path, out);
    selection(spec, &path, before.found() == 0, out);
    template::of_endless_pods(
        part(spec, "template"),
        &path.child("template"),
        "StatefulSet",
        out,
    );
    let fixed = |value: &Value| {
        let mut value = value.clone();
        for field in MUTABLE {
            remove(&mut value, &format!("spec.{field}"));
        }
        value
    };
    if Change::of(resource, &fixed(new), &fixed(old)).differs("spec") {
        out.push(|| FieldError::forbidden(path, FORBIDDEN));
    }
}

fn general(spec: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("podManagementPolicy");
    match text(spec, "podManagementPolicy") {
        "" => out.push(|| FieldError::required(at, "")),
        "OrderedReady" | "Parallel" => {}
        other => {
            let why = "must be 'OrderedReady' or 'Parallel'";
            out.push(|| FieldError::invalid(at, other, why));
        }
    }
    strategy::stateful_set(
        part(spec, "updateStrategy"),
        &path.child("updateStrategy"),
        out,
    );
    if let Some(policy) = get(spec, "persistentVolumeClaimRetentionPolicy") {
        for field in ["whenDeleted", "whenScaled"] {
            let found = text(policy, field);
            if !matches!(found, "Retain" | "Delete") {
                let at = path
                    .child("persistentVolumeClaimRetentionPolicy")
                    .child(field);
                out.push(|| FieldError::not_supported(at, found, &["Retain", "Delete"]));
            }
        }
    }
    not_negative(out, spec, path, "replicas");
    not_negative(out, spec, path, "minReadySeconds");
    not_negative(out, spec, path, "ordinals.start");
}

/// The selector and the template, of which the set itself gives parts to each pod.
fn selection(spec: &Value, path: &Path, whole: bool, out: &mut Errors) {
    selector::required(spec, path, "statefulset", out);
    let here = path.child("template");
    let Ok(selector) = LabelSelector::from_match(part(spec, "selector")) else {
        let shown = part(spec, "selector");
        out.push(|| FieldError::invalid(path.child("selector"), shown, ""));
        return;
    };
    let template = completed(spec);
    selector::matches_template(&selector, &template, &here, out);
    if whole {
        template::check(&template, &here, out);
    }
    let meta = part(&template, "metadata");
    labels(out, meta, &here, "labels");
    metadata::annotations(meta, &here.child("annotations"), out);
}

/// The template as pods get it: hostname and subdomain are the set's, and claims become volumes.
fn completed(spec: &Value) -> Value {
    let mut template = part(spec, "template").clone();
    remove(&mut template, "spec.subdomain");
    remove(&mut template, "spec.hostname");
    let claims: HashSet<&str> = claim_names(spec).collect();
    if claims.is_empty() {
        return template;
    }
    let own = items(&template, "spec.volumes").iter();
    let own = own.filter(|volume| !claims.contains(text(volume, "name")));
    let mut volumes: Vec<Value> = own.cloned().collect();
    let claims = claims
        .iter()
        .map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    volumes.extend(claims);
    set(&mut template, "spec.volumes", volumes);
    template
}
