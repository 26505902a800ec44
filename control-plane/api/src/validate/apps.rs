//! The kinds of `apps`, and replication controllers. StatefulSets and statuses have files of their
//! own.

mod stateful_set;
mod status;
mod strategy;

use serde_json::Value;

use crate::object::{get, int, items, part};
use crate::resource::Resource;
use crate::selector::LabelSelector;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::path::{Path, not_negative};
use super::{selector, template};

pub(super) use status::update as status_update;

pub(super) fn create(kind: &str, value: &Value, out: &mut Errors) {
    match kind {
        "Deployment" => deployment(value, out),
        "ReplicaSet" => replica_set(value, out),
        "DaemonSet" => daemon_set(value, out),
        "StatefulSet" => stateful_set::create(value, out),
        _ => {
            revision(value, out);
            revision_data(value, out);
        }
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let change = Change::of(resource, new, old);
    match resource.kind {
        "Deployment" => {
            deployment(new, out);
            change.immutable(out, "spec.selector");
        }
        "ReplicaSet" => {
            replica_set(new, out);
            change.immutable(out, "spec.selector");
        }
        "DaemonSet" => {
            change.immutable(out, "spec.selector");
            daemon_set(new, out);
        }
        "StatefulSet" => stateful_set::update(resource, new, old, out),
        _ => {
            revision(new, out);
            change.immutable(out, "data");
        }
    }
}

fn deployment(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    not_negative(out, spec, &path, "replicas");
    replicated(spec, &path, out);
    strategy::deployment(part(spec, "strategy"), &path.child("strategy"), out);
    for field in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        not_negative(out, spec, &path, field);
    }
    if let Some(deadline) = int(spec, "progressDeadlineSeconds")
        && deadline <= int(spec, "minReadySeconds").unwrap_or(0)
    {
        let at = path.child("progressDeadlineSeconds");
        let why = "must be greater than minReadySeconds";
        out.push(|| FieldError::invalid(at, deadline, why));
    }
}

fn replica_set(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    not_negative(out, spec, &path, "replicas");
    not_negative(out, spec, &path, "minReadySeconds");
    replicated(spec, &path, out);
}

/// What Deployments and the ReplicaSets they make have in common.
fn replicated(spec: &Value, path: &Path, out: &mut Errors) {
    selector::required(spec, path, "deployment", out);
    let (here, template) = (path.child("template"), part(spec, "template"));
    match LabelSelector::from_match(part(spec, "selector")) {
        Ok(selector) => {
            selector::matches_template(&selector, template, &here, out);
            template::check(template, &here, out);
            template::of_endless_pods(template, &here, "ReplicaSet", out);
        }
        Err(_) => {
            let at = path.child("selector");
            let why = "invalid label selector";
            out.push(|| FieldError::invalid(at, part(spec, "selector"), why));
        }
    }
}

fn daemon_set(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let (here, template) = (path.child("template"), part(spec, "template"));
    let at = path.child("selector");
    selector::label_selector(part(spec, "selector"), &at, out);
    if let Ok(selector) = LabelSelector::from_match(part(spec, "selector")) {
        selector::matches_template(&selector, template, &here, out);
    }
    if let Some(selector) = get(spec, "selector") {
        selector::not_empty(selector, &at, "daemonset", out);
    }
    template::check(template, &here, out);
    template::of_endless_pods(template, &here, "DaemonSet", out);
    not_negative(out, spec, &path, "minReadySeconds");
    let strategy = part(spec, "updateStrategy");
    strategy::daemon_set(strategy, &path.child("updateStrategy"), out);
    not_negative(out, spec, &path, "revisionHistoryLimit");
}

pub(super) fn replication_controller(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    not_negative(out, spec, &path, "minReadySeconds");
    let labels = part(spec, "selector").as_object();
    if labels.is_none_or(serde_json::Map::is_empty) {
        out.push(|| FieldError::required(path.child("selector"), ""));
    }
    not_negative(out, spec, &path, "replicas");
    let here = path.child("template");
    let Some(template) = get(spec, "template") else {
        out.push(|| FieldError::required(here, ""));
        return;
    };
    if let Some(labels) = labels {
        selector::matches_template(&LabelSelector::from_set(labels), template, &here, out);
    }
    template::check(template, &here, out);
    template::of_endless_pods(template, &here, "ReplicationController", out);
}

fn revision(value: &Value, out: &mut Errors) {
    if let Some(number) = int(value, "revision").filter(|number| *number < 0) {
        let why = "must be greater than or equal to 0";
        out.push(|| FieldError::invalid("revision", number, why));
    }
}

fn revision_data(value: &Value, out: &mut Errors) {
    match get(value, "data") {
        None => out.push(|| FieldError::required("data", "data is mandatory")),
        Some(data) if !data.is_object() => {
            let why = "data must be a valid JSON object";
            out.push(|| FieldError::required("data", why));
        }
        Some(_) => {}
    }
}

/// Names of the claims a StatefulSet makes for each of its pods.
fn claim_names(spec: &Value) -> impl Iterator<Item = &str> {
    items(spec, "volumeClaimTemplates")
        .iter()
        .map(crate::object::name)
}
