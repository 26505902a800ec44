//! What our registry refuses to hold: images that no node could pull, and more names than it was given memory for.

use reqwest::StatusCode;
use sampan_image::{Digest, Limits, Registry, wasm_artifact};
use serde_json::json;

use crate::client::*;
use crate::fixtures::*;

async fn limited(limits: Limits) -> (tempfile::TempDir, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::with_limits(dir.path(), limits).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    (dir, server, base)
}

/// Uploads a module's blobs, and sends its manifest under a tag.
async fn put(base: &str, text: &str, tag: &str) -> reqwest::Response {
    let wasm = module(text);
    let artifact = wasm_artifact(&wasm).unwrap();
    upload(base, "app", &artifact.config).await;
    upload(base, "app", &wasm).await;
    put_manifest(base, "app", tag, artifact.manifest.to_vec()).await
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_not_taken() {
    let (_dir, _server, base) = limited(Limits {
        layers: 3,
        ..Limits::default()
    })
    .await;
    upload(&base, "app", b"x").await;
    let blob = json!({"mediaType": "a/b", "digest": Digest::of(b"x"), "size": 1});
    for (layers, status) in [(3, StatusCode::CREATED), (4, StatusCode::BAD_REQUEST)] {
        let manifest = json!({"schemaVersion": 2, "config": blob, "layers": vec![&blob; layers]});
        let manifest = manifest.to_string().into_bytes();
        let answer = put_manifest(&base, "app", &format!("v{layers}"), manifest).await;
        assert_eq!(answer.status(), status, "{layers}");
    }
}

#[tokio::test]
async fn tags_are_counted_and_given_back() {
    let (_dir, _server, base) = limited(Limits {
        registry_tags: 2,
        ..Limits::default()
    })
    .await;
    for (text, tag) in [("a", "v1"), ("a", "v2"), ("b", "v2")] {
        assert_eq!(put(&base, text, tag).await.status(), StatusCode::CREATED);
    }
    let third = put(&base, "a", "v3").await;
    assert_eq!(failure(third).await, refused(429, "TOOMANYREQUESTS"));
    let tag = format!("{base}/v2/app/manifests/v1");
    http().delete(tag).send().await.unwrap();
    assert_eq!(put(&base, "a", "v3").await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn what_manifests_name_is_counted_and_given_back() {
    // Each names a config and a module.
    let references = Limits {
        registry_references: 3,
        ..Limits::default()
    };
    let manifests = Limits {
        registry_manifests: 1,
        ..Limits::default()
    };
    for limits in [references, manifests] {
        let (_dir, _server, base) = limited(limits).await;
        let first = put(&base, "a", "v1").await;
        let digest = first.headers()["docker-content-digest"].to_str().unwrap();
        let second = put(&base, "b", "v2").await;
        assert_eq!(failure(second).await, refused(429, "TOOMANYREQUESTS"));
        // What is there already may have another name.
        assert_eq!(put(&base, "a", "v2").await.status(), StatusCode::CREATED);
        let first = format!("{base}/v2/app/manifests/{digest}");
        http().delete(first).send().await.unwrap();
        assert_eq!(put(&base, "b", "v2").await.status(), StatusCode::CREATED);
    }
}

#[tokio::test]
async fn the_disk_is_counted_and_given_back() {
    let limits = Limits {
        registry_bytes: 1000,
        ..Limits::default()
    };
    let (dir, server, base) = limited(limits.clone()).await;
    let full = refused(507, "DENIED");
    assert_eq!(
        upload(&base, "app", &[1; 600]).await.status(),
        StatusCode::CREATED
    );
    assert_eq!(failure(upload(&base, "app", &[2; 401]).await).await, full);
    assert!(
        !tree(dir.path())
            .iter()
            .any(|path| path.starts_with("ingest"))
    );
    // In pieces: what came of it is given back when there is no room for the next.
    let begin = format!("{base}/v2/app/blobs/uploads/");
    let begin = http().post(begin).send().await.unwrap();
    let url = format!("{base}{}", begin.headers()["location"].to_str().unwrap());
    let piece = || http().patch(&url).body(vec![3; 300]).send();
    assert_eq!(piece().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(failure(upload(&base, "app", &[2; 101]).await).await, full);
    assert_eq!(failure(piece().await.unwrap()).await, full);
    assert_eq!(
        failure(piece().await.unwrap()).await,
        refused(404, "BLOB_UPLOAD_UNKNOWN")
    );
    assert_eq!(
        upload(&base, "app", &[2; 400]).await.status(),
        StatusCode::CREATED
    );
    let manifest = put(&base, "a", "v1").await;
    assert_eq!(
        failure(manifest).await,
        refused(400, "MANIFEST_BLOB_UNKNOWN")
    );
    for bytes in [vec![1; 600], vec![2; 400]] {
        let blob = format!("{base}/v2/app/blobs/{}", Digest::of(&bytes));
        http().delete(blob).send().await.unwrap();
    }
    // A blob takes its room once, however often it is sent; and a restart counts what is there.
    for _ in 0..2 {
        assert_eq!(put(&base, "a", "v1").await.status(), StatusCode::CREATED);
    }
    let artifact = wasm_artifact(&module("a")).unwrap();
    let used = artifact.config.len() + module("a").len() + artifact.manifest.len();
    drop(server);
    let server = serve(Registry::with_limits(dir.path(), limits).unwrap().router()).await;
    let base = format!("http://{}", server.address);
    let more = vec![4; 1001 - used];
    assert_eq!(failure(upload(&base, "app", &more).await).await, full);
    assert_eq!(
        upload(&base, "app", &more[1..]).await.status(),
        StatusCode::CREATED
    );
}
