//! The distribution protocol by hand: uploads, errors, lists, deletion.

use reqwest::{Response, StatusCode};
use sampan_image::{Digest, Limits, Registry, wasm_artifact};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::client::*;
use crate::fixtures::*;

#[tokio::test]
async fn uploads_come_in_chunks_and_in_order() {
    let (_dir, _registry, _server, base) = start().await;
    let begin = format!("{base}/v2/app/blobs/uploads/");
    let begin = http().post(begin).send().await.unwrap();
    assert_eq!(begin.status(), StatusCode::ACCEPTED);
    let location = begin.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/v2/app/blobs/uploads/"), "{location}");
    let url = format!("{base}{location}");
    let patch = |range: &str, bytes: &'static str| {
        http()
            .patch(&url)
            .header("content-range", range.to_owned())
            .body(bytes)
            .send()
    };
    let first = patch("0-4", "hello").await.unwrap();
    assert_eq!(
        (first.status(), &first.headers()["range"]),
        (StatusCode::ACCEPTED, &"0-4".parse().unwrap())
    );
    let early = patch("9-10", "xx").await.unwrap();
    assert_eq!(early.headers()["range"], "0-4");
    assert_eq!(failure(early).await, refused(416, "BLOB_UPLOAD_INVALID"));
    let wrong = patch("5-9", "too long").await.unwrap();
    assert_eq!(failure(wrong).await, refused(400, "SIZE_INVALID"));
    patch("5-9", " worl").await.unwrap();
    let state = http().get(&url).send().await.unwrap();
    assert_eq!(
        (state.status(), &state.headers()["range"]),
        (StatusCode::NO_CONTENT, &"0-9".parse().unwrap())
    );
    let elsewhere = url.replace("/app/", "/other/");
    let elsewhere = http().get(elsewhere).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    let digest = Digest::of(b"hello world");
    let done = http()
        .put(format!("{url}?digest={digest}"))
        .body("d")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let again = http()
        .put(format!("{url}?digest={digest}"))
        .send()
        .await
        .unwrap();
    assert_eq!(failure(again).await, refused(404, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test]
async fn blobs_are_sent_in_parts() {
    let (_dir, _registry, _server, base) = start().await;
    let digest = Digest::of(b"hello world");
    upload(&base, "app", b"hello world").await;
    let blob = format!("{base}/v2/app/blobs/{digest}");
    let part = http()
        .get(&blob)
        .header("range", "bytes=6-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes 6-10/11");
    assert_eq!(part.bytes().await.unwrap(), "world");
    let beyond = http()
        .get(&blob)
        .header("range", "bytes=11-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn a_cancelled_upload_leaves_nothing() {
    let (dir, _registry, _server, base) = start().await;
    let begin = format!("{base}/v2/app/blobs/uploads/");
    let begin = http().post(begin).send().await.unwrap();
    let url = format!("{base}{}", begin.headers()["location"].to_str().unwrap());
    assert_eq!(
        http().delete(&url).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        http().get(&url).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert!(
        !tree(dir.path())
            .iter()
            .any(|path| path.starts_with("ingest"))
    );
}

/// A registry that takes 1,000 bytes at a time.
async fn start_small() -> (tempfile::TempDir, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        manifest_bytes: 1000,
        layer_bytes: 1000,
        ..Limits::default()
    };
    let registry = Registry::with_limits(dir.path(), limits).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    (dir, server, base)
}

#[tokio::test]
async fn bad_uploads_get_oci_errors_and_store_nothing() {
    let (dir, _server, base) = start_small().await;
    let digest = Digest::of(b"right");
    let wrong = format!("{base}/v2/app/blobs/uploads/?digest={digest}");
    let wrong = http().post(wrong).body("wrong").send().await.unwrap();
    assert_eq!(failure(wrong).await, refused(400, "DIGEST_INVALID"));
    let other = format!("{base}/v2/app/blobs/uploads/?digest=sha512:00");
    let other = http().post(other).body("x").send().await.unwrap();
    assert_eq!(failure(other).await, refused(400, "DIGEST_INVALID"));
    assert_eq!(
        failure(upload(&base, "app", &[0; 1001]).await).await,
        refused(413, "SIZE_INVALID")
    );
    assert_eq!(
        failure(upload(&base, "App", b"x").await).await,
        refused(400, "NAME_INVALID")
    );
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn bad_manifests_get_oci_errors_and_store_nothing() {
    let (dir, _server, base) = start_small().await;
    let digest = Digest::of(b"another");
    let artifact = wasm_artifact(&module("absent")).unwrap();
    let absent = put_manifest(&base, "app", "v1", artifact.manifest.to_vec()).await;
    assert_eq!(failure(absent).await, refused(400, "MANIFEST_BLOB_UNKNOWN"));
    for (body, want) in [
        (b"{".to_vec(), refused(400, "MANIFEST_INVALID")),
        (
            b"{\"schemaVersion\":1}".to_vec(),
            refused(400, "MANIFEST_INVALID"),
        ),
        (vec![b' '; 1001], refused(413, "SIZE_INVALID")),
    ] {
        assert_eq!(
            failure(put_manifest(&base, "app", "v1", body).await).await,
            want
        );
    }
    let elsewhere = put_manifest(&base, "app", digest.as_str(), artifact.manifest.to_vec()).await;
    assert_eq!(failure(elsewhere).await, refused(400, "DIGEST_INVALID"));
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_there_gets_oci_errors() {
    let (dir, registry, _server, _) = start().await;
    let digest = Digest::of(b"absent");
    for (method, path, want) in [
        ("GET", "/v2/app/manifests/v1", refused(404, "NAME_UNKNOWN")),
        (
            "GET",
            &format!("/v2/app/blobs/{digest}"),
            refused(404, "BLOB_UNKNOWN"),
        ),
        ("GET", "/v2/app/tags/list", refused(404, "NAME_UNKNOWN")),
        (
            "DELETE",
            "/v2/app/manifests/v1",
            refused(404, "NAME_UNKNOWN"),
        ),
        (
            "DELETE",
            &format!("/v2/app/blobs/{digest}"),
            refused(404, "BLOB_UNKNOWN"),
        ),
        ("POST", "/v2/app/tags/list", refused(405, "UNSUPPORTED")),
        (
            "PATCH",
            "/v2/app/blobs/uploads/none",
            refused(404, "BLOB_UPLOAD_UNKNOWN"),
        ),
        ("GET", "/v2/../../etc/passwd", refused(404, "UNSUPPORTED")),
        ("GET", "/v2/../manifests/v1", refused(400, "NAME_INVALID")),
        (
            "GET",
            "/v2/a/%2e%2e/manifests/v1",
            refused(400, "NAME_INVALID"),
        ),
        (
            "GET",
            "/v2/app/manifests/..",
            refused(400, "MANIFEST_INVALID"),
        ),
    ] {
        // Not through a client, which would tidy the path.
        let request = http::Request::builder().method(method).uri(path);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = registry.router().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        let answer = http::Response::from_parts(parts, body);
        assert_eq!(
            failure(Response::from(answer)).await,
            want,
            "{method} {path}"
        );
    }
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (_dir, _registry, server, base) = start().await;
    for name in ["c", "a/x", "b"] {
        push(&server, name, "v1", &module(name)).await;
    }
    for tag in ["v2", "latest"] {
        push(&server, "b", tag, &module("b")).await;
    }
    let get = |path: String| async move {
        let answer = http()
            .get(format!("http://{}{path}", server.address))
            .send()
            .await
            .unwrap();
        let link = answer
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (body, link)
    };
    let (all, link) = get("/v2/_catalog".into()).await;
    assert_eq!(
        (all["repositories"].clone(), link),
        (json!(["a/x", "b", "c"]), None)
    );
    let (first, link) = get("/v2/_catalog?n=2".into()).await;
    assert_eq!(first["repositories"], json!(["a/x", "b"]));
    let next = link.unwrap();
    let next = next
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(get(next).await.0["repositories"], json!(["c"]));
    let (tags, _) = get("/v2/b/tags/list".into()).await;
    assert_eq!(tags, json!({"name": "b", "tags": ["latest", "v1", "v2"]}));
    assert_eq!(get("/v2/_catalog?n=3".into()).await.1, None, "no more");
    let (none, link) = get("/v2/b/tags/list?n=0".into()).await;
    assert_eq!((none["tags"].clone(), link), (json!([]), None));
    let base = http().get(format!("{base}/v2/")).send().await.unwrap();
    assert_eq!(
        base.headers()["docker-distribution-api-version"],
        "registry/2.0"
    );
}

#[tokio::test]
async fn deleting_frees_what_nothing_else_needs() {
    let (dir, _registry, server, base) = start().await;
    let one = push(&server, "app", "v1", &module("one")).await;
    push(&server, "copy", "v1", &module("one")).await;
    let two = push(&server, "app", "v2", &module("two")).await;
    let delete = |path: String| http().delete(format!("{base}/v2/{path}")).send();
    let status = |path: String| {
        let url = format!("{base}/v2/{path}");
        async move { http().head(url).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(
        delete("app/manifests/v1".into()).await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(status("app/manifests/v1".into()).await, 404);
    assert_eq!(status(format!("app/manifests/{one}")).await, 200);
    delete(format!("app/manifests/{one}")).await.unwrap();
    assert_eq!(status(format!("app/manifests/{one}")).await, 404);
    assert_eq!(status("copy/manifests/v1".into()).await, 200);
    delete(format!("app/manifests/{two}")).await.unwrap();
    assert_eq!(status("app/manifests/v2".into()).await, 404);
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        3
    );
    delete(format!("copy/manifests/{one}")).await.unwrap();
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_manifest_is_sent_to_those_who_take_its_type() {
    let (_dir, _registry, server, base) = start().await;
    push(&server, "app", "v1", &module("typed")).await;
    for (accept, status) in [
        (OCI_MANIFEST, 200),
        ("*/*", 200),
        (
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json;q=0.5",
            200,
        ),
        (OCI_INDEX, 404),
    ] {
        let url = format!("{base}/v2/app/manifests/v1");
        let answer = http()
            .get(url)
            .header("accept", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{accept}");
    }
}
