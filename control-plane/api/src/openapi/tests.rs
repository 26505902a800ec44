//! What kubectl reads of the documents.

use serde_json::Value;

use super::*;

fn load(path: &str) -> Value {
    let bytes = document(path).expect("is described");
    serde_json::from_slice(&bytes).expect("is JSON")
}

#[test]
fn the_index_names_every_group_version() {
    let paths: Vec<String> = index().into_iter().map(|(path, _)| path).collect();
    let mut expected: Vec<String> = crate::resource::resources()
        .iter()
        .map(|row| match row.group {
            "" => format!("api/{}", row.version),
            group => format!("apis/{group}/{}", row.version),
        })
        .collect();
    expected.dedup();
    assert_eq!(paths, expected);
    assert!(index().iter().all(|(_, hash)| hash.len() == 64));
    assert!(document("api/v2").is_none());
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
        // Not promised before it is served.
        assert!(content["application/apply-patch+yaml"].is_null());
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
fn every_reference_leads_somewhere() {
    for (path, _) in index() {
        let document = load(&path);
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
