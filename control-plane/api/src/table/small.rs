//! Tables of kinds with little to show.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, entries, text};

use super::{AGE, Column, NAME, age, column, name};

pub(super) const NAMESPACE: &[Column] = &[
    NAME,
    column(
        "Status",
        "Whether the namespace is in use or being deleted.",
    ),
    AGE,
];
pub(super) const CONFIG_MAP: &[Column] = &[NAME, column("Data", "Number of keys."), AGE];
pub(super) const SECRET: &[Column] = &[
    NAME,
    column("Type", "What the secret is for."),
    column("Data", "Number of keys."),
    AGE,
];
pub(super) const SERVICE_ACCOUNT: &[Column] = &[NAME, AGE];
pub(super) const LEASE: &[Column] = &[NAME, column("Holder", "Who holds the lease."), AGE];
pub(super) const RUNTIME_CLASS: &[Column] = &[
    NAME,
    column("Handler", "Runtime that runs pods of this class."),
    AGE,
];
pub(super) const OTHER: &[Column] = &[
    NAME,
    Column {
        kind: "date",
        ..column("Created At", "When the object was created.")
    },
];

pub(super) fn namespace(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(value),
        json!(text(value, "status.phase")),
        age(value, now),
    ]
}

pub(super) fn config_map(value: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(value, "data").count() + entries(value, "binaryData").count();
    vec![name(value), json!(keys), age(value, now)]
}

pub(super) fn secret(value: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(value, "data").count();
    vec![
        name(value),
        json!(text(value, "type")),
        json!(keys),
        age(value, now),
    ]
}

pub(super) fn service_account(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(value), age(value, now)]
}

pub(super) fn lease(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(value),
        json!(text(value, "spec.holderIdentity")),
        age(value, now),
    ]
}

pub(super) fn runtime_class(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(value), json!(text(value, "handler")), age(value, now)]
}

pub(super) fn other(value: &Value) -> Vec<Value> {
    vec![name(value), json!(object::creation_timestamp(value))]
}
