//! Content types: what is read, what is written.

use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn request_bodies() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  k: v\n";
    let created = admin
        .send(
            "POST",
            CONFIGMAPS,
            &[("content-type", "application/yaml")],
            yaml,
        )
        .await
        .expect(201);
    assert_eq!(created["data"]["k"], "v");
    let none = admin
        .send("POST", CONFIGMAPS, &[], configmap("n").to_string())
        .await;
    none.expect(201);
    // What kubectl 1.32 sends for `create configmap foo`.
    let body: &[u8] = b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x15\n\x13\n\x03foo\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x1a\x00\"\x00";
    let created = admin
        .send(
            "POST",
            CONFIGMAPS,
            &[("content-type", "application/vnd.kubernetes.protobuf")],
            body.to_vec(),
        )
        .await
        .expect(201);
    assert_eq!(created["metadata"]["name"], "foo");
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/cbor",
    ] {
        admin.send("POST", CONFIGMAPS, &[("content-type", content_type)], "{}").await.refused(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        );
    }
}

#[tokio::test]
async fn answers() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}/a");
    let accept = |value: &'static str| {
        let (admin, path) = (admin.clone(), path.clone());
        async move {
            admin
                .send("GET", &path, &[("accept", value)], Body::empty())
                .await
        }
    };
    let yaml = accept("application/yaml").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: ConfigMap\n"));
    accept("application/cbor").await.refused(
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    );
    accept("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").await.refused(
        406,
        "NotAcceptable",
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
    );
    let partial = accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        .await
        .expect(200);
    assert_eq!(
        (&partial["kind"], &partial["apiVersion"]),
        (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    assert!(partial.get("data").is_none() && partial["metadata"]["name"] == "a");
    let curl = admin
        .send("GET", &path, &[("user-agent", "curl/8.0")], Body::empty())
        .await;
    assert!(
        curl.bytes.starts_with(b"{\n  \"kind\": \"ConfigMap\",\n") && curl.bytes.ends_with(b"}\n")
    );
    let plain = admin
        .send(
            "GET",
            &format!("{path}?pretty=false"),
            &[("user-agent", "curl/8.0")],
            Body::empty(),
        )
        .await;
    assert!(!plain.bytes.contains(&b'\n'));
}

#[tokio::test]
async fn tables() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let get = |path: String| {
        let admin = admin.clone();
        async move {
            admin
                .send("GET", &path, &[("accept", TABLE)], Body::empty())
                .await
                .expect(200)
        }
    };
    let table = get(PODS.to_owned()).await;
    assert_eq!(
        (&table["kind"], &table["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| column["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        &columns[..5],
        ["Name", "Ready", "Status", "Restarts", "Age"]
    );
    let row = &table["rows"][0];
    assert_eq!(row["cells"].as_array().map(Vec::len), Some(columns.len()));
    assert_eq!(
        (&row["cells"][0], &row["cells"][1], &row["cells"][2]),
        (&json!("p"), &json!("0/1"), &json!("Pending"))
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let whole = get(format!("{PODS}?includeObject=Object")).await;
    assert_eq!(whole["rows"][0]["object"]["kind"], "Pod");
    let none = get(format!("{PODS}?includeObject=None")).await;
    assert!(none["rows"][0]["object"].is_null());
    let one = get(format!("{PODS}/p")).await;
    assert_eq!(one["rows"].as_array().map(Vec::len), Some(1));
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let partials = admin
        .send("GET", PODS, &[("accept", list)], Body::empty())
        .await
        .expect(200);
    assert_eq!(
        (&partials["kind"], &partials["items"][0]["kind"]),
        (
            &json!("PartialObjectMetadataList"),
            &json!("PartialObjectMetadata")
        )
    );
}

#[tokio::test]
async fn rows_say_what_is_over_and_flow_schemas_stand_in_their_order() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let table = [("accept", TABLE)];
    let rows = |answer: Value| answer["rows"].as_array().cloned().expect("rows");
    let before = admin.send("GET", PODS, &table, Body::empty()).await;
    assert!(rows(before.expect(200))[0].get("conditions").is_none());
    let ended = json!({"status": {"phase": "Succeeded"}}).to_string();
    let merge = [("content-type", "application/merge-patch+json")];
    let status = format!("{PODS}/p/status");
    let patched = admin.send("PATCH", &status, &merge, ended).await;
    patched.expect(200);
    let after = admin.send("GET", PODS, &table, Body::empty()).await;
    assert_eq!(
        rows(after.expect(200))[0]["conditions"][0]["type"],
        "Completed"
    );
    const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    for (name, precedence) in [("a", 9000), ("b", 200), ("c", 1000)] {
        let schema = json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
            "metadata": {"name": name}, "spec": {"matchingPrecedence": precedence,
                "priorityLevelConfiguration": {"name": "catch-all"}}});
        admin.create(SCHEMAS, schema).await;
    }
    let shown = admin.send("GET", SCHEMAS, &table, Body::empty()).await;
    let names: Vec<Value> = rows(shown.expect(200))
        .iter()
        .map(|row| row["cells"][0].clone())
        .filter(|name| ["a", "b", "c"].iter().any(|ours| name == ours))
        .collect();
    assert_eq!(names, ["b", "c", "a"]);
}

