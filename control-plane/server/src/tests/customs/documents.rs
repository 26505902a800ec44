//! Custom resources in OpenAPI.

use super::*;

const NAME: &str = "io.a.v1.Tab";

#[tokio::test]
async fn definitions_are_published_and_taken_back() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true},
            "list": {"type": "array", "nullable": true, "items": {"type": "string"}}}}}});
    establish(&admin, definition(schema)).await;
    let url = |index: &Value| {
        let url = &index["paths"]["apis/a.io/v1"]["serverRelativeURL"];
        url.as_str().map(str::to_owned)
    };
    let first = url(&admin.get("/openapi/v3").await.expect(200)).expect("is listed");
    let document = admin.get(&first).await.expect(200);
    let schema = &document["components"]["schemas"][NAME];
    let spec = &schema["properties"]["spec"]["properties"];
    assert_eq!(spec["port"]["anyOf"][0]["type"], "integer");
    assert!(schema["properties"]["metadata"].is_object());
    let kinds = json!([{"group": "a.io", "version": "v1", "kind": "Tab"}]);
    assert_eq!(schema["x-kubernetes-group-version-kind"], kinds);
    let paths = document["paths"].as_object().expect("a map");
    assert!(paths.contains_key("/apis/a.io/v1/namespaces/{namespace}/tabs/{name}"));
    let v2 = admin.get("/openapi/v2").await.expect(200);
    let spec = &v2["definitions"][NAME]["properties"]["spec"]["properties"];
    assert_eq!(spec["list"], json!({}));
    assert!(v2["definitions"].get("io.k8s.api.core.v1.Pod").is_some());

    let path = format!("{DEFINITIONS}/tabs.a.io");
    let patch = json!([{"op": "add", "value": "The port.", "path":
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/description"}]);
    admin.patch(&path, "json-patch", &patch).await.expect(200);
    answers(&admin, "/openapi/v3", |it| {
        url(&it.json()).as_ref() != Some(&first)
    })
    .await;
    admin.delete(&path).await.expect(200);
    answers(&admin, "/openapi/v3", |it| url(&it.json()).is_none()).await;
    let v2 = admin.get("/openapi/v2").await.expect(200);
    assert!(v2["definitions"].get(NAME).is_none());
}
