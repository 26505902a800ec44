//! Garbage collection of the registry, also while pushes are under way.

use std::time::Duration;

use reqwest::StatusCode;
use sampan_image::{Digest, Pruned, wasm_artifact};
use serde_json::Value;

use crate::client::*;
use crate::fixtures::*;

#[tokio::test]
async fn single_blobs_are_deleted_only_when_no_manifest_needs_them() {
    let (dir, _registry, server, base) = start().await;
    let wasm = module("needed");
    let manifest = push(&server, "app", "v1", &wasm).await;
    upload(&base, "app", b"alone").await;
    let delete = |repository: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        let url = format!("{base}/v2/{repository}/blobs/{digest}");
        async move { http().delete(url).send().await.unwrap() }
    };
    let needed = delete("app", &wasm).await;
    assert_eq!(failure(needed).await, refused(405, "DENIED"));
    let elsewhere = delete("other", b"alone").await;
    assert_eq!(failure(elsewhere).await, refused(404, "BLOB_UNKNOWN"));
    assert_eq!(delete("app", b"alone").await.status(), StatusCode::ACCEPTED);
    assert_eq!(
        delete("app", b"alone").await.status(),
        StatusCode::NOT_FOUND
    );
    let url = format!("{base}/v2/app/manifests/{manifest}");
    http().delete(url).send().await.unwrap();
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_no_tag_leads_to_is_pruned() {
    let (dir, registry, server, base) = start().await;
    let old = push(&server, "app", "v1", &module("old")).await;
    let new = push(&server, "app", "v1", &module("new")).await;
    upload(&base, "app", b"its manifest never came").await;
    // An upload under way, whose bytes are here.
    let begun = http()
        .post(format!("{base}/v2/app/blobs/uploads/"))
        .send()
        .await
        .unwrap();
    let upload = format!("{base}{}", begun.headers()["location"].to_str().unwrap());
    http().patch(&upload).body("half").send().await.unwrap();

    let young = registry.prune(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(young, Pruned::default());
    let url = format!("{base}/v2/_sampan/registry/prune");
    let bad = http()
        .post(format!("{url}?olderThan=x"))
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    let pruned = http()
        .post(format!("{url}?olderThan=0"))
        .send()
        .await
        .unwrap();
    let pruned: Value = serde_json::from_slice(&pruned.bytes().await.unwrap()).unwrap();
    // The old manifest and its module, the lost upload; both artifacts differ in their configs too.
    assert_eq!(
        (&pruned["manifests"], &pruned["blobs"]),
        (&1.into(), &4.into())
    );
    let status = |digest: &str| {
        let url = format!("{base}/v2/app/manifests/{digest}");
        async move { http().head(url).send().await.unwrap().status().as_u16() }
    };
    assert_eq!((status(&old).await, status(&new).await), (404, 200));
    let digest = Digest::of(b"half and half");
    let done = http()
        .put(format!("{upload}?digest={digest}"))
        .body(" and half")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let blobs = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 4);
}

#[tokio::test]
async fn pushes_and_prunings_at_the_same_time_lose_nothing() {
    let (dir, registry, server, base) = start().await;
    let shared = module("shared by all");
    let pushes = (0..20).map(|n| {
        let (base, shared) = (base.clone(), shared.clone());
        async move {
            // What a client does that finds its blob gone: uploads it again.
            let artifact = wasm_artifact(&shared).unwrap();
            let name = format!("app{n}");
            for _ in 0..100 {
                upload(&base, &name, &artifact.config).await;
                upload(&base, &name, &shared).await;
                let put = put_manifest(&base, &name, "v1", artifact.manifest.to_vec()).await;
                if put.status() == StatusCode::CREATED {
                    return name;
                }
                assert_eq!(failure(put).await, refused(400, "MANIFEST_BLOB_UNKNOWN"));
            }
            panic!("never complete");
        }
    });
    let pushes = tokio::spawn(futures::future::join_all(pushes.collect::<Vec<_>>()));
    // Not for ever: a push whose uploads are swept each time before its manifest comes would never end.
    for _ in 0..50 {
        registry.prune(Duration::ZERO).await.unwrap();
        tokio::task::yield_now().await;
    }
    let digest = Digest::of(&shared);
    for name in pushes.await.unwrap() {
        let got = http().get(format!("{base}/v2/{name}/blobs/{digest}"));
        assert_eq!(got.send().await.unwrap().bytes().await.unwrap(), shared);
    }
    drop(server);
    let blobs = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 3);
}
