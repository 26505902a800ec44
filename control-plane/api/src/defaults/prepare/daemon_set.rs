//! DaemonSets count the changes of their template in an annotation, for clients of old.

use serde_json::Value;

use crate::object::{annotation, get, set_entry};
use crate::validate::semantic::normal;

/// The annotation.
pub(in crate::defaults) const TEMPLATE_GENERATION: &str =
    "deprecated.daemonset.template.generation";

pub(super) fn create(value: &mut Value) {
    let asked = template_generation(value);
    write(value, asked.max(1));
}

pub(super) fn update(new: &mut Value, old: &Value) {
    let template = |value: &Value| {
        let template = get(value, "spec.template").unwrap_or(&Value::Null);
        normal(template, "io.k8s.api.core.v1.PodTemplateSpec")
    };
    let changed = template(new) != template(old);
    let generation = template_generation(old).saturating_add(i64::from(changed));
    write(new, generation);
}

fn template_generation(value: &Value) -> i64 {
    annotation(value, TEMPLATE_GENERATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn write(value: &mut Value, generation: i64) {
    let text = generation.to_string();
    set_entry(value, "metadata.annotations", TEMPLATE_GENERATION, text);
}
