//! What clients see of an object where it is not the object as it is stored: the subresource `scale`, which speaks
//! another kind, and the older version of autoscalers.
//!
//! A write to one is a write to the object. Clients and their patches see the part; what they make of it is put back
//! into the whole, which then goes the way of every update.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use sampan_api::custom::Custom;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{convert, object, scale};
use serde_json::Value;

use crate::api::{Answer, Result};
use crate::content::{Expected, Form, Include, Output};
use crate::object::{Obj, storage_row};
use crate::request::ResourceTarget;
use crate::respond::{self, ListMeta, Table};

const SCALE: &str = "scale";

/// Whether the target is an object's scale.
pub(crate) fn is_scale(target: &ResourceTarget) -> bool {
    target.subresource == SCALE
}

/// The kind that requests for this target speak.
pub(crate) fn spoken(target: &ResourceTarget) -> Expected<'_> {
    if !is_scale(target) {
        return Expected::of(target.resource);
    }
    Expected {
        group: "autoscaling",
        version: "v1",
        kind: "Scale",
        type_name: scale::TYPE_NAME,
        row: None,
    }
}

/// The row in whose version objects are written. Events are written as they come, because the rules for them differ.
pub(crate) fn row(resource: &'static Resource) -> &'static Resource {
    match resource.group {
        "autoscaling" => storage_row(resource),
        _ => resource,
    }
}

/// An object as it came, in the version it is written in.
pub(crate) fn received(resource: &'static Resource, mut value: Value) -> Value {
    let row = row(resource);
    if std::ptr::eq(row, resource) {
        return value;
    }
    // What one version leaves out may mean something else than in the other.
    object::set_default(&mut value, "spec.minReplicas", 1);
    convert::into_version(value, &row.api_version())
}

/// What clients see of an object.
pub(crate) fn shown<'a>(target: &ResourceTarget, whole: &'a Value) -> Result<Cow<'a, Value>> {
    if is_scale(target) {
        let scale = match custom_scale(target)? {
            Some(custom) => custom.read_scale(whole),
            None => scale::of(whole),
        };
        return scale.map(Cow::Owned).map_err(Status::bad_request);
    }
    if std::ptr::eq(row(target.resource), target.resource) {
        return Ok(Cow::Borrowed(whole));
    }
    let converted = convert::to_version(whole, &target.resource.api_version());
    Ok(converted.map_or(Cow::Borrowed(whole), Cow::Owned))
}

/// The definition of a custom resource, which says where it keeps what a Scale shows.
fn custom_scale(target: &ResourceTarget) -> Result<Option<Custom>> {
    if !target.resource.is_custom() {
        return Ok(None);
    }
    let custom = target.resource.custom();
    custom.map(Some).ok_or_else(Status::path_not_found)
}

/// The object with the part a client sent.
pub(crate) fn merged(target: &ResourceTarget, sent: Value, whole: &Value) -> Result<Value> {
    if !is_scale(target) {
        return Ok(received(target.resource, sent));
    }
    let errors = scale::validate(&sent);
    if errors.is_empty() {
        return Ok(match custom_scale(target)? {
            Some(custom) => custom.write_scale(&sent, whole),
            None => scale::apply(&sent, whole),
        });
    }
    let Expected { group, kind, .. } = spoken(target);
    Err(Status::invalid_kind(group, kind, &target.name, errors))
}

/// Answers with what clients see of an object.
pub(crate) fn respond(target: &ResourceTarget, object: &Obj, output: &Output) -> Answer {
    if !is_scale(target) {
        return respond::object(StatusCode::OK, target.resource, object, output);
    }
    let whole = respond::parse(&object.raw_as(target.resource))?;
    let scale = shown(target, &whole)?.into_owned();
    match output.form {
        Form::Whole => respond::value(StatusCode::OK, &scale, output),
        Form::Partial => respond::object(StatusCode::OK, target.resource, object, output),
        Form::Table(include) => {
            let embedded = match include {
                Include::None => Bytes::from_static(b"null"),
                Include::Metadata => object.partial(),
                Include::Object => scale.to_string().into(),
            };
            let Expected { group, kind, .. } = spoken(target);
            let mut table = Table::new(group, kind);
            table.push_value(&scale, &embedded);
            let table = table.finish(&ListMeta::of(object));
            respond::raw(StatusCode::OK, table, output)
        }
    }
}
