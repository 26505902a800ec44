//! The canonical bytes objects are stored as, written in one pass over the value: no map is built anew for its order.

use bytes::Bytes;
use sampan_api::object;
use sampan_api::status::Status;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::api::Result;

/// The order of the first fields of an object. `metadata` is one of them.
const TOP: [&str; 3] = ["kind", "apiVersion", "metadata"];

/// The order `metadata` is stored in. `resourceVersion` comes before anything a client chooses, see `object`.
const ORDER: [&str; 14] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// The place that is left for it.
const REVISION: &str = "resourceVersion";
/// What a small object takes.
const ROOM: usize = 2048;

/// The bytes of an object, with an empty place for its revision.
pub(super) fn stored_bytes(value: &Value) -> Result<Bytes> {
    if object::nests_deeper(value, object::MAX_NESTING) {
        return Err(Status::bad_request(format!(
            "the object nests deeper than {} levels",
            object::MAX_NESTING
        )));
    }
    let Value::Object(top) = value else {
        return Err(Status::internal("an object is no JSON object"));
    };
    let mut bytes = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut bytes, &Object(top))
        .map_err(|error| Status::internal(format!("writing an object: {error}")))?;
    Ok(bytes.into())
}

struct Object<'a>(&'a Map<String, Value>);

struct Metadata<'a>(Option<&'a Map<String, Value>>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in ["kind", "apiVersion"] {
            map.serialize_entry(field, self.0.get(field).unwrap_or(&Value::Null))?;
        }
        let metadata = self.0.get("metadata").and_then(Value::as_object);
        map.serialize_entry("metadata", &Metadata(metadata))?;
        for (field, value) in self.0 {
            if !TOP.contains(&field.as_str()) {
                map.serialize_entry(field, value)?;
            }
        }
        map.end()
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in ORDER {
            if field == REVISION {
                map.serialize_entry(field, "")?;
            } else if let Some(value) = self.0.and_then(|metadata| metadata.get(field)) {
                map.serialize_entry(field, value)?;
            }
        }
        for (field, value) in self.0.into_iter().flatten() {
            if !ORDER.contains(&field.as_str()) {
                map.serialize_entry(field, value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stored_form_has_the_revision_before_what_clients_choose() {
        let value = json!({
            "data": {"resourceVersion": ""},
            "metadata": {"annotations": {"resourceVersion": ""}, "name": "a", "resourceVersion": "9"},
            "apiVersion": "v1", "kind": "ConfigMap",
        });
        let stored = stored_bytes(&value).expect("stored");
        assert_eq!(
            String::from_utf8_lossy(&stored),
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"","annotations":{"resourceVersion":""}},"data":{"resourceVersion":""}}"#
        );
    }

    #[test]
    fn every_field_is_there_once() {
        for (value, expected) in [
            (
                json!({"spec": 1, "metadata": {"x": 1, "uid": "u", "y": 2}, "status": 2, "kind": "K", "apiVersion": "v"}),
                r#"{"kind":"K","apiVersion":"v","metadata":{"uid":"u","resourceVersion":"","x":1,"y":2},"spec":1,"status":2}"#,
            ),
            (
                json!({"metadata": null}),
                r#"{"kind":null,"apiVersion":null,"metadata":{"resourceVersion":""}}"#,
            ),
        ] {
            let stored = stored_bytes(&value).expect("stored");
            assert_eq!(String::from_utf8_lossy(&stored), expected);
        }
        stored_bytes(&json!([])).expect_err("no object");
    }
}
