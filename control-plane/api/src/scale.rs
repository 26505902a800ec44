//! The scale of a controller: its number of replicas in a form that is the same for every kind.

use serde_json::{Value, json};

use crate::object::{self, get, int, set, text};
use crate::selector::LabelSelector;
use crate::status::FieldError;

/// The type of a scale in the schema registry.
pub const TYPE_NAME: &str = "io.k8s.api.autoscaling.v1.Scale";

/// What of the controller's metadata a scale carries.
const METADATA: [&str; 5] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
];

/// The scale of a controller; an error when its selector cannot be read.
pub fn of(controller: &Value) -> Result<Value, String> {
    let mut scale =
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "spec": {}});
    for field in METADATA {
        let path = format!("metadata.{field}");
        if let Some(value) = get(controller, &path) {
            set(&mut scale, &path, value.clone());
        }
    }
    let replicas = int(controller, "spec.replicas").unwrap_or(0);
    if replicas != 0 {
        set(&mut scale, "spec.replicas", replicas);
    }
    let running = int(controller, "status.replicas").unwrap_or(0);
    set(&mut scale, "status.replicas", running);
    let selector = selector(controller)?;
    if !selector.is_empty() {
        set(&mut scale, "status.selector", selector);
    }
    Ok(scale)
}

/// The selector as clients put it in a query. A replication controller's is a plain map.
fn selector(controller: &Value) -> Result<String, String> {
    let null = Value::Null;
    let selector = get(controller, "spec.selector").unwrap_or(&null);
    let plain = text(controller, "kind") == "ReplicationController";
    Ok(match selector.as_object() {
        Some(labels) if plain => LabelSelector::from_set(labels).to_string(),
        _ => LabelSelector::from_match(selector)?.to_string(),
    })
}

/// The controller with the number of replicas, and the preconditions, of a scale.
pub fn apply(scale: &Value, controller: &Value) -> Value {
    let mut controller = controller.clone();
    let replicas = int(scale, "spec.replicas").unwrap_or(0);
    set(&mut controller, "spec.replicas", replicas);
    for field in ["uid", "resourceVersion"] {
        let path = format!("metadata.{field}");
        match get(scale, &path) {
            Some(value) => set(&mut controller, &path, value.clone()),
            None => {
                object::remove(&mut controller, &path);
            }
        }
    }
    controller
}

/// What is wrong with a scale.
pub fn validate(scale: &Value) -> Vec<FieldError> {
    let replicas = int(scale, "spec.replicas").unwrap_or(0);
    if replicas >= 0 {
        return Vec::new();
    }
    let why = "must be greater than or equal to 0";
    vec![FieldError::invalid("spec.replicas", replicas, why)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_there_and_back() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"replicas": 2, "selector": {
                "matchLabels": {"b": "c"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}},
        });
        let mut scale = of(&deployment).expect("a scale");
        assert_eq!(
            scale,
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "7"},
                "spec": {"replicas": 2}, "status": {"replicas": 0, "selector": "a in (1,2),b=c"},
            })
        );
        assert_eq!(apply(&scale, &deployment), deployment);
        set(&mut scale, "spec", json!({}));
        object::remove(&mut scale, "metadata.resourceVersion");
        let changed = apply(&scale, &deployment);
        assert_eq!(int(&changed, "spec.replicas"), Some(0));
        assert_eq!(object::resource_version(&changed), "");
    }

    #[test]
    fn a_replication_controller_selects_by_a_plain_map() {
        let controller = json!({"kind": "ReplicationController", "metadata": {"name": "r"},
            "spec": {"selector": {"app": "x", "tier": "y"}}, "status": {"replicas": 3}});
        let scale = of(&controller).expect("a scale");
        assert_eq!(
            scale["status"],
            json!({"replicas": 3, "selector": "app=x,tier=y"})
        );
        assert!(validate(&scale).is_empty());
        assert_eq!(
            validate(&json!({"spec": {"replicas": -1}}))[0].to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
    }
}
