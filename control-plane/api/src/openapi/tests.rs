//! What kubectl and others read of the documents.

mod older;
mod others;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn load(path: &str) -> Value {
    let mut documents = built_in().iter();
    let found = documents.find(|one| one.path == path);
    parse(&found.unwrap_or_else(|| panic!("no {path}")).document)
}

fn parse(document: &Document) -> Value {
    serde_json::from_slice(&document.bytes()).expect("is JSON")
}

/// All operations of a document: path, method, operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("has paths");
    let each = paths.iter().flat_map(|(path, item)| {
        let members = item.as_object().into_iter().flatten();
        members.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    each.filter(|(_, method, _)| *method != "parameters")
        .collect()
}

#[test]
fn every_group_version_has_a_document() {
    let expect: Vec<String> = {
        let mut all: Vec<String> = registered().map(|row| path(&row)).collect();
        all.dedup();
        all
    };
    let paths: Vec<&str> = built_in().iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, expect);
    assert!(paths.contains(&"api/v1") && paths.contains(&"apis/apps/v1"));
    assert!(built_in().iter().all(|one| one.document.hash().len() == 64));
}

/// `kubectl explain --recursive` shows what stands here.
#[test]
fn every_kind_is_described() {
    for row in resources() {
        let document = load(&path(&Described {
            resource: row,
            schema: None,
        }));
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("has schemas");
        let gvk = json!({"group": row.group, "version": row.version, "kind": row.kind});
        let is_kind = |schema: &&Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&gvk))
        };
        assert_eq!(schemas.values().filter(is_kind).count(), 1, "{gvk}");
        for (name, schema) in schemas {
            let bare = BARE.contains(&name.as_str());
            assert!(bare || schema["description"].is_string(), "{name}");
            let properties = schema["properties"].as_object().into_iter().flatten();
            for (field, property) in properties {
                // What is JSON Schema's own, nobody describes again.
                let bare = BARE.contains(&format!("{name}.{field}").as_str())
                    || name.ends_with(".v1.JSONSchemaProps")
                    || name.ends_with(".v1.ExternalDocumentation");
                assert!(
                    bare || property["description"].is_string(),
                    "{name}.{field}"
                );
            }
        }
    }
}

/// What has no text: three fields upstream says nothing about, and lists that are newer than the `.proto` files.
const BARE: &[&str] = &[
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingList",
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingList.items",
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingList.metadata",
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyList",
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyList.items",
    "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyList.metadata",
    "io.k8s.api.certificates.v1.CertificateSigningRequest.metadata",
    "io.k8s.api.certificates.v1.CertificateSigningRequestList.metadata",
    "io.k8s.api.networking.v1.IngressRule.http",
];

#[test]
fn operations_have_names_of_their_own() {
    let mut seen = BTreeSet::new();
    for one in built_in() {
        let document = parse(&one.document);
        for (path, method, operation) in operations(&document) {
            let id = operation["operationId"].as_str().expect("has a name");
            assert!(seen.insert(id.to_owned()), "{method} {path}: {id} again");
            assert!(operation["responses"]["401"].is_object(), "{id}");
        }
    }
    for name in [
        "listCoreV1NamespacedPod",
        "listCoreV1PodForAllNamespaces",
        "deleteCoreV1CollectionNamespacedPod",
        "replaceCoreV1NamespaceFinalize",
        "readRbacAuthorizationV1ClusterRole",
        "patchAppsV1NamespacedDeploymentStatus",
        "createFlowcontrolApiserverV1FlowSchema",
    ] {
        assert!(seen.contains(name), "{name}");
    }
}

#[test]
fn patch_operations_tell_what_the_server_can() {
    let document = load("api/v1");
    for (path, kind) in [
        ("/api/v1/namespaces/{namespace}/pods/{name}", "Pod"),
        ("/api/v1/namespaces/{namespace}/pods/{name}/status", "Pod"),
        ("/api/v1/nodes/{name}", "Node"),
    ] {
        let patch = &document["paths"][path]["patch"];
        let gvk = &patch["x-kubernetes-group-version-kind"];
        assert_eq!(
            *gvk,
            json!({"group":"","version":"v1","kind":kind}),
            "{path}"
        );
        let parameters = patch["parameters"].as_array().expect("has parameters");
        for name in ["fieldValidation", "dryRun", "fieldManager", "force"] {
            let found = parameters
                .iter()
                .any(|it| it["name"] == name && it["in"] == "query");
            assert!(found, "{path}: {name}");
        }
        let content = &patch["requestBody"]["content"];
        assert!(content["application/strategic-merge-patch+json"].is_object());
        assert!(content["application/apply-patch+yaml"].is_object());
    }
}

