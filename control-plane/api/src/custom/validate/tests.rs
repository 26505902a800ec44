//! What is refused, in upstream's words.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn check(schema: Value, value: Value, want: &[&str]) {
    check_update(schema, value, None, want);
}

#[track_caller]
fn check_update(schema: Value, value: Value, old: Option<Value>, want: &[&str]) {
    let node = Node::parse(&json!({"type": "object", "properties": {"spec": schema}}))
        .expect("the schema compiles");
    let value = json!({"spec": value});
    let old = old.map(|old| json!({"spec": old}));
    let errors = super::schema("", &node, &value, old.as_ref());
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, want);
}

#[test]
fn types() {
    let typed = |kind: &str| json!({"type": kind});
    check(typed("string"), json!("a"), &[]);
    check(
        typed("integer"),
        json!("a"),
        &[r#"spec: Invalid value: "string": spec in body must be of type integer: "string""#],
    );
    check(
        typed("object"),
        json!([]),
        &[r#"spec: Invalid value: "array": spec in body must be of type object: "array""#],
    );
    check(typed("integer"), json!(1.0), &[]);
    check(
        typed("integer"),
        json!(1.5),
        &[
            r#"spec: Invalid value: "number": spec in body must be of type integer: "number""#,
            r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec"#,
        ],
    );
    check(typed("number"), json!(1), &[]);
    check(
        typed("string"),
        json!(null),
        &[r#"spec: Invalid value: "null": spec in body must be of type string: "null""#],
    );
    check(
        json!({"type": "string", "nullable": true}),
        json!(null),
        &[],
    );
    let either = json!({"x-kubernetes-int-or-string": true});
    check(either.clone(), json!(1), &[]);
    check(either.clone(), json!("50%"), &[]);
    check(
        either,
        json!(true),
        &[
            r#"spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean""#,
        ],
    );
    check(
        json!({"type": "integer", "format": "int32"}),
        json!(3_000_000_000_i64),
        &[
            r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec"#,
        ],
    );
}

#[test]
fn strings_and_numbers() {
    check(
        json!({"type": "string", "maxLength": 2, "minLength": 1}),
        json!("äöü"),
        &["spec: Too long: may not be more than 2 bytes"],
    );
    check(
        json!({"type": "string", "minLength": 2}),
        json!("ä"),
        &[r#"spec: Invalid value: "ä": spec in body should be at least 2 chars long"#],
    );
    check(
        json!({"type": "string", "pattern": "^a+$"}),
        json!("b"),
        &[r#"spec: Invalid value: "b": spec in body should match '^a+$'"#],
    );
    check(
        json!({"type": "string", "enum": ["Great", "Down"]}),
        json!("Bad"),
        &[r#"spec: Unsupported value: "Bad": supported values: "Great", "Down""#],
    );
    check(json!({"type": "integer", "enum": [1, 2]}), json!(2.0), &[]);
    check(
        json!({"type": "integer", "minimum": 1, "maximum": 3, "multipleOf": 2}),
        json!(5),
        &[
            "spec: Invalid value: 5: spec in body should be a multiple of 2",
            "spec: Invalid value: 5: spec in body should be less than or equal to 3",
        ],
    );
    check(
        json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true}),
        json!(0.5),
        &["spec: Invalid value: 0.5: spec in body should be greater than 0.5"],
    );
    check(
        json!({"type": "number", "multipleOf": 0.1}),
        json!(0.3),
        &[],
    );
    check(
        json!({"type": "string", "format": "date-time"}),
        json!("today"),
        &[r#"spec: Invalid value: "today": spec in body must be of type date-time: "today""#],
    );
    check(
        json!({"type": "string", "format": "whatever"}),
        json!("x"),
        &[],
    );
}

#[test]
fn lists_and_objects() {
    let list = json!({"type": "array", "maxItems": 2, "minItems": 1, "items": {"type": "string"}});
    check(
        list.clone(),
        json!(["a", 1, "c"]),
        &[
            r#"spec[1]: Invalid value: "integer": spec[1] in body must be of type string: "integer""#,
            "spec: Too many: 3: must have at most 2 items",
        ],
    );
    check(
        list,
        json!([]),
        &["spec: Invalid value: 0: spec in body should have at least 1 items"],
    );
    check(
        json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string"}}}),
        json!({"b": 1}),
        &["spec.a: Required value"],
    );
    check(
        json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}),
        json!({"a": 1, "b": "x"}),
        &[
            "spec: Too many: 2: must have at most 1 item",
            r#"spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer""#,
        ],
    );
}

#[test]
fn alternatives() {
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    check(one.clone(), json!({"a": "x"}), &[]);
    check(
        one.clone(),
        json!({}),
        &[
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.a: Required value",
        ],
    );
    check(
        one,
        json!({"a": "x", "b": "y"}),
        &[
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ],
    );
    let any = json!({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 2}]});
    check(any.clone(), json!(1), &[]);
    check(
        any,
        json!(3),
        &[
            r#"<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)"#,
            "spec: Invalid value: 3: spec in body should be greater than or equal to 5",
        ],
    );
    check(
        json!({"type": "integer", "not": {"enum": [3]}}),
        json!(3),
        &[r#"<nil>: Invalid value: "": "spec" must not validate the schema (not)"#],
    );
    check(
        json!({"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 9}]}),
        json!(3),
        &[
            "spec: Invalid value: 3: spec in body should be greater than or equal to 5",
            r#"<nil>: Invalid value: "": "spec" must validate all the schemas (allOf)"#,
        ],
    );
}

#[test]
fn what_did_not_change_is_forgiven() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string", "maxLength": 1},
        "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"},
                "v": {"type": "string", "enum": ["x"]}}}}}});
    let old = json!({"a": "long", "l": [{"k": "1", "v": "bad"}, {"k": "2", "v": "x"}]});
    check_update(schema.clone(), old.clone(), Some(old.clone()), &[]);
    let new = json!({"a": "long", "l": [{"k": "2", "v": "bad"}, {"k": "1", "v": "bad"}]});
    check_update(
        schema.clone(),
        new,
        Some(old.clone()),
        &[r#"spec.l[0].v: Unsupported value: "bad": supported values: "x""#],
    );
    let new = json!({"a": "longer", "l": []});
    check_update(
        schema,
        new,
        Some(old),
        &["spec.a: Too long: may not be more than 1 byte"],
    );
}

