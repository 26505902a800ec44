//! Tables: how `kubectl get` shows each kind. The server renders the cells; clients only align
//! them. Names, types and priorities of columns, and the text of cells, are upstream's, because
//! scripts parse them; the descriptions are ours.

mod event;
mod node;
mod pod;
mod service;
mod small;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::object;
use crate::resource::Resource;
use crate::time;

/// What a cell shows when there is nothing to show.
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";

/// One column of a kind's table.
struct Column {
    name: &'static str,
    /// `string` or `integer`; what kubectl's sorting and other clients go by.
    kind: &'static str,
    /// `name` marks the object's name.
    format: &'static str,
    description: &'static str,
    /// 0 is always shown, 1 only in wide output.
    priority: u8,
}

const NAME: Column = Column {
    format: "name",
    ..column("Name", "Name of the object.")
};
const AGE: Column = column("Age", "Time since the object was created.");

const fn column(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        description,
        priority: 0,
    }
}

const fn wide(name: &'static str, description: &'static str) -> Column {
    Column {
        priority: 1,
        ..column(name, description)
    }
}

/// The `columnDefinitions` of a kind.
pub fn columns(resource: &Resource) -> Value {
    let columns = match (resource.group, resource.kind) {
        ("", "Pod") => pod::COLUMNS,
        ("", "Node") => node::COLUMNS,
        ("", "Service") => service::COLUMNS,
        (_, "Event") => event::COLUMNS,
        ("", "Namespace") => small::NAMESPACE,
        ("", "ConfigMap") => small::CONFIG_MAP,
        ("", "Secret") => small::SECRET,
        ("", "ServiceAccount") => small::SERVICE_ACCOUNT,
        ("coordination.k8s.io", "Lease") => small::LEASE,
        ("node.k8s.io", "RuntimeClass") => small::RUNTIME_CLASS,
        _ => small::OTHER,
    };
    columns.iter().map(Column::definition).collect()
}

/// The cells of one object's row, one per column.
pub fn cells(resource: &Resource, value: &Value, now: Timestamp) -> Vec<Value> {
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::cells(value, now),
        ("", "Node") => node::cells(value, now),
        ("", "Service") => service::cells(value, now),
        (_, "Event") => event::cells(value, now),
        ("", "Namespace") => small::namespace(value, now),
        ("", "ConfigMap") => small::config_map(value, now),
        ("", "Secret") => small::secret(value, now),
        ("", "ServiceAccount") => small::service_account(value, now),
        ("coordination.k8s.io", "Lease") => small::lease(value, now),
        ("node.k8s.io", "RuntimeClass") => small::runtime_class(value, now),
        _ => small::other(value),
    }
}

/// The `conditions` of one object's row: clients hide rows that are completed.
pub fn row_conditions(resource: &Resource, value: &Value) -> Vec<Value> {
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::row_conditions(value),
        _ => Vec::new(),
    }
}

impl Column {
    fn definition(&self) -> Value {
        let mut definition = Map::new();
        definition.insert("name".into(), self.name.into());
        definition.insert("type".into(), self.kind.into());
        definition.insert("format".into(), self.format.into());
        definition.insert("description".into(), self.description.into());
        definition.insert("priority".into(), self.priority.into());
        Value::Object(definition)
    }
}

fn name(value: &Value) -> Value {
    json!(object::name(value))
}

fn age(value: &Value, now: Timestamp) -> Value {
    json!(time::age(object::creation_timestamp(value), now))
}

/// `text`, or `placeholder` when it is empty.
fn or(text: &str, placeholder: &str) -> Value {
    json!(if text.is_empty() { placeholder } else { text })
}

#[cfg(test)]
mod tests;
