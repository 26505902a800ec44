//! Bodies that cannot be applied.

use serde_json::json;

use super::story::*;
use super::*;

#[test]
fn bodies_that_are_no_configuration_are_refused() {
    let story = Story::of(POD);
    let check = |body: Value, message: &str| story.refused("m", body, message);
    let prefix = "failed to create typed patch object (/x; /v1, Kind=Pod): ";
    let typed = |body: Value, why: &str| story.refused("m", body, &format!("{prefix}{why}"));
    check(
        json!({"metadata": {"managedFields": []}}),
        "metadata.managedFields must be nil",
    );
    typed(
        json!({"spec": {"bogus": 1}}),
        ".spec.bogus: field not declared in schema",
    );
    typed(
        json!({"spec": {"nodeName": 1}}),
        ".spec.nodeName: expected string, got &value.valueUnstructured{Value:1}",
    );
    typed(
        json!({"spec": {"priority": "1"}}),
        ".spec.priority: expected numeric (int or float), got string",
    );
    typed(
        json!({"spec": {"hostPID": "1"}}),
        ".spec.hostPID: expected boolean, got &{1}",
    );
    typed(
        json!({"spec": {"containers": {"a": 1}}}),
        ".spec.containers: expected list, got &{map[a:1]}",
    );
    typed(
        json!({"spec": [1, "a"]}),
        ".spec: expected map, got &{[1 a]}",
    );
    typed(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "a", "image": 1}]}}),
        "errors:\n  .spec.containers: duplicate entries for key [name=\"a\"]\n  \
         .spec.containers[name=\"a\"].image: expected string, got &value.valueUnstructured{Value:1}",
    );
    typed(
        json!({"spec": {"containers": [{"image": "a"}]}}),
        ".spec.containers: element 0: associative list with keys has an element that omits all key fields [\"name\"] \
         (and doesn't have default values for any key fields)",
    );
    typed(
        json!({"spec": {"tolerations": [{"key": 1}]}}),
        ".spec.tolerations[0].key: expected string, got &value.valueUnstructured{Value:1}",
    );
    let kind = kind(POD, "v1", "");
    for (body, message) in [
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap"}),
            "invalid object type: /v1, Kind=ConfigMap",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "Pod"}),
            "invalid object type: apps/v1, Kind=Pod",
        ),
        (json!({}), "invalid object type: /, Kind="),
        (json!([]), "invalid object type: /, Kind="),
    ] {
        let status = apply(&kind, writer("m"), None, &body, false).expect_err("a refusal");
        assert_eq!((status.code, status.message.as_str()), (400, message));
    }
}

#[test]
fn an_object_whose_items_cannot_be_told_apart_is_applied_to_by_nobody() {
    let account = "io.k8s.api.core.v1.ServiceAccount";
    // Without managers, as what cannot be tracked is not.
    let story = Story::of(account)
        .write("m", json!({"secrets": [{}]}))
        .has("metadata.managedFields", Value::Null);
    story.refused(
        "m",
        json!({"secrets": [{"name": "a"}]}),
        "failed to create typed live object (/x; /v1, Kind=ServiceAccount): associative list with \
         keys has an element that omits all key fields [\"name\"] (and doesn't have default values \
         for any key fields)",
    );
}
