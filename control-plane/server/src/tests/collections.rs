//! Lists: versions, pages, selectors.

use sampan_store::Revision;

use super::*;

async fn filled(count: usize) -> (Cluster, Client) {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for index in 0..count {
        let mut map = configmap(&format!("c{index}"));
        map["metadata"]["labels"] = json!({"parity": if index % 2 == 0 { "even" } else { "odd" }});
        admin.create(CONFIGMAPS, map).await;
    }
    (cluster, admin)
}

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["metadata"]["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn pages() {
    let (_cluster, admin) = filled(5).await;
    let first = admin
        .get(&format!("{CONFIGMAPS}?limit=2"))
        .await
        .expect(200);
    assert_eq!(
        (first["kind"].as_str(), names(&first)),
        (Some("ConfigMapList"), vec!["c0", "c1"])
    );
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // The pages show one state, whatever happens in between.
    admin.create(CONFIGMAPS, configmap("c1a")).await;
    admin.delete(&format!("{CONFIGMAPS}/c4")).await.expect(200);
    let mut seen = Vec::new();
    let mut token = first["metadata"]["continue"].clone();
    while let Some(text) = token.as_str() {
        let page = admin
            .get(&format!("{CONFIGMAPS}?limit=2&continue={text}"))
            .await
            .expect(200);
        assert_eq!(version(&page), version(&first));
        seen.extend(names(&page).into_iter().map(str::to_owned));
        token = page["metadata"]["continue"].clone();
    }
    assert_eq!(seen, ["c2", "c3", "c4"]);
}

#[tokio::test]
async fn pages_with_a_selector() {
    let (_cluster, admin) = filled(6).await;
    let first = admin
        .get(&format!("{CONFIGMAPS}?limit=2&labelSelector=parity%3Deven"))
        .await
        .expect(200);
    assert_eq!(names(&first), ["c0", "c2"]);
    assert!(first["metadata"].get("remainingItemCount").is_none());
    let token = first["metadata"]["continue"].as_str().expect("more");
    let second = admin
        .get(&format!(
            "{CONFIGMAPS}?limit=2&labelSelector=parity%3Deven&continue={token}"
        ))
        .await
        .expect(200);
    assert_eq!(names(&second), ["c4"]);
}

#[tokio::test]
async fn an_expired_page_offers_to_go_on() {
    let (cluster, admin) = filled(4).await;
    let first = admin
        .get(&format!("{CONFIGMAPS}?limit=2"))
        .await
        .expect(200);
    let token = first["metadata"]["continue"].as_str().expect("more");
    admin.delete(&format!("{CONFIGMAPS}/c3")).await.expect(200);
    let store = &cluster.server.api().store;
    store
        .compact(store.current_revision())
        .await
        .expect("compacted");
    let expired = admin
        .get(&format!("{CONFIGMAPS}?limit=2&continue={token}"))
        .await;
    let status = expired.refused(
        410,
        "Expired",
        "The provided continue parameter is too old...",
    );
    let token = status["metadata"]["continue"]
        .as_str()
        .expect("a token to go on with");
    let rest = admin
        .get(&format!("{CONFIGMAPS}?limit=2&continue={token}"))
        .await
        .expect(200);
    assert_eq!(names(&rest), ["c2"]);
    let exact = format!(
        "{CONFIGMAPS}?resourceVersion={}&resourceVersionMatch=Exact",
        version(&first) - 1
    );
    admin.get(&exact).await.refused(
        410,
        "Expired",
        "The resourceVersion for the provided list is too old.",
    );
    admin
        .get(&format!("{CONFIGMAPS}?continue=x%25"))
        .await
        .refused(400, "BadRequest", "invalid continue token...");
}

