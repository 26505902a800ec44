//! Jobs select their pods by a label that holds their uid: no two Jobs ever select the same pod.

use serde_json::Value;

use crate::object::{self, entry, flag, get, is_empty, set, set_entry};

const TEMPLATE_LABELS: &str = "spec.template.metadata.labels";
const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

pub(super) fn create(job: &mut Value) {
    if !flag(job, "spec.manualSelector") {
        generate_selector(job);
    }
    labels(job);
}

/// A Job without labels has those of its pods.
pub(super) fn labels(job: &mut Value) {
    if let Some(labels) = get(job, TEMPLATE_LABELS).cloned()
        && is_empty(job, "metadata.labels")
    {
        set(job, "metadata.labels", labels);
    }
}

/// Labels that are there already are kept; validation says so when they are not the right ones.
fn generate_selector(job: &mut Value) {
    let (name, uid) = (object::name(job).to_owned(), object::uid(job).to_owned());
    // Those without a prefix are what older clients look for.
    for (label, value) in [
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        (UID_LABEL, &uid),
    ] {
        if entry(job, TEMPLATE_LABELS, label).is_none() {
            set_entry(job, TEMPLATE_LABELS, label, value.as_str());
        }
    }
    if entry(job, "spec.selector.matchLabels", UID_LABEL).is_none() {
        set_entry(job, "spec.selector.matchLabels", UID_LABEL, uid);
    }
}