#[tokio::test]
async fn discovery() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    for path in ["/api", "/apis"] {
        let answer = admin
            .send("GET", path, &[("accept", aggregated)], Body::empty())
            .await;
        assert_eq!(
            answer.header("content-type"),
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        );
        assert_eq!(
            (answer.header("vary"), answer.expect(200)["kind"].as_str()),
            ("Accept", Some("APIGroupDiscoveryList"))
        );
        let etag = answer.header("etag").to_owned();
        let again = admin
            .send(
                "GET",
                path,
                &[("accept", aggregated), ("if-none-match", &etag)],
                Body::empty(),
            )
            .await;
        assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    }
    for (path, kind) in [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/node.k8s.io", "APIGroup"),
        ("/api/v1", "APIResourceList"),
        ("/apis/coordination.k8s.io/v1", "APIResourceList"),
    ] {
        assert_eq!(admin.get(path).await.expect(200)["kind"], kind, "{path}");
    }
    let index = admin.get("/openapi/v3").await.expect(200);
    let url = index["paths"]["api/v1"]["serverRelativeURL"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let document = admin.get(&url).await;
    assert_eq!(document.header("cache-control"), "public, immutable");
    assert!(document.expect(200)["components"]["schemas"].is_object());
    let old = admin.get("/openapi/v3/api/v1?hash=OLD").await;
    assert_eq!(
        (old.status.as_u16(), old.header("location")),
        (301, url.as_str())
    );
    let version = admin.get("/version").await.expect(200);
    assert!(
        version["gitVersion"]
            .as_str()
            .is_some_and(|text| text.starts_with("v1.36."))
    );
}

#[tokio::test]
async fn the_older_description() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let ask = |accept: &'static str, etag: String| {
        let admin = admin.clone();
        async move {
            let headers = [("accept", accept), ("if-none-match", etag.as_str())];
            admin
                .send("GET", "/openapi/v2", &headers, Body::empty())
                .await
        }
    };
    let none = || String::new();
    let json = ask("application/json, */*", none()).await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(json.header("vary"), "Accept");
    let document = json.expect(200);
    assert_eq!(document["swagger"], "2.0");
    assert!(document["definitions"]["io.k8s.api.core.v1.Pod"].is_object());
    let known = json.header("etag").to_owned();
    assert!(known.starts_with('"') && known.len() > 60);
    let again = ask("application/json", known.clone()).await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(again.header("etag"), known);
    // The form client-go parses, and nothing else.
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let message = ask(protobuf, none()).await;
    assert_eq!(
        message.header("content-type"),
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    assert!(message.bytes.starts_with(b"\x0a\x032.0\x12"));
    assert_ne!(message.header("etag"), known);
    let other = ask("text/html", none()).await;
    assert_eq!(other.status.as_u16(), 406);
}
