//! What definitions are refused for, in upstream's words.

use serde_json::{Map, json};

use super::*;
use crate::defaults;
use crate::resource::{Resource, find};

fn row() -> &'static Resource {
    find("apiextensions.k8s.io", "v1", "customresourcedefinitions").expect("served")
}

fn definition(schema: Value) -> Value {
    let mut value = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tabs.a.io"}, "spec": {"group": "a.io", "scope": "Namespaced",
            "names": {"plural": "tabs", "kind": "Tab"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]}});
    defaults::apply(row(), &mut value);
    defaults::prepare_create(row(), &mut value);
    value
}

fn plain() -> Value {
    definition(json!({"type": "object", "properties": {"spec": {"type": "object"}}}))
}

#[track_caller]
fn check(definition: &Value, want: &[&str]) {
    let errors = crate::validate::create(row(), definition);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, want);
}

/// Errors of a schema, without the path to it.
#[track_caller]
fn check_schema(schema: Value, want: &[&str]) {
    let errors = crate::validate::create(row(), &definition(schema));
    let cut = |error: &FieldError| {
        let text = error.to_string();
        let root = "spec.validation.openAPIV3Schema";
        text.strip_prefix(root).unwrap_or(&text).to_owned()
    };
    let errors: Vec<String> = errors.iter().map(cut).collect();
    assert_eq!(errors, want);
}

#[test]
fn what_follows_is_filled_in() {
    let value = plain();
    assert_eq!(value["spec"]["names"]["singular"], "tab");
    assert_eq!(value["spec"]["names"]["listKind"], "TabList");
    assert_eq!(value["spec"]["conversion"]["strategy"], "None");
    assert_eq!(value["status"]["storedVersions"], json!(["v1"]));
    check(&value, &[]);
}

#[test]
fn names_and_groups() {
    let mut value = plain();
    object::set(&mut value, "metadata.name", "other.a.io");
    object::set(&mut value, "spec.group", "a");
    object::set(&mut value, "spec.names.kind", "Tab_");
    object::set(&mut value, "spec.names.listKind", "Tab_");
    object::set(&mut value, "spec.scope", "World");
    check(
        &value,
        &[
            r#"metadata.name: Invalid value: "other.a.io": must be spec.names.plural+"."+spec.group"#,
            r#"spec.group: Invalid value: "a": should be a domain with at least one dot"#,
            r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#,
            r#"spec.names.kind: Invalid value: "Tab_": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#,
            r#"spec.names.listKind: Invalid value: "Tab_": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#,
            r#"spec.names.listKind: Invalid value: "Tab_": kind and listKind may not be the same"#,
        ],
    );
}

#[test]
fn versions() {
    let mut value = plain();
    let mut second = value["spec"]["versions"][0].clone();
    second["storage"] = true.into();
    second["schema"]["openAPIV3Schema"]["properties"]["x"] = json!({});
    let all = value["spec"]["versions"].as_array_mut().expect("a list");
    all.push(second);
    all.push(json!({"name": "V3", "served": false, "storage": false, "deprecationWarning": "x"}));
    check(
        &value,
        &[
            "spec.versions[2].schema.openAPIV3Schema: Required value",
            r#"spec.versions[2].name: Invalid value: "V3": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#,
            r#"spec.versions[2].deprecationWarning: Invalid value: "x": can only be set for deprecated versions"#,
            "spec.versions[1].schema.openAPIV3Schema.properties[x].type: Required value: must not be empty for specified object fields",
            r#"spec.versions: Invalid value: ["v1","v1","V3"]: must contain unique version names"#,
            r#"spec.versions: Invalid value: ["v1","v1","V3"]: must have exactly one version marked as storage version"#,
        ],
    );
}

