use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategic;
use crate::patch::PatchError;
use crate::status::Status;

const POD: &str = "io.k8s.api.core.v1.Pod";

fn check(original: Value, patch: Value, expect: Value) {
    let merged = strategic(&original, &patch, POD).expect("merges");
    // Order within lists is part of the contract; order of fields is not.
    assert_eq!(merged, expect, "{patch}");
}

fn pod(containers: Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn maps_and_scalars() {
    check(
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeName": "x"}}),
        json!({"metadata": {"labels": {"a": null, "c": "3"}}, "spec": {"nodeName": null}}),
        json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {}}),
    );
    check(
        json!({}),
        json!({"spec": {"a": null, "b": {"c": null}}}),
        json!({"spec": {"b": {}}}),
    );
    check(
        json!({"metadata": {"labels": {"a": "1"}}}),
        json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}}),
        json!({"metadata": {"labels": {"b": "2"}}}),
    );
    check(
        json!({"metadata": {"labels": {"a": "1"}}}),
        json!({"metadata": {"labels": {"$patch": "delete"}}}),
        json!({"metadata": {"labels": {}}}),
    );
}

#[test]
fn keyed_lists() {
    check(
        pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}])),
        pod(json!([{"name": "b", "image": "3"}])),
        pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "3"}])),
    );
    // A new item stands before what only the server knows, unless the server's order says more.
    check(
        pod(json!([{"name": "a"}])),
        pod(json!([{"name": "z"}])),
        pod(json!([{"name": "z"}, {"name": "a"}])),
    );
    check(
        pod(json!([{"name": "a"}, {"name": "b"}])),
        pod(json!([{"name": "a", "$patch": "delete"}])),
        pod(json!([{"name": "b"}])),
    );
    check(
        pod(json!([{"name": "a"}, {"name": "b"}])),
        pod(json!([{"$patch": "replace"}, {"name": "c"}])),
        pod(json!([{"name": "c"}])),
    );
    check(
        pod(
            json!([{"name": "a", "ports": [{"containerPort": 80, "name": "x"}],
            "env": [{"name": "A", "value": "1"}], "args": ["x", "y"]}]),
        ),
        pod(
            json!([{"name": "a", "ports": [{"containerPort": 80, "name": "y"},
            {"containerPort": 81}], "env": [{"name": "B", "value": "2"}], "args": ["z"]}]),
        ),
        pod(
            json!([{"name": "a", "ports": [{"containerPort": 80, "name": "y"},
            {"containerPort": 81}], "env": [{"name": "B", "value": "2"},
            {"name": "A", "value": "1"}], "args": ["z"]}]),
        ),
    );
}

#[test]
fn lists_of_scalars() {
    let metadata = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    check(
        metadata(json!(["a/a", "b/b"])),
        metadata(json!(["b/b", "c/c"])),
        metadata(json!(["a/a", "b/b", "c/c"])),
    );
    check(
        metadata(json!(["a/a", "b/b"])),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"]}}),
        metadata(json!(["b/b"])),
    );
    check(
        metadata(json!(["a/a", "b/b"])),
        json!({"metadata": {"$setElementOrder/finalizers": ["b/b", "a/a"]}}),
        metadata(json!(["b/b", "a/a"])),
    );
}

#[test]
fn element_order() {
    check(
        pod(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
        json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}],
            "containers": [{"name": "d", "image": "i"}]}}),
        pod(json!([{"name": "b"}, {"name": "c"}, {"name": "d", "image": "i"}, {"name": "a"}])),
    );
    let wrong = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "b"}, {"name": "a"}]}});
    let error = strategic(&pod(json!([])), &wrong, POD).expect_err("wrong order");
    assert_eq!(Status::from(error).code, 400);
}

