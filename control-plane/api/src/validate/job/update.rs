//! What may change in a Job: how many pods at once, and little else once it has begun.

use serde_json::Value;

use crate::object::{entry, flag, get, get_mut, int, items, items_mut, part, remove, set, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::super::IMMUTABLE;
use super::super::change::Change;
use super::super::path::Path;
use super::super::semantic::normal;
use super::{generated_selector, indexed, whole_spec};

const TEMPLATE_TYPE: &str = "io.k8s.api.core.v1.PodTemplateSpec";
const LABELS: &str = "spec.template.metadata.labels";

pub(in super::super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    // Jobs of old releases have only the labels without a prefix.
    let prefixed = ["job-name", "controller-uid"]
        .iter()
        .all(|label| entry(old, LABELS, &format!("batch.kubernetes.io/{label}")).is_some());
    generated_selector(new, prefixed, out);
    whole_spec(part(new, "spec"), &Path::new("spec"), out);
    let change = Change::of(resource, new, old);
    completions(&change, new, out);
    change.immutable(out, "spec.selector");
    template(new, old, out);
    for field in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        change.immutable(out, &format!("spec.{field}"));
    }
}

fn completions(change: &Change, new: &Value, out: &mut Errors) {
    let path = "spec.completions";
    if !indexed(part(new, "spec")) {
        change.immutable(out, path);
        return;
    }
    let (Some(completions), parallelism) = (int(new, path), int(new, "spec.parallelism")) else {
        return;
    };
    if change.differs(path) && Some(completions) != parallelism {
        let why = "can only be modified in tandem with spec.parallelism";
        out.push(|| FieldError::invalid(path, completions, why));
    }
}

/// The template stays what it was. While a Job is suspended and none of its pods run, where they
/// will run and how much they get may still be said.
fn template(new: &Value, old: &Value, out: &mut Errors) {
    let (now, mut before) = (
        part(new, "spec.template"),
        part(old, "spec.template").clone(),
    );
    let resting = flag(old, "spec.suspend") && paused(old);
    if resting {
        scheduling(now, &mut before);
        for list in ["spec.containers", "spec.initContainers"] {
            resources(items(now, list), items_mut(&mut before, list));
        }
    }
    if normal(now, TEMPLATE_TYPE) != normal(&before, TEMPLATE_TYPE) {
        let path = if resting {
            "spec.template.spec"
        } else {
            "spec.template"
        };
        let shown = part(new, path);
        out.push(|| FieldError::invalid(path, shown, IMMUTABLE));
    }
}

/// Suspended, as its controller has seen too: no pod is left.
fn paused(job: &Value) -> bool {
    let suspended = items(job, "status.conditions").iter().any(|condition| {
        (text(condition, "type"), text(condition, "status")) == ("Suspended", "True")
    });
    let never_started = get(job, "status.startTime").is_none();
    (never_started || suspended) && int(job, "status.active").unwrap_or(0) == 0
}

fn scheduling(now: &Value, before: &mut Value) {
    let mut carry = |path: &str| match get(now, path) {
        Some(value) => set(before, path, value.clone()),
        None => {
            remove(before, path);
        }
    };
    for path in [
        "metadata.annotations",
        "metadata.labels",
        "spec.nodeSelector",
        "spec.tolerations",
        "spec.schedulingGates",
        "spec.affinity.nodeAffinity",
    ] {
        carry(path);
    }
    // No affinity at all and an empty one are the same here.
    let empty =
        get(before, "spec.affinity").is_some_and(|affinity| *affinity == serde_json::json!({}));
    if empty && get(now, "spec.affinity").is_none() {
        remove(before, "spec.affinity");
    }
}

fn resources(now: &[Value], before: &mut [Value]) {
    if now.len() != before.len() {
        return;
    }
    for (now, before) in now.iter().zip(before) {
        if text(now, "name") != text(before, "name") {
            continue;
        }
        match get(now, "resources") {
            Some(resources) => set(before, "resources", resources.clone()),
            None => {
                get_mut(before, "resources").map(Value::take);
            }
        }
    }
}
