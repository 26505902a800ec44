//! Objects with tens of thousands of managers, which anybody may send. What is done for each pair of them, or for each
//! manager and each field, would take minutes here.

use serde_json::{Map, json};

use super::story::{CONFIG_MAP, DEPLOYMENT};
use super::*;
use crate::object;

const MANAGERS: usize = 20_000;

fn managers(entry: impl Fn(usize) -> Value) -> Value {
    (0..MANAGERS)
        .map(|at| {
            let mut whole = json!({"manager": format!("m{at:05}"), "operation": "Apply", "apiVersion": "v1",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:zz{at:05}"): {}}}});
            if let (Value::Object(whole), Value::Object(more)) = (&mut whole, entry(at)) {
                whole.extend(more);
            }
            whole
        })
        .collect()
}

fn config_map(keys: usize, managers: Value) -> Value {
    let data: Map<String, Value> = (0..keys)
        .map(|at| (format!("a{at:05}"), "".into()))
        .collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u",
        "managedFields": managers}, "data": data})
}

fn count(object: &Value) -> usize {
    object::items(object, MANAGED_FIELDS).len()
}

#[test]
fn a_write_of_many_fields_beside_many_managers() {
    let kind = kind(CONFIG_MAP, "v1", "");
    let live = config_map(0, managers(|_| json!({})));
    let mut new = config_map(40_000, live["metadata"]["managedFields"].clone());
    tracked(&kind, writer("u"), Some(&live), &mut new);
    assert_eq!(count(&new), MANAGERS + 1);
}

#[test]
fn many_versions_that_are_not_served() {
    let kind = kind(CONFIG_MAP, "v1", "");
    let live = config_map(
        0,
        managers(|at| json!({"apiVersion": format!("v1alpha{at}")})),
    );
    let mut new = config_map(1, live["metadata"]["managedFields"].clone());
    tracked(&kind, writer("u"), Some(&live), &mut new);
    assert_eq!(count(&new), 1);
}

#[test]
fn many_that_update() {
    let kind = kind(CONFIG_MAP, "v1", "");
    let live = config_map(0, managers(|_| json!({"operation": "Update"})));
    let mut new = config_map(1, live["metadata"]["managedFields"].clone());
    tracked(&kind, writer("u"), Some(&live), &mut new);
    assert_eq!(count(&new), 10);
}

#[test]
fn who_applied_before_among_many() {
    let kind = kind(CONFIG_MAP, "v1", "");
    let live = config_map(1, managers(|_| json!({})));
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"},
        "data": {"b": "c"}});
    let applied = apply(&kind, writer("m00000"), Some(&live), &config, false).expect("no conflict");
    assert_eq!(count(&applied), MANAGERS);
}

#[test]
fn many_owners_of_the_replicas() {
    let replicas = |version: &str| {
        managers(|_| json!({"apiVersion": version, "fieldsV1": {"f:spec": {"f:replicas": {}}}}))
    };
    let kind = kind(DEPLOYMENT, "apps/v1", "");
    let parent = Parent {
        api_version: kind.api_version,
        replicas: &["spec", "replicas"],
    };
    let before = replicas("apps/v1");
    let after = parent.to_parent(Some(&before), parent.to_scale(Some(&before)).as_ref());
    assert_eq!(after, Some(before));
}
