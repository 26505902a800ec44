//! Version 2 out of version 3: the same facts where the older format has them.

use serde_json::{Map, Value, json};

/// What references of version 3 and 2 start with.
const V3: &str = "#/components/schemas/";
const V2: &str = "#/definitions/";

/// Keywords of schemas that version 2 does not have.
const NEWER: [&str; 4] = ["anyOf", "oneOf", "not", "nullable"];

/// A path with its operations.
pub(super) fn path_item(item: Value) -> Value {
    let members = item.as_object().cloned().unwrap_or_default();
    members
        .into_iter()
        .map(|(name, member)| match name.as_str() {
            "parameters" => (name, parameters(member).into()),
            _ => (name, operation(member)),
        })
        .collect::<Map<_, _>>()
        .into()
}

/// A schema and its name. A type of two forms is the text it may always be written as.
pub(super) fn definition(name: String, schema: Value) -> (String, Value) {
    let two_forms = schema.get("oneOf").is_some() && schema.get("type").is_none();
    let mut schema = self::schema(schema);
    if two_forms {
        schema["type"] = "string".into();
    }
    (name, schema)
}

fn operation(operation: Value) -> Value {
    let mut members = operation.as_object().cloned().unwrap_or_default();
    let mut parameters = parameters(members.remove("parameters").unwrap_or_default());
    let mut consumes = vec![Value::from("*/*")];
    if let Some(body) = members.remove("requestBody") {
        let (types, schema) = content(&body);
        consumes = types;
        let mut parameter = Map::new();
        parameter.insert("name".to_owned(), "body".into());
        parameter.insert("in".to_owned(), "body".into());
        if body["required"] == true {
            parameter.insert("required".to_owned(), true.into());
        }
        parameter.insert("schema".to_owned(), schema);
        parameters.push(parameter.into());
    }
    let mut produces = Vec::new();
    let mut responses = Map::new();
    let answers = members.remove("responses").unwrap_or_default();
    for (code, answer) in answers.as_object().into_iter().flatten() {
        let mut response = json!({ "description": answer["description"] });
        if answer.get("content").is_some() {
            let (types, schema) = content(answer);
            response["schema"] = schema;
            produces = types;
        }
        responses.insert(code.clone(), response);
    }
    members.insert("consumes".to_owned(), consumes.into());
    members.insert("produces".to_owned(), produces.into());
    members.insert("schemes".to_owned(), json!(["https"]));
    if !parameters.is_empty() {
        members.insert("parameters".to_owned(), parameters.into());
    }
    members.insert("responses".to_owned(), responses.into());
    members.into()
}

/// Media types, and the schema all of them share.
fn content(body: &Value) -> (Vec<Value>, Value) {
    let content = body["content"].as_object();
    let types = content.into_iter().flat_map(Map::keys);
    let types = types.map(|name| Value::from(name.as_str())).collect();
    let first = content.and_then(|content| content.values().next());
    let shared = first.map(|media| schema(media["schema"].clone()));
    (types, shared.unwrap_or_default())
}

/// What is a schema of its own there stands beside the name here.
fn parameters(list: Value) -> Vec<Value> {
    let all = list.as_array().cloned().unwrap_or_default();
    all.into_iter()
        .map(|mut parameter| {
            if let Some(members) = parameter.as_object_mut()
                && let Some(Value::Object(schema)) = members.remove("schema")
            {
                members.extend(schema);
            }
            parameter
        })
        .collect()
}

fn schema(value: Value) -> Value {
    match value {
        Value::Object(members) => object(members).into(),
        other => other,
    }
}

fn object(mut members: Map<String, Value>) -> Map<String, Value> {
    // Null is of no type here: where it may stand, nothing is said about what may stand instead.
    if members.get("nullable") == Some(&Value::Bool(true)) {
        for said in ["type", "properties", "items", "additionalProperties"] {
            members.remove(said);
        }
    }
    let mut schema = Map::new();
    for (name, member) in members {
        match name.as_str() {
            "$ref" => {
                let name = member.as_str().unwrap_or_default();
                let name = name.strip_prefix(V3).unwrap_or(name);
                schema.insert("$ref".to_owned(), format!("{V2}{name}").into());
            }
            // A list of one is how version 3 puts a description beside a reference.
            "allOf" => {
                if let Value::Array(mut all) = member
                    && let Some(Value::Object(only)) = all.pop()
                    && all.is_empty()
                {
                    schema.extend(object(only));
                }
            }
            "properties" => {
                let Value::Object(properties) = member else {
                    continue;
                };
                let properties = properties.into_iter();
                let properties: Map<String, Value> = properties
                    .map(|(name, property)| (name, self::schema(property)))
                    .collect();
                schema.insert(name, properties.into());
            }
            "items" | "additionalProperties" => {
                schema.insert(name, self::schema(member));
            }
            newer if NEWER.contains(&newer) => {}
            _ => {
                schema.insert(name, member);
            }
        }
    }
    schema
}
