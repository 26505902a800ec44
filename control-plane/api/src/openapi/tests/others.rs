//! Kinds that are not in the registry.

use serde_json::{Value, json};

use super::super::{Described, Document, v2, v3};
use super::{operations, parse};
use crate::resource::{Resource, find};

/// Any row will do for the names and verbs; the schema is the kind's own.
fn tabs() -> Resource {
    let leases = find("coordination.k8s.io", "v1", "leases").expect("is served");
    Resource {
        group: "stable.example.com",
        version: "v1",
        kind: "CronTab",
        plural: "crontabs",
        singular: "crontab",
        type_name: "com.example.stable.v1.CronTab",
        short_names: leases.short_names,
        categories: leases.categories,
        namespaced: true,
        verbs: leases.verbs,
        subresources: leases.subresources,
        bucket: "crontabs",
        field_labels: leases.field_labels,
        create_on_update: false,
        unconditional_update: false,
        answers_deleted: false,
        list_kind: "",
        cell: None,
        generation: true,
    }
}

fn describe(schema: &Value, make: impl FnOnce(&[Described]) -> Document) -> Value {
    let resource = tabs();
    let described = Described {
        resource: &resource,
        schema: Some(schema),
    };
    parse(&make(&[described]))
}

#[test]
fn a_schema_gains_what_every_object_has() {
    let schema = json!({"description": "A tab.", "properties": {
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}});
    let document = describe(&schema, v3);
    let schemas = &document["components"]["schemas"];
    let tab = &schemas["com.example.stable.v1.CronTab"];
    assert_eq!(tab["description"], "A tab.");
    assert_eq!(tab["type"], "object");
    assert_eq!(
        tab["x-kubernetes-group-version-kind"],
        json!([{"group": "stable.example.com", "version": "v1", "kind": "CronTab"}])
    );
    let properties = &tab["properties"];
    assert_eq!(
        properties["spec"]["properties"]["replicas"]["type"],
        "integer"
    );
    assert_eq!(
        properties["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    for name in ["apiVersion", "kind", "metadata"] {
        assert!(properties[name]["description"].is_string(), "{name}");
    }
    let list = &schemas["com.example.stable.v1.CronTabList"];
    assert_eq!(
        list["properties"]["items"]["items"]["allOf"][0]["$ref"],
        "#/components/schemas/com.example.stable.v1.CronTab"
    );
    for name in [
        "ObjectMeta",
        "ListMeta",
        "Status",
        "DeleteOptions",
        "OwnerReference",
    ] {
        let name = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}");
        assert!(schemas[&name].is_object(), "{name}");
    }
    assert!(schemas["io.k8s.api.core.v1.Pod"].is_null());
    let patch = &document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"]
        ["patch"];
    assert_eq!(
        patch["operationId"],
        "patchStableExampleComV1NamespacedCronTab"
    );
    // Nobody knows by which keys its lists merge.
    let content = &patch["requestBody"]["content"];
    assert!(content["application/merge-patch+json"].is_object());
    assert!(content["application/strategic-merge-patch+json"].is_null());
    assert!(operations(&document).len() >= 8);
}

#[test]
fn a_kind_without_a_schema_may_hold_anything() {
    let document = describe(&json!({"x-kubernetes-preserve-unknown-fields": true}), v3);
    let tab = &document["components"]["schemas"]["com.example.stable.v1.CronTab"];
    assert_eq!(tab["type"], "object");
    assert!(tab["properties"].is_null());
}

#[test]
fn the_older_document_has_it_beside_the_built_in_kinds() {
    let schema = json!({"properties": {"spec": {"type": "object"}}});
    let document = describe(&schema, v2);
    let definitions = &document["definitions"];
    let tab = &definitions["com.example.stable.v1.CronTab"]["properties"];
    assert_eq!(
        tab["metadata"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert!(definitions["io.k8s.api.core.v1.Pod"].is_object());
    let options = &definitions["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"];
    let kinds = options["x-kubernetes-group-version-kind"]
        .as_array()
        .expect("has kinds");
    for group in ["", "apps", "stable.example.com"] {
        assert!(kinds.iter().any(|kind| kind["group"] == group), "{group}");
    }
}
