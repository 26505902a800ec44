//! Validation: what is refused, with upstream's field paths, wording and causes.
//!
//! It expects objects that were decoded (types are right) and defaulted, and looks at what clients
//! and conformance tests can observe. It is not upstream's whole catalogue: rules about what storage
//! vendors and Windows alone look at are absent.

mod address;
mod admission_policy;
mod api_service;
mod apps;
mod autoscaler;
mod certificate;
mod change;
mod claim;
mod conditions;
mod config;
mod cron_job;
mod csi;
mod definition;
mod device;
mod disruption;
mod domain;
mod endpoint_slice;
mod endpoints;
mod event;
mod flow;
mod ingress;
mod ingress_class;
mod int_or_percent;
mod job;
mod kinds;
mod lease;
mod limit_range;
mod metadata;
mod namespace;
mod network_policy;
mod node;
mod path;
mod pod;
mod priority;
mod quota;
mod rbac;
mod resource_name;
mod runtime_class;
mod selector;
pub(crate) mod semantic;
mod service;
mod service_cidr;
mod size;
mod storage;
mod template;
mod volume;
mod volume_source;
mod webhook;

pub use crate::status::MAX_ERRORS;
pub(crate) use metadata::MAX_ANNOTATION_BYTES;

use serde_json::Value;

use crate::resource::Resource;
use crate::status::{Errors, FieldError};

pub(crate) use metadata::embedded as embedded_metadata;
pub use selector::review_requirements;
pub use size::too_many_items;

/// What an update may not change once it is set.
const IMMUTABLE: &str = "field is immutable";

/// What is wrong with a new object. The name must be generated already.
pub fn create(resource: &Resource, value: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata::create(resource, value, &mut errors);
    kinds::create(resource, value, &mut errors);
    errors.into_list()
}

/// What is wrong with turning `old` into `new`.
pub fn update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata::update(resource, new, old, &mut errors);
    kinds::update(resource, new, old, &mut errors);
    errors.into_list()
}

/// What is wrong with a write to the `status` subresource.
pub fn status_update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata::update(resource, new, old, &mut errors);
    kinds::status_update(resource, new, old, &mut errors);
    errors.into_list()
}

/// What is wrong with a write to a subresource that is neither the object itself nor its status.
pub fn part_update(resource: &Resource, part: &str, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata::update(resource, new, old, &mut errors);
    kinds::part_update(resource, part, new, old, &mut errors);
    errors.into_list()
}

#[cfg(test)]
mod tests;
