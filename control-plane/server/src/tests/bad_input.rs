//! What clients get wrong: the right 4xx, and nothing stored.

use super::*;

#[tokio::test]
async fn bodies() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let before = cluster.server.api().store.current_revision();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (content_type, body, code) in [
        ("application/json", "", 400),
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "null", 400),
        (
            "application/json",
            r#"{"kind":"Secret","metadata":{"name":"a"}}"#,
            400,
        ),
        (
            "application/json",
            r#"{"apiVersion":"v2","metadata":{"name":"a"}}"#,
            400,
        ),
        ("application/json", r#"{"metadata":{"name":7}}"#, 400),
        (
            "application/json",
            r#"{"metadata":{"name":"a"},"data":"x"}"#,
            400,
        ),
        (
            "application/json",
            r#"{"metadata":{"name":"a"},"data":{"k":1}}"#,
            400,
        ),
        (
            "application/json",
            r#"{"metadata":{"name":"a","labels":{"-":"x"}}}"#,
            422,
        ),
        (
            "application/json",
            r#"{"metadata":{"name":"a","labels":{"x":"-"}}}"#,
            422,
        ),
        (
            "application/json",
            r#"{"metadata":{"name":"a"},"data":{"../k":"1"}}"#,
            422,
        ),
        (
            "application/json",
            r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#,
            400,
        ),
        ("application/json", deep.as_str(), 400),
        ("application/yaml", "a: [", 400),
        ("application/yaml", "- a", 400),
        ("application/vnd.kubernetes.protobuf", "nonsense", 400),
        ("application/vnd.kubernetes.protobuf", "k8s\0nonsense", 400),
    ] {
        let answer = admin
            .send(
                "POST",
                CONFIGMAPS,
                &[("content-type", content_type)],
                body.to_owned(),
            )
            .await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(
            answer.status.as_u16(),
            code,
            "{content_type} {shown}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
        assert_eq!(answer.json()["kind"], "Status", "{shown}");
    }
    assert_eq!(cluster.server.api().store.current_revision(), before);
}

#[tokio::test]
async fn what_is_no_json() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let long = format!("{{{}", " ".repeat(40));
    for (body, why) in [
        ("", "unexpected end of JSON input (<empty>)".to_owned()),
        ("{", "unexpected end of JSON input ({)".to_owned()),
        ("\"a", "unexpected end of JSON input (2261)".to_owned()),
        (
            &long,
            format!("unexpected end of JSON input ({{{} ...)", " ".repeat(29)),
        ),
    ] {
        let json = [("content-type", "application/json")];
        let answer = admin.send("POST", CONFIGMAPS, &json, body.to_owned()).await;
        let why = format!(
            "the object provided is unrecognized (must be of type ConfigMap): \
             couldn't get version/kind; json parse error: {why}"
        );
        answer.refused(400, "BadRequest", &why);
    }
}

#[tokio::test]
async fn too_large() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut map = configmap("a");
    map["data"]["k"] = json!("x".repeat(3 * 1024 * 1024));
    let answer = admin.post(CONFIGMAPS, &map).await;
    answer.refused(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    );
}

#[tokio::test]
async fn more_items_than_are_filled_in() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let many = json!({"containers": vec![json!({}); 100_000]});
    let pod = json!({"metadata": {"name": "a"}, "spec": many});
    admin.post(PODS, &pod).await.refused(
        422,
        "Invalid",
        "Pod \"a\" is invalid: spec.containers: Too many: 100000: must have at most 10000 items",
    );
    let path = "/api/v1/namespaces/default/podtemplates";
    let spec = json!({"containers": [{"name": "c", "image": "i"}]});
    let mut template = json!({"metadata": {"name": "a"}, "template": {"spec": spec}});
    admin.create(path, template.clone()).await;
    template["template"]["spec"] = many;
    admin.put(&format!("{path}/a"), &template).await.refused(
        422,
        "Invalid",
        "PodTemplate \"a\" is invalid: template.spec.containers: Too many: 100000: must have at most 10000 items",
    );
}

#[tokio::test]
async fn unknown_and_duplicate_fields() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let body = r#"{"metadata":{"name":"a"},"bogus":1,"data":{"k":"1","k":"2"}}"#;
    let post = |query: &'static str| {
        let admin = admin.clone();
        async move {
            admin
                .send(
                    "POST",
                    &format!("{CONFIGMAPS}?dryRun=All{query}"),
                    &[],
                    body,
                )
                .await
        }
    };
    for query in ["", "&fieldValidation=Warn"] {
        let warned = post(query).await;
        warned.expect(201);
        let warnings: Vec<&str> = warned
            .headers
            .get_all("warning")
            .iter()
            .map(|value| value.to_str().expect("text"))
            .collect();
        assert_eq!(
            warnings,
            [
                r#"299 - "unknown field \"bogus\"""#,
                r#"299 - "duplicate field \"data.k\"""#
            ]
        );
    }
    let ignored = post("&fieldValidation=Ignore").await;
    ignored.expect(201);
    assert!(!ignored.headers.contains_key("warning"));
    post("&fieldValidation=Strict").await.refused(
        400,
        "BadRequest",
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"bogus\", duplicate field \"data.k\"",
    );
    post("&fieldValidation=Nope").await.expect(422);
}

#[tokio::test]
async fn patches() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let path = format!("{PODS}/p");
    let read = admin.get(&path).await.expect(200);
    for (kind, body, code) in [
        ("json-patch", "{}", 400),
        ("json-patch", "nonsense", 400),
        ("json-patch", r#"[{"op":"remove","path":"/nope"}]"#, 422),
        ("merge-patch", "[]", 400),
        ("merge-patch", "{", 400),
        ("merge-patch", r#"{"spec":7}"#, 422),
        ("merge-patch", r#"{"metadata":{"name":"other"}}"#, 400),
        ("merge-patch", r#"{"metadata":{"namespace":"other"}}"#, 400),
        ("merge-patch", r#"{"spec":{"nodeName":"x"}}"#, 422),
        (
            "strategic-merge-patch",
            r#"{"spec":{"containers":[{"name":"c","image":""}]}}"#,
            422,
        ),
        ("strategic-merge-patch", "7", 400),
    ] {
        let content_type = format!("application/{kind}+json");
        let answer = admin
            .send("PATCH", &path, &[("content-type", &content_type)], body)
            .await;
        assert_eq!(
            answer.status.as_u16(),
            code,
            "{kind} {body}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
    }
    assert_eq!(admin.get(&path).await.expect(200), read);
}

/// A list that is there and empty is not one that is left out.
#[tokio::test]
async fn an_autoscaler_scales_by_some_policy() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    let scaler = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 2,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "behavior": {"scaleDown": {"policies": []}}}});
    admin.post(path, &scaler).await.refused(
        422,
        "Invalid",
        "HorizontalPodAutoscaler.autoscaling \"a\" is invalid: spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
    );
}
