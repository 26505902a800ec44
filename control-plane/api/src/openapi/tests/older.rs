//! Version 2, in both forms.

use serde_json::{Value, json};

use super::super::{built_in, swagger, v2, v2_protobuf};
use super::{operations, parse};

#[test]
fn it_says_what_version_3_says() {
    let older = parse(&v2(&[]));
    assert_eq!(older["swagger"], "2.0");
    let mut paths = 0;
    for one in built_in() {
        let newer = parse(&one.document);
        for (path, method, operation) in operations(&newer) {
            let same = &older["paths"][path][method];
            assert_eq!(same["operationId"], operation["operationId"], "{path}");
            assert_eq!(
                same["x-kubernetes-group-version-kind"],
                operation["x-kubernetes-group-version-kind"]
            );
            paths += 1;
        }
        let schemas = newer["components"]["schemas"]
            .as_object()
            .expect("has schemas");
        for (name, schema) in schemas {
            let same = &older["definitions"][name];
            assert_eq!(same["description"], schema["description"], "{name}");
            assert_eq!(same["required"], schema["required"], "{name}");
            let names = |schema: &Value| -> Vec<String> {
                let properties = schema["properties"].as_object().into_iter().flatten();
                properties.map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(same), names(schema), "{name}");
        }
    }
    assert!(paths > 500, "{paths}");
}

#[test]
fn references_lead_somewhere_and_nothing_newer_is_left() {
    let older = parse(&v2(&[]));
    let mut open = vec![&older];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                for newer in [
                    "allOf",
                    "oneOf",
                    "anyOf",
                    "nullable",
                    "requestBody",
                    "content",
                ] {
                    // A field may be called so.
                    let found = members.get(newer);
                    let field = found.is_some_and(|it| {
                        it.get("description").is_some() || it.get("type").is_some()
                    });
                    assert!(found.is_none() || field, "{newer}: {value}");
                }
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let name = reference.strip_prefix("#/definitions/").expect("is local");
                    assert!(older["definitions"][name].is_object(), "{reference}");
                    references += 1;
                }
                open.extend(members.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(references > 2_000, "{references}");
}

#[test]
fn what_clients_read() {
    let older = parse(&v2(&[]));
    let pod = &older["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"];
    let patch = &pod["patch"];
    assert!(
        patch["consumes"]
            .as_array()
            .is_some_and(|all| { all.contains(&json!("application/strategic-merge-patch+json")) })
    );
    let parameters = patch["parameters"].as_array().expect("has parameters");
    let named = |name: &str| parameters.iter().find(|one| one["name"] == name);
    let validation = named("fieldValidation").expect("is there");
    assert_eq!(
        (&validation["in"], &validation["type"]),
        (&json!("query"), &json!("string"))
    );
    assert!(validation.get("schema").is_none());
    let body = named("body").expect("is there");
    assert_eq!(
        *body,
        json!({"name": "body", "in": "body", "required": true,
            "schema": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Patch"}})
    );
    assert_eq!(
        patch["responses"]["200"],
        json!({"description": "OK", "schema": {"$ref": "#/definitions/io.k8s.api.core.v1.Pod"}})
    );
    assert_eq!(pod["parameters"][0]["type"], "string");
    let spec = &older["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"];
    assert_eq!(
        spec["affinity"]["$ref"],
        "#/definitions/io.k8s.api.core.v1.Affinity"
    );
    assert!(spec["affinity"]["description"].is_string());
    assert_eq!(spec["containers"]["x-kubernetes-patch-merge-key"], "name");
    let quantity = &older["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(quantity["type"], "string");
}

#[test]
fn schemas_lose_what_is_newer() {
    let newer =
        json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"});
    assert_eq!(
        swagger::definition("x".to_owned(), newer).1,
        json!({"format": "int-or-string", "type": "string"})
    );
    let nested = json!({"type": "object", "properties": {
        "allOf": {"type": "string", "nullable": false},
        "e": {"description": "d", "type": "object", "properties": {}, "nullable": true},
        "a": {"description": "d", "allOf": [{"$ref": "#/components/schemas/y"}]},
        "b": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/y"}]}},
        "c": {"type": "object", "additionalProperties": {"anyOf": [{}], "type": "string"}},
        "d": {"type": "object", "additionalProperties": true, "allOf": [{}, {}]}}});
    assert_eq!(
        swagger::definition("x".to_owned(), nested).1,
        json!({"type": "object", "properties": {
            "allOf": {"type": "string"},
            "e": {"description": "d"},
            "a": {"description": "d", "$ref": "#/definitions/y"},
            "b": {"type": "array", "items": {"$ref": "#/definitions/y"}},
            "c": {"type": "object", "additionalProperties": {"type": "string"}},
            "d": {"type": "object", "additionalProperties": true}}})
    );
}

/// The fields of a message: tag and content; numbers have none.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().expect("a number ends");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let content = match key & 7 {
            0 => {
                varint(&mut bytes);
                &[]
            }
            1 => {
                let (number, rest) = bytes.split_at(8);
                bytes = rest;
                number
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("fits");
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                content
            }
            other => panic!("wire type {other}"),
        };
        all.push((key >> 3, content));
    }
    all
}