#[test]
fn repeated_items() {
    let node = Node::parse(&json!({"type": "object", "properties": {
        "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "m": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["a", "b"], "items": {"type": "object"}},
        "d": {"type": "object", "additionalProperties": {"type": "array",
            "x-kubernetes-list-type": "set", "items": {"type": "integer"}}},
    }}))
    .expect("compiles");
    let value = json!({"s": ["x", "y", "x", "x"], "m": [{"a": 1, "b": 2, "c": 3}, {"b": 2, "a": 1}, {"a": 1}],
        "d": {"k": [1, 1]}});
    let errors: Vec<String> = lists::unique(&node, &value)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            r#"s[2]: Duplicate value: "x""#,
            r#"m[1]: Duplicate value: {"a":1,"b":2}"#,
            "d[k][1]: Duplicate value: 1",
        ]
    );
    let errors = lists::unique(&node, &json!({"m": [1]}));
    assert_eq!(
        errors[0].to_string(),
        "m[0]: Invalid value: 1: must be an object for an array of list-type map"
    );
}

#[test]
fn embedded_resources() {
    let node = Node::parse(
        &json!({"type": "object", "properties": {"t": {"type": "object",
        "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}}),
    )
    .expect("compiles");
    let check = |value: Value, want: &[&str]| {
        let errors: Vec<String> = resource::embedded(&node, &json!({"t": value}))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, want);
    };
    check(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}),
        &[],
    );
    check(
        json!({}),
        &["t.apiVersion: Required value", "t.kind: Required value"],
    );
    check(
        json!({"apiVersion": "a/b/c", "kind": ""}),
        &[
            r#"t.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c"#,
            r#"t.kind: Invalid value: "": must not be empty"#,
        ],
    );
    check(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}}),
        &[r#"t.metadata.name: Invalid value: "a/b": may not contain '/'"#],
    );
}