#[tokio::test]
async fn resource_version_matrix() {
    let (cluster, admin) = filled(2).await;
    let old = version(&admin.get(CONFIGMAPS).await.expect(200));
    admin.create(CONFIGMAPS, configmap("c2")).await;
    let Revision(now) = cluster.server.api().store.current_revision();
    let future = now + 1_000_000;
    let forbidden = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: ...";
    for (query, expected) in [
        (String::new(), Ok((now, 3))),
        ("?resourceVersion=0".into(), Ok((now, 3))),
        ("?resourceVersion=0&limit=2".into(), Ok((now, 2))),
        (format!("?resourceVersion={old}"), Ok((now, 3))),
        (
            format!("?resourceVersion={old}&resourceVersionMatch=NotOlderThan"),
            Ok((now, 3)),
        ),
        (
            format!("?resourceVersion={old}&resourceVersionMatch=NotOlderThan&limit=1"),
            Ok((now, 1)),
        ),
        (
            format!("?resourceVersion={old}&resourceVersionMatch=Exact"),
            Ok((old, 2)),
        ),
        (format!("?resourceVersion={old}&limit=500"), Ok((old, 2))),
        (
            "?resourceVersionMatch=Exact".into(),
            Err((422, "Invalid", forbidden)),
        ),
        (
            "?resourceVersion=0&resourceVersionMatch=Exact".into(),
            Err((422, "Invalid", forbidden)),
        ),
        (
            format!("?resourceVersion={old}&resourceVersionMatch=Sideways"),
            Err((
                422,
                "Invalid",
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value...",
            )),
        ),
        (
            format!("?resourceVersion={future}"),
            Err((504, "Timeout", "Timeout: Too large resource version: ...")),
        ),
        (
            "?resourceVersion=x".into(),
            Err((
                400,
                "BadRequest",
                "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax",
            )),
        ),
        (
            "?resourceVersion=99999999999999999999".into(),
            Err((400, "BadRequest", "invalid resource version: ...")),
        ),
        (
            "?limit=x".into(),
            Err((
                400,
                "BadRequest",
                "strconv.ParseInt: parsing \"x\": invalid syntax",
            )),
        ),
        // Everything that is wrong is said.
        (
            "?resourceVersionMatch=Sideways&sendInitialEvents=true".into(),
            Err((
                422,
                "Invalid",
                "ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, resourceVersionMatch: Unsupported value: \"Sideways\": supported values: \"Exact\", \"NotOlderThan\", \"\", sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]",
            )),
        ),
        (
            format!(
                "?resourceVersion={old}&continue=eyJ2IjoyLCJydiI6MSwic3RhcnQiOiJhIiwibWFkZSI6MX0"
            ),
            Err((
                400,
                "BadRequest",
                "specifying resource version is not allowed when using continue",
            )),
        ),
        (
            "?sendInitialEvents=true".into(),
            Err((422, "Invalid", "...")),
        ),
    ] {
        let answer = admin.get(&format!("{CONFIGMAPS}{query}")).await;
        match expected {
            Ok((revision, count)) => {
                let list = answer.expect(200);
                assert_eq!(
                    (version(&list), names(&list).len()),
                    (revision, count),
                    "{query}"
                );
            }
            Err((code, reason, message)) => {
                answer.refused(code, reason, message);
            }
        }
    }
    let late = admin
        .get(&format!("{CONFIGMAPS}/c0?resourceVersion={future}"))
        .await;
    let status = late.refused(
        504,
        "Timeout",
        &format!("Timeout: Too large resource version: {future}, current: {now}"),
    );
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    assert_eq!(late.header("retry-after"), "1");
}

#[tokio::test]
async fn selectors() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    for name in ["a", "b"] {
        admin.create(PODS, pod(name)).await;
    }
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}});
    admin.create(&format!("{PODS}/a/binding"), binding).await;
    for (query, expected) in [
        ("labelSelector=app%3Da", vec!["a"]),
        ("labelSelector=app+in+%28a%2Cb%29", vec!["a", "b"]),
        ("labelSelector=app%21%3Da", vec!["b"]),
        ("labelSelector=%21app", vec![]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=spec.nodeName%3Dn1", vec!["a"]),
        ("fieldSelector=spec.nodeName%3D", vec!["b"]),
        (
            "fieldSelector=status.phase%3DPending%2Cspec.nodeName%21%3Dn1",
            vec!["b"],
        ),
        ("fieldSelector=metadata.namespace%3Dother", vec![]),
        (
            "fieldSelector=metadata.name%3Da&labelSelector=app%3Db",
            vec![],
        ),
    ] {
        for base in [PODS, "/api/v1/pods"] {
            let list = admin.get(&format!("{base}?{query}")).await.expect(200);
            assert_eq!(names(&list), expected, "{base} {query}");
            assert!(version(&list) > 0);
        }
    }
    admin
        .get(&format!("{PODS}?fieldSelector=spec.foo%3Dx"))
        .await
        .refused(400, "BadRequest", "field label not supported: spec.foo");
    admin
        .get(&format!("{PODS}?labelSelector=a+in+%28"))
        .await
        .refused(400, "BadRequest", "unable to parse requirement: ...");
    let nodes = admin
        .get("/api/v1/nodes?fieldSelector=spec.unschedulable%3Dfalse")
        .await
        .expect(200);
    assert!(names(&nodes).is_empty());
}

#[tokio::test]
async fn large_lists_are_streamed_and_compressed_on_request() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for index in 0..40 {
        let mut map = configmap(&format!("c{index:02}"));
        map["data"]["big"] = json!("x".repeat(8000));
        admin.create(CONFIGMAPS, map).await;
    }
    let plain = admin.get(CONFIGMAPS).await;
    assert_eq!(names(&plain.expect(200)).len(), 40);
    let zipped = admin
        .send(
            "GET",
            CONFIGMAPS,
            &[("accept-encoding", "gzip")],
            Body::empty(),
        )
        .await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert!(zipped.bytes.len() < plain.bytes.len() / 10);
    let mut text = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&zipped.bytes[..]),
        &mut text,
    )
    .expect("gzip");
    assert_eq!(text, plain.bytes);
    // So are large objects and Tables, but nothing small.
    let mut map = configmap("large");
    map["data"]["big"] = json!("x".repeat(200_000));
    admin.create(CONFIGMAPS, map).await;
    let gzip = ("accept-encoding", "gzip");
    let get = |name: &'static str| {
        let (admin, path) = (admin.clone(), format!("{CONFIGMAPS}/{name}"));
        async move { admin.send("GET", &path, &[gzip], Body::empty()).await }
    };
    let large = get("large").await;
    assert_eq!(
        (large.header("content-encoding"), large.header("vary")),
        ("gzip", "Accept-Encoding")
    );
    assert!(large.bytes.len() < 2000);
    assert_eq!(get("c00").await.header("content-encoding"), "");
}