#[test]
fn paths_have_the_served_operations_only() {
    let document = load("api/v1");
    let operations = |path: &str| -> Vec<String> {
        let item = document["paths"][path]
            .as_object()
            .unwrap_or_else(|| panic!("no {path}"));
        let mut all: Vec<String> = item
            .keys()
            .filter(|it| *it != "parameters")
            .cloned()
            .collect();
        all.sort();
        all
    };
    let pods = "/api/v1/namespaces/{namespace}/pods";
    assert_eq!(operations(pods), ["delete", "get", "post"]);
    assert_eq!(operations("/api/v1/pods"), ["get"]);
    assert_eq!(operations("/api/v1/namespaces"), ["get", "post"]);
    assert_eq!(
        operations("/api/v1/namespaces/{name}"),
        ["delete", "get", "patch", "put"]
    );
    assert_eq!(operations("/api/v1/namespaces/{name}/finalize"), ["put"]);
    assert_eq!(
        operations("/api/v1/namespaces/{namespace}/bindings"),
        ["post"]
    );
    assert_eq!(operations(&format!("{pods}/{{name}}/log")), ["get"]);
    let eviction = &document["paths"][format!("{pods}/{{name}}/eviction")]["post"];
    assert_eq!(
        eviction["x-kubernetes-group-version-kind"]["group"],
        "policy"
    );
    assert_eq!(eviction["operationId"], "createCoreV1NamespacedPodEviction");
    assert!(document["paths"]["/api/v1/namespaces/{namespace}/bindings/{name}"].is_null());
}

#[test]
fn schemas_carry_the_merge_facts() {
    let document = load("api/v1");
    let schemas = &document["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(
        containers["items"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.api.core.v1.Container"
    );
    assert!(
        containers["description"]
            .as_str()
            .is_some_and(|text| text.starts_with("List of"))
    );
    let selector = &schemas["io.k8s.api.core.v1.ConfigMapKeySelector"];
    assert_eq!(selector["x-kubernetes-map-type"], "atomic");
    let labels = &schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]["selector"];
    assert_eq!(labels["x-kubernetes-map-type"], "atomic");
    let port = &schemas["io.k8s.api.core.v1.ContainerPort"];
    assert_eq!(port["properties"]["protocol"]["default"], "TCP");
    assert_eq!(port["required"], json!(["containerPort"]));
    let pod = &schemas["io.k8s.api.core.v1.Pod"];
    assert_eq!(
        pod["x-kubernetes-group-version-kind"],
        json!([{"group":"","version":"v1","kind":"Pod"}])
    );
    assert!(
        pod["description"]
            .as_str()
            .is_some_and(|text| text.contains("containers"))
    );
}

#[test]
fn the_values_of_a_field_are_listed() {
    let document = load("api/v1");
    let field = |ty: &str, name: &str| {
        let name = format!("/components/schemas/io.k8s.api.core.v1.{ty}/properties/{name}");
        document.pointer(&name).cloned().unwrap_or_default()
    };
    let policies = json!(["Always", "Never", "OnFailure"]);
    assert_eq!(field("PodSpec", "restartPolicy/enum"), policies);
    let types = field("HostPathVolumeSource", "type/enum");
    assert_eq!(types[0], "", "no check is a value too");
    let modes = field("PersistentVolumeSpec", "accessModes");
    assert_eq!(modes["items"]["enum"][0], "ReadOnlyMany");
    let statuses = field("PersistentVolumeClaimStatus", "allocatedResourceStatuses");
    let statuses = &statuses["additionalProperties"]["enum"];
    assert_eq!(statuses[0], "ControllerResizeInProgress");
    assert_eq!(field("PodSpec", "nodeName/enum"), Value::Null);
}

#[test]
fn every_reference_leads_somewhere() {
    for GroupVersion { path, .. } in built_in() {
        let document = load(path);
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("has schemas");
        let mut open = vec![&document];
        let mut count = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                        let name = reference.trim_start_matches("#/components/schemas/");
                        assert!(schemas.contains_key(name), "{path}: {reference}");
                        count += 1;
                    }
                    open.extend(map.values());
                }
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        assert!(count > 10, "{path} refers to {count} schemas");
    }
}