fn field(message: &[u8], tag: u64) -> &[u8] {
    let mut found = fields(message).into_iter().filter(|(it, _)| *it == tag);
    found.next().unwrap_or_else(|| panic!("no field {tag}")).1
}

fn text(message: &[u8], tag: u64) -> &str {
    std::str::from_utf8(field(message, tag)).expect("is text")
}

#[test]
fn the_message_holds_the_same() {
    let json = parse(&v2(&[]));
    let packed = v2_protobuf(&[]);
    let message = packed.bytes();
    assert_eq!(text(&message, 1), "2.0");
    assert_eq!(text(field(&message, 2), 1), "Kubernetes");
    let all = |tag: u64, inner: u64| -> Vec<(String, Vec<u8>)> {
        let parts = fields(&message).into_iter().filter(|(it, _)| *it == tag);
        parts
            .map(|(_, part)| {
                let named = field(part, inner);
                (text(named, 1).to_owned(), field(named, 2).to_vec())
            })
            .collect()
    };
    let names = |all: &[(String, Vec<u8>)]| -> Vec<String> {
        all.iter().map(|(name, _)| name.clone()).collect()
    };
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("is an object")
            .keys()
            .cloned()
            .collect()
    };
    let (paths, definitions) = (all(8, 2), all(9, 1));
    assert_eq!(names(&paths), keys(&json["paths"]));
    assert_eq!(names(&definitions), keys(&json["definitions"]));
    let find = |all: &[(String, Vec<u8>)], name: &str| {
        let mut found = all.iter().filter(|(it, _)| it == name);
        found.next().expect("is there").1.clone()
    };
    let port = find(&definitions, "io.k8s.api.core.v1.ContainerPort");
    assert_eq!(text(field(&port, 22), 1), "object");
    assert_eq!(text(&port, 19), "containerPort");
    let protocol = fields(field(&port, 25))
        .into_iter()
        .map(|(_, named)| named)
        .find(|named| text(named, 1) == "protocol")
        .expect("is there");
    assert_eq!(text(field(field(protocol, 2), 5), 2), "\"TCP\"");
    let pod = find(&definitions, "io.k8s.api.core.v1.Pod");
    let extension = field(&pod, 31);
    assert_eq!(text(extension, 1), "x-kubernetes-group-version-kind");
    let yaml: Value = serde_json::from_str(text(field(extension, 2), 2)).expect("is JSON");
    assert_eq!(yaml, json!([{"group": "", "version": "v1", "kind": "Pod"}]));
    let item = find(&paths, "/api/v1/namespaces/{namespace}/pods/{name}");
    let patch = field(&item, 8);
    assert_eq!(text(patch, 5), "patchCoreV1NamespacedPod");
    let parameters = fields(patch).into_iter().filter(|(tag, _)| *tag == 8);
    let kinds: Vec<u64> = parameters
        .map(|(_, parameter)| fields(field(parameter, 1))[0].0)
        .collect();
    // Four in the query, one in the body.
    assert_eq!(kinds, [2, 2, 2, 2, 1]);
}
