//! Printer columns: the table of a custom resource, as its definition asks for it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::definition::Version;
use super::jsonpath::JsonPath;
use super::text::go_value;
use crate::object;
use crate::time;

/// A column of the definition.
#[derive(Debug, Deserialize)]
#[serde(from = "Raw")]
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    path: Option<JsonPath>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    name: String,
    r#type: String,
    format: String,
    description: String,
    priority: i64,
    json_path: String,
}

impl From<Raw> for Column {
    fn from(raw: Raw) -> Column {
        let Raw {
            name,
            r#type,
            format,
            description,
            priority,
            json_path,
        } = raw;
        let description = match description.as_str() {
            "" => format!("Custom resource definition column (in JSONPath format): {json_path}"),
            _ => description,
        };
        Column {
            name,
            kind: r#type,
            format,
            description,
            priority,
            path: JsonPath::parse(&json_path),
        }
    }
}

/// The columns there are; none of them when one is malformed, as upstream.
fn usable(version: &Version) -> &[Column] {
    match version.columns.iter().all(|column| column.path.is_some()) {
        true => &version.columns,
        false => &[],
    }
}

/// The `columnDefinitions` of a version.
pub fn definitions(version: &Version) -> Value {
    let mut all = vec![json!({
        "name": "Name", "type": "string", "format": "name",
        "description": "Name of the object.", "priority": 0,
    })];
    if version.columns.is_empty() {
        all.push(json!({
            "name": "Age", "type": "date", "format": "",
            "description": "Time since the object was created.", "priority": 0,
        }));
    }
    all.extend(usable(version).iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    }));
    Value::Array(all)
}

/// The cells of one object's row.
pub fn cells(version: &Version, value: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![json!(object::name(value))];
    if version.columns.is_empty() {
        cells.push(age(object::creation_timestamp(value), now));
    }
    cells.extend(usable(version).iter().map(|column| {
        let found = column.path.as_ref().and_then(|path| path.first(value));
        found.map_or(Value::Null, |found| cell(&column.kind, found, now))
    }));
    cells
}

/// What of a value a cell of that type shows; null when it is of another type.
fn cell(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        ("string", Value::Null) => Value::Null,
        ("string", value) => json!(go_value(value)),
        ("integer", Value::Number(number)) => number.as_i64().map_or_else(
            || json!(number.as_f64().unwrap_or(0.0) as i64),
            |integer| json!(integer),
        ),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => age(text, now),
        _ => Value::Null,
    }
}

fn age(timestamp: &str, now: Timestamp) -> Value {
    match timestamp {
        "" | "null" => json!("<unknown>"),
        text if time::parse(text).is_none() => json!("<invalid>"),
        text => json!(time::age(text, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom::Definition;
    use bytes::Bytes;

    fn version(columns: Value) -> Definition {
        let object = json!({"metadata": {"name": "tabs.a.io"}, "spec": {"group": "a.io",
            "scope": "Cluster", "names": {}, "versions": [{"name": "v1", "storage": true,
                "additionalPrinterColumns": columns}]}});
        Definition::parse(&Bytes::from(object.to_string())).expect("parses")
    }

    #[test]
    fn cells_show_what_columns_ask_for() {
        let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
        let definition = version(json!([
            column("S", "string", ".spec.s"),
            column("M", "string", ".spec.m"),
            column("F", "string", ".spec.f"),
            column("N", "integer", ".spec.n"),
            column("I", "integer", ".spec.f"),
            column("B", "boolean", ".spec.b"),
            column("D", "date", ".metadata.creationTimestamp"),
            column("X", "date", ".spec.s"),
            column("W", "integer", ".spec.s"),
            column(
                "R",
                "string",
                ".status.conditions[?(@.type==\"Ready\")].status"
            ),
            column("-", "string", ".spec.nothing"),
        ]));
        let value = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"s": "text", "m": {"a": 1}, "f": 1.5, "n": 7, "b": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let now: Timestamp = "2026-01-01T00:05:00Z".parse().expect("a time");
        let want = json!([
            "a",
            "text",
            "{\"a\":1}",
            "1.5",
            7,
            1,
            true,
            "5m",
            "<invalid>",
            null,
            "True",
            null
        ]);
        assert_eq!(Value::Array(cells(definition.storage(), &value, now)), want);
        let columns = definitions(definition.storage());
        assert_eq!(columns.as_array().map(Vec::len), Some(12));
        assert_eq!(
            columns[1]["description"],
            "Custom resource definition column (in JSONPath format): .spec.s"
        );
    }

    #[test]
    fn without_columns_there_is_the_age_and_with_broken_ones_nothing() {
        let now: Timestamp = "2026-01-01T00:00:30Z".parse().expect("a time");
        let value = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        let plain = version(json!([]));
        assert_eq!(
            cells(plain.storage(), &value, now),
            [json!("a"), json!("30s")]
        );
        assert_eq!(definitions(plain.storage())[1]["name"], "Age");
        let broken = version(json!([{"name": "X", "type": "string", "jsonPath": ".a["}]));
        assert_eq!(cells(broken.storage(), &value, now), [json!("a")]);
        assert_eq!(
            definitions(broken.storage()).as_array().map(Vec::len),
            Some(1)
        );
    }
}