#[test]
fn schemas_that_ask_for_too_much_end() {
    let alternative = json!({"items": {"maximum": 0}});
    let schema = json!({"type": "array", "items": {"type": "integer"},
        "anyOf": vec![alternative; 1000]});
    check(
        schema,
        json!(vec![1; 10_000]),
        &[r#"<nil>: Invalid value: "": the schema asks for too many checks of this object"#],
    );
    // Every alternative finds the text wrong, and then that it was so before.
    let alternative = json!({"required": ["b"], "properties": {"text": {"minItems": 2}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"},
        "text": {"type": "array", "items": {"type": "string"}}}, "anyOf": vec![alternative; 1000]});
    let text = ["x".repeat(3 << 20)];
    check_update(
        schema,
        json!({"a": 1, "text": text}),
        Some(json!({"a": 2, "text": text})),
        &[r#"<nil>: Invalid value: "": the schema asks for too many checks of this object"#],
    );
}

/// Of many problems, each with a path as long as a body, so many are written as will be told.
/// Of main writes and of those to the status alone.
#[test]
fn schemas_that_ask_for_too_many_defaults_are_refused() {
    let large = json!({"type": "string", "default": "x"});
    let item = json!({"type": "object", "properties": {"a": large}});
    let list = json!({"type": "object", "properties": {"l": {"type": "array", "items": item}}});
    let both = json!({"type": "object", "properties": {"spec": list, "status": list}});
    let object = json!({"metadata": {"name": "tabs.a.io"},
        "spec": {"group": "a.io", "scope": "Cluster", "names": {"kind": "Tab"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": both}}]},
        "status": {"acceptedNames": {"plural": "tabs", "kind": "Tab"}}});
    let bytes = bytes::Bytes::from(object.to_string());
    let definition = crate::custom::Definition::parse(&bytes).expect("parses");
    let custom = Custom::new(std::sync::Arc::new(definition), "v1").expect("a version");
    // What is left when filling them in has ended early.
    let unfilled = json!({"l": [{"a": "x"}, {}]});
    let filled = json!({"l": [{"a": "x"}, {"a": "x"}]});
    let object = |spec: &Value, status: &Value| json!({"spec": spec, "status": status});
    let wrong = |errors: Vec<FieldError>| !errors.is_empty();
    let good = object(&filled, &filled);
    assert!(!wrong(create(&custom, &good)) && !wrong(status_update(&custom, &good, &good)));
    let bad = object(&unfilled, &filled);
    assert!(wrong(create(&custom, &bad)) && wrong(update(&custom, &bad, &good)));
    assert!(!wrong(status_update(&custom, &bad, &bad)));
    let bad = object(&filled, &unfilled);
    assert!(wrong(status_update(&custom, &bad, &good)));
    // The version has no status of its own: it is part of the object.
    assert!(wrong(create(&custom, &bad)) && wrong(update(&custom, &bad, &good)));
}

#[test]
fn many_problems_below_a_long_key() {
    let key = "k".repeat(1 << 20);
    let numbers = json!({key.clone(): vec![0; 300_000]});
    let errors = |node: &Value, value: &Value| {
        let node = Node::parse(node).expect("compiles");
        super::schema("", &node, &json!({"m": value}), None).len()
    };
    let map = |items: Value| {
        let lists = json!({"type": "array", "items": items});
        json!({"properties": {"m": {"type": "object", "additionalProperties": lists}}})
    };
    assert_eq!(errors(&map(json!({"type": "string"})), &numbers), 100);
    assert_eq!(errors(&map(json!({"enum": ["a", "b"]})), &numbers), 100);
    // The same is found by each of many schemas, which is told once and takes as long every time.
    let mut all = map(json!({}));
    let wrong = vec![json!({"additionalProperties": {"minItems": 300_001}}); 100_000];
    all["properties"]["m"]["allOf"] = wrong.into();
    assert_eq!(errors(&all, &numbers), 1);
    let mut any = map(json!({}));
    let wrong = json!({"additionalProperties": {"items": {"type": "string"}}});
    any["properties"]["m"]["anyOf"] = json!([wrong, {"minProperties": 2}]);
    assert_eq!(errors(&any, &numbers), 100);
}

/// A list in a map of lists that holds something else than objects is told by its path, too.
#[test]
fn lists_without_keys_below_a_long_key() {
    let item = json!({"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object"}});
    let node = Node::parse(&json!({"additionalProperties": {"items": item}})).expect("compiles");
    let value = json!({"k".repeat(1 << 20): vec![json!([1]); 50_000]});
    assert_eq!(lists::unique(&node, &value).len(), 100);
    let embedded = json!({"x-kubernetes-embedded-resource": true});
    let node =
        Node::parse(&json!({"additionalProperties": {"items": embedded}})).expect("compiles");
    let fine = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let value = json!({"k".repeat(1 << 20): vec![fine; 50_000]});
    assert_eq!(resource::embedded(&node, &value), []);
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(number in any::<f64>(), text in "[a-z0-9:./+-]{0,20}", factor in any::<f64>()) {
        let node = Node::parse(&json!({"type": "object", "properties": {
            "n": {"type": "number", "multipleOf": factor, "minimum": factor, "format": "float"},
            "i": {"type": "integer", "multipleOf": factor, "maximum": factor, "format": "int32"},
            "s": {"type": "string"},
        }}));
        if let Ok(node) = node {
            let value = json!({"n": number, "i": number, "s": text});
            let _ = super::schema("", &node, &value, None);
        }
        for (format, _) in [("uri", 0), ("email", 0), ("date-time", 0), ("duration", 0), ("mac", 0),
            ("cidr", 0), ("isbn", 0), ("creditcard", 0), ("rgbcolor", 0), ("uuid4", 0), ("hostname", 0)] {
            let _ = format::holds(format, &text);
        }
    }
}