#[test]
fn parts_of_versions() {
    let mut value = plain();
    let version = &mut value["spec"]["versions"][0];
    version["subresources"] = json!({"scale": {"specReplicasPath": ".status.x",
        "labelSelectorPath": "x"}});
    version["additionalPrinterColumns"] = json!([{"name": "a", "type": "blob", "format": "x",
        "jsonPath": "spec"}, {}]);
    version["selectableFields"] = json!([{"jsonPath": ".spec"}, {"jsonPath": ".nope"}, {}]);
    check(
        &value,
        &[
            r#"spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec"#,
            "spec.subresources.scale.statusReplicasPath: Required value",
            r#"spec.subresources.scale.labelSelectorPath: Invalid value: "x": must be a simple json path starting with ."#,
            r#"spec.additionalPrinterColumns[0].type: Invalid value: "blob": must be one of boolean,date,integer,number,string"#,
            r#"spec.additionalPrinterColumns[0].format: Invalid value: "x": must be one of byte,date,date-time,double,float,int32,int64,password"#,
            r#"spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with ."#,
            "spec.additionalPrinterColumns[1].name: Required value",
            "spec.additionalPrinterColumns[1].type: Required value: must be one of boolean,date,integer,number,string",
            "spec.additionalPrinterColumns[1].JSONPath: Required value",
            r#"spec.selectableFields[0].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."#,
            r#"spec.selectableFields[1].jsonPath: Invalid value: ".nope": is an invalid path: does not refer to a valid field"#,
            "spec.selectableFields[2].jsonPath: Required value",
        ],
    );
}

#[test]
fn paths_have_few_steps() {
    let mut value = plain();
    let deep = |root: &str| root.to_owned() + &".a".repeat(100);
    let version = &mut value["spec"]["versions"][0];
    version["subresources"] = json!({"scale": {"specReplicasPath": deep(".spec"),
        "statusReplicasPath": ".status".to_owned() + &".a".repeat(99)}});
    let why = "must be a simple json path of at most 100 steps";
    let found = deep(".spec");
    let scale = "spec.subresources.scale.specReplicasPath";
    check(
        &value,
        &[&format!("{scale}: Invalid value: {found:?}: {why}")],
    );
}

/// Looking for each key among all others would not come to an end here.
#[test]
fn many_list_map_keys() {
    let keys: Vec<String> = (0..50_000).map(|at| format!("k{at}")).collect();
    let property = |key: &String| (key.clone(), json!({"type": "string"}));
    let properties: Map<String, Value> = keys.iter().map(property).collect();
    let mut value = plain();
    value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["x"] = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
        "items": {"type": "object", "properties": properties, "required": keys},
    });
    check(&value, &[]);
}

