//! Validation: what is refused, with upstream's field paths, wording and causes.
//!
//! It expects objects that were decoded (types are right) and defaulted, and looks at what clients
//! and conformance tests can observe. It is not upstream's whole catalogue: rules about fields that
//! nothing here acts on (storage vendors, Windows, devices) are absent.

mod api_service;
mod apps;
mod change;
mod claim;
mod conditions;
mod config;
mod cron_job;
mod disruption;
mod domain;
mod event;
mod int_or_percent;
mod job;
mod lease;
mod metadata;
mod namespace;
mod node;
mod path;
mod pod;
mod runtime_class;
mod selector;
pub(crate) mod semantic;
mod service;
mod template;

pub(crate) use metadata::MAX_ANNOTATION_BYTES;

use serde_json::Value;

use crate::resource::Resource;
use crate::status::FieldError;

/// Most errors one answer lists. A body of a few megabytes can be wrong in a hundred thousand ways,
/// and each message is far longer than what it is about.
pub const MAX_ERRORS: usize = 100;

/// What an update may not change once it is set.
const IMMUTABLE: &str = "field is immutable";

/// What is wrong with a new object. The name must be generated already.
pub fn create(resource: &Resource, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata::create(resource, value, &mut errors);
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::create(value, &mut errors),
        ("", "ConfigMap") => config::config_map(value, &mut errors),
        ("", "Secret") => config::secret(value, &mut errors),
        ("", "Service") => service::create(value, &mut errors),
        ("", "Node") => node::create(value, &mut errors),
        ("", "Namespace") => namespace::create(value, &mut errors),
        ("", "Event") => event::core(value, &mut errors),
        ("events.k8s.io", "Event") => event::create(value, &mut errors),
        ("coordination.k8s.io", "Lease") => lease::create(value, &mut errors),
        ("node.k8s.io", "RuntimeClass") => runtime_class::create(value, &mut errors),
        ("", "Binding") => binding(value, &mut errors),
        ("", "PersistentVolumeClaim") => claim::create(value, &mut errors),
        ("", "PodTemplate") => pod_template(value, &mut errors),
        ("", "ReplicationController") => apps::replication_controller(value, &mut errors),
        ("apps", kind) => apps::create(kind, value, &mut errors),
        ("batch", "Job") => job::create(value, &mut errors),
        ("batch", "CronJob") => cron_job::create(value, &mut errors),
        ("policy", "PodDisruptionBudget") => disruption::create(value, &mut errors),
        ("apiregistration.k8s.io", "APIService") => api_service::all(value, &mut errors),
        _ => {}
    }
    errors.truncate(MAX_ERRORS);
    errors
}

/// What is wrong with turning `old` into `new`.
pub fn update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata::update(resource, new, old, &mut errors);
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::update(new, old, &mut errors),
        ("", "ConfigMap") => config::config_map_update(new, old, &mut errors),
        ("", "Secret") => config::secret_update(new, old, &mut errors),
        ("", "Service") => service::update(new, old, &mut errors),
        ("", "Node") => node::update(new, old, &mut errors),
        ("", "Namespace") => namespace::create(new, &mut errors),
        ("", "Event") => event::core(new, &mut errors),
        ("events.k8s.io", "Event") => event::update(new, old, &mut errors),
        ("coordination.k8s.io", "Lease") => lease::create(new, &mut errors),
        ("node.k8s.io", "RuntimeClass") => runtime_class::update(new, old, &mut errors),
        ("", "PersistentVolumeClaim") => claim::update(new, old, &mut errors),
        ("", "PodTemplate") => pod_template(new, &mut errors),
        ("", "ReplicationController") => apps::replication_controller(new, &mut errors),
        ("apps", _) => apps::update(resource, new, old, &mut errors),
        ("batch", "Job") => job::update(resource, new, old, &mut errors),
        ("batch", "CronJob") => cron_job::update(new, old, &mut errors),
        ("policy", "PodDisruptionBudget") => disruption::create(new, &mut errors),
        ("apiregistration.k8s.io", "APIService") => api_service::all(new, &mut errors),
        _ => {}
    }
    errors.truncate(MAX_ERRORS);
    errors
}

/// What is wrong with a write to the `status` subresource.
pub fn status_update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata::update(resource, new, old, &mut errors);
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::status_update(new, old, &mut errors),
        ("", "Service") => service::status_update(new, &mut errors),
        ("", "Node") => node::update(new, old, &mut errors),
        ("", "Namespace") => namespace::status_update(new, &mut errors),
        ("", "PersistentVolumeClaim") => claim::status_update(new, &mut errors),
        ("", "ReplicationController") | ("apps", _) => {
            apps::status_update(resource.kind, new, old, &mut errors);
        }
        ("batch", "Job") => job::status_update(new, old, &mut errors),
        ("policy", "PodDisruptionBudget") => disruption::status_update(new, &mut errors),
        ("apiregistration.k8s.io", "APIService") => api_service::status(new, &mut errors),
        _ => {}
    }
    errors.truncate(MAX_ERRORS);
    errors
}

/// What is wrong with a write to a subresource that is neither the object itself nor its status.
pub fn part_update(resource: &Resource, part: &str, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (resource.bucket, part) {
        ("pods", "ephemeralcontainers") => {
            metadata::update(resource, new, old, &mut errors);
            pod::ephemeral(new, old, &mut errors);
        }
        ("pods", "resize") => {
            metadata::update(resource, new, old, &mut errors);
            pod::resize(new, old, &mut errors);
        }
        _ => return update(resource, new, old),
    }
    errors.truncate(MAX_ERRORS);
    errors
}

fn pod_template(value: &Value, out: &mut Vec<FieldError>) {
    template::check(
        crate::object::part(value, "template"),
        &path::Path::new("template"),
        out,
    );
}

/// A binding names a node.
fn binding(value: &Value, out: &mut Vec<FieldError>) {
    let kind = crate::object::text(value, "target.kind");
    if !kind.is_empty() && kind != "Node" {
        out.push(FieldError::not_supported(
            "target.kind",
            kind,
            &["Node", "<empty>"],
        ));
    }
    if crate::object::is_empty(value, "target.name") {
        out.push(FieldError::required("target.name", ""));
    }
}

#[cfg(test)]
mod tests;
