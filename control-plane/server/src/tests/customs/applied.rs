//! Configurations applied to custom resources.

use super::super::applies::owners;
use super::*;

fn keyed() -> Value {
    let mut definition = definition(json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "color": {"type": "string"},
            "replicas": {"type": "integer"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "port": {"type": "integer"}}}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic",
                "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    }}));
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}, "scale": {
        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
    definition
}

#[tokio::test]
async fn managers_own_what_they_apply() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, keyed()).await;
    let path = format!("{TABS}/a");
    let one = json!({"color": "red", "ports": [{"name": "x", "port": 1}], "whole": {"a": "1"},
        "free": {"deep": {"er": [1]}}});
    let created = admin.apply(&path, "one", &tab("a", one)).await.expect(201);
    assert_eq!(
        owners(&created),
        json!([["one Apply", {"f:spec": {"f:color": {}, "f:whole": {}, "f:free": {"f:deep": {".": {}, "f:er": {}}},
            "f:ports": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:port": {}}}}}]])
    );
    let two = json!({"ports": [{"name": "y", "port": 2}]});
    let merged = admin.apply(&path, "two", &tab("a", two)).await.expect(200);
    let ports = json!([{"name": "x", "port": 1}, {"name": "y", "port": 2}]);
    assert_eq!(merged["spec"]["ports"], ports);
    let two = json!({"color": "blue", "ports": [{"name": "y", "port": 2}]});
    let conflict = admin.apply(&path, "two", &tab("a", two)).await.expect(409);
    assert_eq!(conflict["details"]["causes"][0]["field"], ".spec.color");
    let one = json!({"color": "red", "whole": {"b": "2"}});
    let less = admin.apply(&path, "one", &tab("a", one)).await.expect(200);
    assert_eq!(
        less["spec"],
        json!({"color": "red", "whole": {"b": "2"}, "ports": [{"name": "y", "port": 2}]})
    );
    let same = json!({"color": "red", "whole": {"b": "2"}});
    let again = admin.apply(&path, "one", &tab("a", same)).await.expect(200);
    assert_eq!(again, less);
    let unknown = admin
        .apply(&path, "one", &tab("a", json!({"odd": 1})))
        .await
        .json();
    let message = unknown["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(".spec.odd: field not declared in schema"),
        "{message}"
    );
}

#[tokio::test]
async fn parts_are_applied_to_as_well() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    establish(&admin, keyed()).await;
    let path = format!("{TABS}/a");
    let spec = json!({"color": "red", "replicas": 1});
    admin.apply(&path, "one", &tab("a", spec)).await.expect(201);
    let mut status = tab("a", json!({"color": "ignored"}));
    status["status"] = json!({"replicas": 1});
    let written = admin
        .apply(&format!("{path}/status"), "two", &status)
        .await
        .expect(200);
    assert_eq!(
        (&written["spec"]["color"], &written["status"]["replicas"]),
        (&json!("red"), &json!(1))
    );
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"},
        "spec": {"replicas": 3}});
    let conflict = admin.apply(&format!("{path}/scale"), "three", &scale).await;
    assert_eq!(conflict.status, 409);
    let patch = json!({"spec": {"replicas": 4}});
    admin
        .merge(&format!("{path}/scale"), patch)
        .await
        .expect(200);
    let read = admin.get(&path).await.expect(200);
    assert_eq!(read["spec"]["replicas"], 4);
    let owners = owners(&read);
    assert_eq!(owners[0], json!(["one Apply", {"f:spec": {"f:color": {}}}]));
    assert_eq!(
        owners[1],
        json!(["two Apply status", {"f:status": {"f:replicas": {}}}])
    );
    assert_eq!(owners[2][1], json!({"f:spec": {"f:replicas": {}}}));
}