#[test]
fn retained_keys() {
    let volumes = |volume: Value| json!({"spec": {"volumes": [volume]}});
    check(
        volumes(json!({"name": "v", "emptyDir": {}})),
        volumes(
            json!({"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}),
        ),
        volumes(json!({"name": "v", "hostPath": {"path": "/"}})),
    );
    let bad = volumes(json!({"name": "v", "$retainKeys": ["name"], "hostPath": {"path": "/"}}));
    let original = volumes(json!({"name": "v", "emptyDir": {}}));
    let error = strategic(&original, &bad, POD).expect_err("hostPath is not retained");
    assert!(
        matches!(&error, PatchError::Malformed(why) if why == "invalid patch format of retainKeys")
    );
}

#[test]
fn new_items_carry_no_directives() {
    check(
        json!({"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}),
        json!({"spec": {"volumes": [{"name": "b", "$retainKeys": ["name", "emptyDir"],
            "emptyDir": {"medium": null}}]}}),
        json!({"spec": {"volumes": [{"name": "b", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}}),
    );
    check(
        json!({}),
        pod(
            json!([{"name": "a", "$setElementOrder/ports": [], "lifecycle": {"$patch": "delete"}}]),
        ),
        pod(json!([{"name": "a"}])),
    );
}

/// Comparing each item with each other would take minutes here.
#[test]
fn long_lists() {
    let variables = |start: usize| {
        let list: Vec<Value> = (start..start + 30_000)
            .map(|at| json!({"name": format!("V{at}"), "value": ""}))
            .collect();
        pod(json!([{"name": "c", "env": list}]))
    };
    let merged = strategic(&variables(0), &variables(20_000), POD).expect("merges");
    let env = &merged["spec"]["containers"][0]["env"];
    assert_eq!(env.as_array().map(Vec::len), Some(50_000));
}

/// Taking keys out one by one would take minutes here.
#[test]
fn many_keys() {
    const KEYS: usize = 100_000;
    let data = |name: fn(usize) -> String, value: &Value| -> Value {
        let entries = (0..KEYS).map(|at| (name(at), value.clone()));
        json!({"data": Value::Object(entries.collect())})
    };
    let key: fn(usize) -> String = |at| format!("k{at}");
    let original = data(key, &json!("v"));
    let start = Instant::now();
    for patch in [
        data(key, &Value::Null),
        data(key, &json!({"$patch": "delete"})),
    ] {
        let merged = strategic(&original, &patch, "io.k8s.api.core.v1.ConfigMap").expect("merges");
        assert_eq!(merged, json!({"data": {}}));
    }
    let orders = data(|at| format!("$setElementOrder/k{at}"), &json!([]));
    let merged = strategic(&json!({"data": {"x": ["a"]}}), &orders, POD).expect("merges");
    assert_eq!(merged, json!({"data": {"x": ["a"]}}));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn refusals() {
    let check = |original: Value, patch: Value, code: u16| {
        let error = strategic(&original, &patch, POD).expect_err("refused");
        assert_eq!(Status::from(error).code, code, "{patch}");
    };
    let containers = pod(json!([{"name": "a"}]));
    check(containers.clone(), json!([]), 400);
    check(containers.clone(), pod(json!([{"image": "x"}])), 400);
    check(
        containers.clone(),
        pod(json!([{"name": "a", "$patch": "frob"}])),
        400,
    );
    check(containers.clone(), pod(json!([["a"]])), 422);
    check(
        containers.clone(),
        json!({"spec": {"$patch": "merge"}}),
        400,
    );
    check(
        containers,
        json!({"spec": {"$deleteFromPrimitiveList": ["a"]}}),
        400,
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        "[ab]".prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        Just(json!("delete")),
        Just(json!("replace")),
    ];
    let key = prop_oneof![
        Just("name".to_owned()),
        Just("containers".to_owned()),
        Just("finalizers".to_owned()),
        Just("spec".to_owned()),
        Just("metadata".to_owned()),
        Just("$patch".to_owned()),
        Just("$retainKeys".to_owned()),
        Just("$setElementOrder/containers".to_owned()),
        Just("$deleteFromPrimitiveList/finalizers".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(original in any_json(), patch in any_json()) {
        let _ = strategic(&original, &patch, POD);
    }
}
