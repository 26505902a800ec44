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