#[test]
fn many_versions() {
    let mut value = plain();
    let version = |at: usize| {
        let mut version = value["spec"]["versions"][0].clone();
        version["name"] = json!(format!("v{at}"));
        version["storage"] = json!(at == 0);
        version
    };
    let mut versions: Vec<Value> = (0..10_000).map(version).collect();
    let last = versions.last_mut().expect("some");
    last["schema"]["openAPIV3Schema"] = json!({"type": "object"});
    let names: Vec<Value> = versions.iter().map(|it| it["name"].clone()).collect();
    object::set(&mut value, "spec.versions", versions);
    object::set(&mut value, "status.storedVersions", names.clone());
    check(&value, &[]);
    value["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "clientConfig": {"url": "https://x"}, "conversionReviewVersions": names}});
    check(
        &value,
        &[
            "spec.conversion.strategy: Forbidden: this server does not convert between several versions by webhook",
        ],
    );
}

/// A name of any length is in the path of whatever is below it.
#[test]
fn many_properties_below_a_long_name() {
    let property = |at: usize| (format!("k{at}"), json!({"type": "string"}));
    let properties: Map<String, Value> = (0..50_000).map(property).collect();
    let name = "x".repeat(1_000_000);
    let below = json!({"type": "object", "properties": properties});
    let schema = json!({"type": "object", "properties": { name.as_str(): below }});
    check_schema(schema.clone(), &[]);
    let mut wrong = schema;
    wrong["properties"][name]["properties"] = json!({"a": {"type": "b"}});
    let errors = crate::validate::create(row(), &definition(wrong));
    let field = &errors[0].field;
    assert!(field.len() < 2000, "{}", field.len());
    assert!(field.ends_with("…].properties[a].type"), "{field}");
}

#[test]
fn structural_schemas() {
    check_schema(
        json!({"type": "string"}),
        &[r#".type: Invalid value: "string": must be object at the root"#],
    );
    check_schema(
        json!({"properties": {"a": {"type": "array"}, "b": {"type": "array", "items": {}}}}),
        &[
            ".properties[a].items: Required value: must be specified",
            ".properties[b].items.type: Required value: must not be empty for specified array items",
            ".type: Required value: must not be empty at the root",
        ],
    );
    check_schema(
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        &[".additionalProperties: Forbidden: must not be used at the root"],
    );
    check_schema(
        json!({"type": "object", "properties": {"a": {"type": "object", "anyOf": [
            {"properties": {"b": {"type": "string"}}}]}}}),
        &[
            ".properties[a].anyOf[0].properties[b].type: Forbidden: must be empty to be structural",
            ".properties[a].properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.properties[a].anyOf[0].properties[b]",
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {
            "a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "b": {"x-kubernetes-int-or-string": true,
                "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"minimum": 1}]},
            "c": {"x-kubernetes-preserve-unknown-fields": true}}}),
        &[],
    );
    check_schema(
        json!({"type": "object", "properties": {"metadata": {"type": "object",
            "properties": {"name": {"type": "string", "pattern": "^a"}}}}}),
        &[],
    );
    check_schema(
        json!({"type": "object", "properties": {"kind": {"type": "integer"},
            "metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
        &[
            r#".properties[kind].type: Invalid value: "integer": must be string"#,
            ".properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
        &[
            r#".properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: unclosed group"#,
        ],
    );
}

#[test]
fn what_openapi_has_and_kubernetes_has_not() {
    check_schema(
        json!({"type": "object", "$ref": "#/x", "properties": {"a": {"type": "array",
            "uniqueItems": true, "items": [{"type": "string"}]}}}),
        &[
            ".$ref: Forbidden: $ref is not supported",
            ".properties[a].items: Forbidden: items must be a schema object and not an array",
            ".properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {"a": {"type": "object",
            "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}}),
        &[
            ".properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {
            "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "z"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
            "m": {"type": "string", "x-kubernetes-map-type": "atomic"},
            "p": {"type": "object", "x-kubernetes-preserve-unknown-fields": false},
            "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}}}),
        &[
            ".properties[l].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            r#".properties[l].x-kubernetes-list-map-keys: Invalid value: ["k","z"]: entries must all be names of item properties"#,
            r#".properties[m].type: Invalid value: "string": must be object if x-kubernetes-map-type is specified"#,
            ".properties[p].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined",
            r#".properties[s].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"#,
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {"a": {"type": "blob"}}}),
        &[
            r#".properties[a].type: Unsupported value: "blob": supported values: "array", "boolean", "integer", "number", "object", "string""#,
        ],
    );
    check_schema(
        json!({"type": "object", "properties": {"a": {"type": "array", "items": {"maxLength": "x"}}}}),
        &[": Invalid value: \"\": a: items: maxLength must be an integer"],
    );
}

#[test]
fn defaults_must_fit() {
    check_schema(
        json!({"type": "object", "properties": {
            "a": {"type": "string", "default": 1},
            "b": {"type": "object", "default": {"x": 1}, "properties": {"y": {"type": "string"}}},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}}}),
        &[
            r#".properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#,
            r#".properties[b].default: Invalid value: {"x":1}: must not have unknown fields"#,
            ".properties[metadata].properties[name].default: Forbidden: must not be set in top-level metadata",
        ],
    );
    let template = |default: Value| {
        json!({"type": "object", "properties": {"t": {"type": "object",
            "x-kubernetes-embedded-resource": true, "properties": {
                "metadata": {"type": "object", "properties": {"name": {"type": "string",
                    "default": default}}}}}}})
    };
    check_schema(template(json!("fine")), &[]);
    check_schema(
        template(json!("a/b")),
        &[
            r#".properties[t].properties[metadata].properties[name].default: Invalid value: "a/b": must result in valid metadata: .metadata.name: Invalid value: "a/b": may not contain '/'"#,
        ],
    );
}

#[test]
fn what_stands_at_the_root() {
    let schema = |fields: Value| {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let fields = fields.as_object().expect("fields").clone();
        schema.as_object_mut().expect("a schema").extend(fields);
        schema
    };
    let unsupported = ": Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported";
    check_schema(schema(json!({"$schema": "x"})), &[unsupported]);
    let below = json!({"properties": {"a": {"type": "object", "$schema": "x"}}, "$schema": "y"});
    check_schema(schema(below), &[unsupported]);
    check_schema(schema(json!({"example": {"$schema": "x"}})), &[]);
    let required = [
        ".default.apiVersion: Required value",
        ".default.kind: Required value",
    ];
    check_schema(schema(json!({"default": {}})), &required);
    let unknown = ".default: Invalid value: {\"x\":1}: must not have unknown fields";
    check_schema(
        schema(json!({"default": {"x": 1}})),
        &[unknown, required[0], required[1]],
    );
    let whole = json!({"apiVersion": "a/v1", "kind": "Q", "metadata": {"name": "n"}, "a": "1"});
    check_schema(schema(json!({"default": whole})), &[]);
    check_schema(
        schema(json!({"default": {"apiVersion": "", "kind": "Q"}})),
        &[".default.apiVersion: Invalid value: \"\": must not be empty"],
    );
    check_schema(
        schema(json!({"default": "x"})),
        &[".default: Invalid value: \"string\":  in body must be of type object: \"string\""],
    );
}

#[test]
fn rules_and_roots() {
    check_schema(
        json!({"type": "object", "x-kubernetes-validations": [{"rule": " "}, {"rule": "a\nb"},
            {"rule": "true", "message": " ", "reason": "Because", "fieldPath": ".nope"}]}),
        &[
            ".x-kubernetes-validations[0].rule: Required value: rule is not specified",
            ".x-kubernetes-validations[1].message: Required value: message must be specified if rule contains line breaks",
            r#".x-kubernetes-validations[2].message: Invalid value: " ": must be non-empty if specified"#,
            r#".x-kubernetes-validations[2].reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#,
            r#".x-kubernetes-validations[2].fieldPath: Invalid value: ".nope": must be a valid path"#,
        ],
    );
    let mut value = definition(json!({"type": "object", "nullable": true, "oneOf": []}));
    value["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    let errors = crate::validate::create(row(), &value);
    assert!(
        errors[0].detail.starts_with("only [description type"),
        "{errors:?}"
    );
    assert_eq!(
        errors[1].to_string(),
        "spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root"
    );
}

#[test]
fn conversions() {
    let mut value = plain();
    value["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "clientConfig": {"url": "http://x"}, "conversionReviewVersions": ["v2"]}});
    check(
        &value,
        &[
            r#"spec.conversion.webhookClientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]"#,
            r#"spec.conversion.conversionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1"#,
        ],
    );
    value["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"clientConfig":
        {"service": {"name": "a", "namespace": "b", "port": 443}}, "conversionReviewVersions": ["v1"]}});
    check(&value, &[]);
    let mut second = value["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    value["spec"]["versions"]
        .as_array_mut()
        .expect("a list")
        .push(second);
    check(
        &value,
        &[
            "spec.conversion.strategy: Forbidden: this server does not convert between several versions by webhook",
        ],
    );
    value["spec"]["conversion"]["strategy"] = "None".into();
    assert_eq!(crate::validate::create(row(), &value).len(), 2);
}

#[test]
fn updates() {
    let old = custom::accept(
        &plain(),
        &custom::UsedNames::default(),
        "2026-01-01T00:00:00Z",
    );
    let mut new = old.clone();
    object::set(&mut new, "metadata.resourceVersion", "1");
    object::set(&mut new, "spec.scope", "Cluster");
    object::set(&mut new, "spec.names.kind", "Bat");
    object::set(&mut new, "spec.names.plural", "bats");
    new["spec"]["versions"][0]["name"] = "v2".into();
    defaults::prepare_update(row(), &mut new, &old);
    assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]));
    let errors = crate::validate::update(row(), &new, &old);
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "status.storedVersions[0]",
            "spec.names.plural",
            "spec.scope",
            "spec.names.kind"
        ]
    );
}
