//! What bodies of custom resources become, and what is said of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema() -> Node {
    Node::parse(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true,
                "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}))
    .expect("compiles")
}

#[test]
fn duplicates_come_first_then_metadata_then_the_rest() {
    let body = br#"{"spec": {"zz": 1, "replicas": 1, "replicas": 2, "aa": 1,
        "template": {"kind": "P", "metadata": {"odd": 1}}}, "apiVersion": "g/v1", "kind": "K",
        "metadata": {"name": "a", "odd": 1, "creationTimestamp": null}, "status": {"x": {"y": null}}}"#;
    let decoded = json(body, &schema()).expect("decodes");
    let want = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"},
        "spec": {"replicas": 2, "template": {"kind": "P", "metadata": {}}},
        "status": {"x": {"y": null}}});
    assert_eq!(decoded.value, want);
    let first: Vec<&String> = decoded
        .value
        .as_object()
        .expect("one")
        .keys()
        .take(2)
        .collect();
    assert_eq!(first, ["apiVersion", "kind"]);
    assert_eq!(
        decoded.warnings,
        [
            r#"duplicate field "spec.replicas""#,
            r#"unknown field "metadata.odd""#,
            r#"unknown field "spec.aa""#,
            r#"unknown field "spec.zz""#,
            r#"unknown field "spec.template.metadata.odd""#,
        ]
    );
    let again = value(decoded.value, &schema()).expect("decodes");
    assert_eq!(again.value, want);
    assert!(again.warnings.is_empty());
}

/// Telling the whole path of each would take minutes.
#[test]
fn duplicates_below_a_long_key() {
    let key = "k".repeat(1 << 20);
    let same = r#""a":1,"#.repeat(200_000);
    let body = format!(r#"{{"{key}":{{{same}"a":1}}}}"#);
    assert_eq!(duplicates(body.as_bytes()).len(), 1);
    // Each in a map of its own, and all with the same path.
    let maps = r#""m":{"a":1,"a":1},"#.repeat(50_000);
    let body = format!(r#"{{"{key}":{{{maps}"n":1}}}}"#);
    assert_eq!(duplicates(body.as_bytes()).len(), 2);
}

/// As if each had a copy of the path to hold.
#[test]
fn embedded_objects_below_a_long_key() {
    let template = json!({"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true});
    let lists = json!({"type": "array", "items": template});
    let node = Node::parse(&json!({"type": "object", "properties": {"spec": {
        "type": "object", "additionalProperties": lists}}}));
    let item = json!({"metadata": {"odd": 1}});
    let body = json!({"kind": "K", "spec": {"k".repeat(1 << 20): vec![item; 50_000]}});
    let decoded = value(body, &node.expect("compiles")).expect("decodes");
    assert_eq!(decoded.warnings.len(), 100);
}

#[test]
fn yaml_is_held_to_the_same_rules() {
    let body = b"apiVersion: g/v1\nkind: K\nspec:\n  replicas: 1\n  replicas: 3\n  x: y\n";
    let decoded = yaml(body, &schema()).expect("decodes");
    assert_eq!(decoded.value["spec"], json!({"replicas": 3}));
    assert_eq!(
        decoded.warnings,
        [
            r#"duplicate field "spec.replicas""#,
            r#"unknown field "spec.x""#
        ]
    );
}

#[test]
fn types_are_for_validation_but_metadata_is_not() {
    let check = |body: &str| json(body.as_bytes(), &schema()).map(|decoded| decoded.value);
    assert!(check(r#"{"kind":"K","spec":{"replicas":"three"}}"#).is_ok());
    assert!(check(r#"{"kind":"K","spec":7}"#).is_ok());
    for body in [
        "",
        "[]",
        "null",
        "{}x",
        r#"{"kind":1}"#,
        r#"{"kind":"K","apiVersion":[]}"#,
        r#"{"kind":"K","metadata":"text"}"#,
        r#"{"kind":"K","metadata":{"name":1}}"#,
        r#"{"kind":"K","metadata":{"labels":{"a":1}}}"#,
        r#"{"kind":"K","spec":{"template":{"kind":1}}}"#,
    ] {
        assert!(check(body).is_err(), "{body}");
    }
    let error = check(r#"{"apiVersion":"g/v1"}"#).expect_err("no kind");
    assert_eq!(
        error.message,
        r#"Object 'Kind' is missing in '{"apiVersion":"g/v1"}'"#
    );
    let huge = check(r#"{"kind":"K","spec":{"replicas":18446744073709551615}}"#).expect("decodes");
    assert!(huge["spec"]["replicas"].is_f64());
}

#[test]
fn hostile_bodies_end_quickly() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    assert!(json(deep("[", "]").as_bytes(), &schema()).is_err());
    assert!(json(deep(r#"{"spec":"#, "}").as_bytes(), &schema()).is_err());
    assert!(yaml(deep("[", "]").as_bytes(), &schema()).is_err());
    let many: String = (0..50_000).map(|n| format!(r#""x{n}":1,"#)).collect();
    let body = format!(r#"{{{many}"kind":"K"}}"#);
    let decoded = json(body.as_bytes(), &schema()).expect("decodes");
    assert_eq!(decoded.warnings.len(), 100);
    assert_eq!(decoded.value, json!({"kind": "K"}));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(text in r#"[\[\]{}:,"a-c0-9 \n#&*!|>-]{0,60}"#) {
        let _ = json(text.as_bytes(), &schema());
        let _ = yaml(text.as_bytes(), &schema());
        let body = format!(r#"{{"kind":"K","spec":{text}}}"#);
        let _ = json(body.as_bytes(), &schema());
    }
}
