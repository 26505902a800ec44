//! Definitions as they are read, and objects on their way between versions.

use serde_json::json;

use super::*;

fn definition() -> Arc<Definition> {
    let schema = |field: &str| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
            "properties": {field: {"type": "string", "default": "x"},
                "both": {"type": "string"}}}}}})
    };
    let object = json!({"metadata": {"name": "tabs.a.io"},
        "spec": {"group": "a.io", "scope": "Cluster", "names": {"kind": "Tab"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": schema("one")},
            {"name": "v2", "served": true, "storage": false, "schema": schema("two"),
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n",
                    "statusReplicasPath": ".status.n"}},
                "selectableFields": [{"jsonPath": ".spec.both"}]},
            {"name": "v1beta1", "served": true, "storage": false, "deprecated": true},
            {"name": "v1alpha1", "served": true, "storage": false, "deprecated": true,
                "deprecationWarning": "do not"},
        ]},
        "status": {"acceptedNames": {"plural": "tabs", "kind": "Tab"}}});
    Arc::new(Definition::parse(&Bytes::from(object.to_string())).expect("parses"))
}

fn custom(version: &str) -> Custom {
    Custom::new(definition(), version).expect("a version")
}

#[test]
fn what_is_read() {
    let definition = definition();
    assert_eq!(
        (definition.storage().name.as_str(), definition.namespaced),
        ("v1", false)
    );
    assert_eq!(definition.names.plural, "tabs");
    let two = definition.version("v2").expect("there");
    assert!(two.status && two.scale.is_some());
    assert_eq!(two.selectable, ["spec.both"]);
    assert!(!definition.version("v1").expect("there").status);
    let warning = |name: &str| definition.version(name).and_then(|it| it.warning.clone());
    assert_eq!(warning("v1"), None);
    assert_eq!(
        warning("v1beta1").as_deref(),
        Some("a.io/v1beta1 Tab is deprecated; use a.io/v2 Tab")
    );
    assert_eq!(warning("v1alpha1").as_deref(), Some("do not"));
    assert_eq!(two.openapi_v3()["type"], "object");
}

#[test]
fn stored_objects_are_pruned_defaulted_and_converted() {
    let stored = json!({"apiVersion": "a.io/v1", "kind": "Tab", "metadata": {"name": "a"},
        "spec": {"both": "b", "gone": 1}});
    let same = custom("v1").read(stored.clone());
    assert_eq!(same["spec"], json!({"both": "b", "one": "x"}));
    let other = custom("v2").read(stored);
    assert_eq!(other["apiVersion"], "a.io/v2");
    // Defaulted by the schema it was stored under, pruned by the one it is shown under.
    assert_eq!(other["spec"], json!({"both": "b"}));
    let back = custom("v2").store(json!({"apiVersion": "a.io/v2", "kind": "Tab",
        "spec": {"two": "x", "both": "b"}}));
    assert_eq!(
        back,
        json!({"apiVersion": "a.io/v1", "kind": "Tab", "spec": {"both": "b"}})
    );
}

#[test]
fn definitions_that_say_too_little_are_refused() {
    for text in [
        "",
        "{}",
        r#"{"metadata":{"name":"a"},"spec":{"group":"g"}}"#,
    ] {
        assert!(Definition::parse(&Bytes::from(text)).is_err(), "{text}");
    }
}
