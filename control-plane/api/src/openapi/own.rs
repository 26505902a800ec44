//! Schemas of kinds that are not in the registry: what their owner wrote, and what every object has.

use serde_json::{Map, Value, json};

use super::shapes::{META, referring};
use crate::resource::Resource;

/// What every object says about itself, in the words of the built-in kinds.
pub(super) struct TypeMeta {
    pub(super) api_version: Value,
    pub(super) kind: Value,
    pub(super) metadata: String,
    pub(super) list_metadata: String,
}

/// The schema of the kind.
pub(super) fn kind(resource: &Resource, schema: &Value, common: &TypeMeta) -> Value {
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.insert("type".to_owned(), "object".into());
    // Clients take a schema with properties for a whole one: where there are none, nothing is said.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".to_owned(), common.api_version.clone());
        properties.insert("kind".to_owned(), common.kind.clone());
        let metadata = described(&common.metadata, referring(&format!("{META}.ObjectMeta")));
        properties.insert("metadata".to_owned(), metadata);
    }
    schema.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!([{ "group": resource.group, "version": resource.version, "kind": resource.kind }]),
    );
    schema.into()
}

/// The schema of its list.
pub(super) fn list(resource: &Resource, common: &TypeMeta) -> Value {
    let item = Value::Object(referring(resource.type_name));
    let items = json!({
        "description": format!("The {} of the list.", resource.plural),
        "type": "array",
        "items": item,
    });
    let metadata = described(
        &common.list_metadata,
        referring(&format!("{META}.ListMeta")),
    );
    json!({
        "description": format!("A list of {}.", resource.plural),
        "type": "object",
        "properties": {
            "apiVersion": common.api_version,
            "items": items,
            "kind": common.kind,
            "metadata": metadata,
        },
        "required": ["items"],
        "x-kubernetes-group-version-kind": [{
            "group": resource.group,
            "version": resource.version,
            "kind": format!("{}List", resource.kind),
        }],
    })
}

fn described(description: &str, mut schema: Map<String, Value>) -> Value {
    schema.insert("description".to_owned(), description.into());
    schema.into()
}
