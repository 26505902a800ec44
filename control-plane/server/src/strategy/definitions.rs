//! CustomResourceDefinitions and their objects.

use jiff::Timestamp;
use sampan_api::custom::{Cell, conditions};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::Value;

use crate::api::Result;

/// No object comes after its definition began to go.
pub(super) fn may_create(resource: &Resource, value: &Value) -> Result<()> {
    if !resource.cell.is_some_and(Cell::is_terminating) {
        return Ok(());
    }
    let why = "create not allowed while custom resource definition is terminating";
    Err(Status::forbidden(resource, object::name(value), why))
}

/// A definition that is marked for deletion says so among its conditions.
pub(super) fn marked(definition: &mut Value) {
    if !conditions::holds(definition, conditions::DELETION_PENDING.kind) {
        let now = time::seconds(Timestamp::now());
        conditions::set(definition, conditions::DELETION_PENDING, &now);
    }
}
