//! What pulls do to the store: names, sharing, removal, cancellation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use sampan_image::{Digest, ImageConfig, ImageStore};
use serde_json::json;

use crate::fixtures::*;

#[tokio::test]
async fn pulls_at_the_same_time_share_the_work() {
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &module("shared"));
    let (media_type, bytes) = shelf.manifests["v1"].clone();
    shelf.manifests.insert("v2".into(), (media_type, bytes));
    shelf.gate = Some(tokio::sync::Semaphore::new(0));
    let (_dir, store, shelf) = store_of(shelf);
    let pulls = (0..20).map(|n| {
        let (store, name) = (store.clone(), format!("app:v{}", 1 + n % 2));
        async move { store.pull(&name, None).await }
    });
    let pulls = tokio::spawn(join_all(pulls.collect::<Vec<_>>()));
    while shelf.served.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    shelf.gate.as_ref().unwrap().add_permits(100);
    let images = pulls.await.unwrap();
    let ids: Vec<String> = images
        .into_iter()
        .map(|image| image.unwrap().id.clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(
        shelf.served.load(Ordering::SeqCst),
        2,
        "config and layer, once"
    );
    let image = store.get("app:v1").unwrap();
    assert_eq!(image.repo_tags.len(), 2);
    assert_eq!(store.get("app:v2").unwrap().id, image.id);
    store.pull("app:v1", None).await.unwrap();
    assert_eq!(
        shelf.served.load(Ordering::SeqCst),
        2,
        "content that is here is not fetched"
    );
}

#[tokio::test]
async fn a_dropped_pull_stops_and_leaves_nothing() {
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &module("dropped"));
    shelf.gate = Some(tokio::sync::Semaphore::new(1));
    let (dir, store, shelf) = store_of(shelf);
    let pull = tokio::spawn({
        let store = store.clone();
        async move { store.pull("app:v1", None).await }
    });
    while shelf.served.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    pull.abort();
    assert!(pull.await.unwrap_err().is_cancelled());
    assert!(store.list().is_empty());
    assert_eq!(tree(dir.path()), Vec::<String>::new());
    shelf.gate.as_ref().unwrap().add_permits(10);
    store.pull("app:v1", None).await.unwrap();
}

#[tokio::test]
async fn images_are_found_by_every_name_and_by_id() {
    let mut shelf = Shelf::default();
    shelf.artifact("latest", &module("names"));
    let (_dir, store, _) = store_of(shelf);
    let image = store.pull("team/app", None).await.unwrap();
    assert_eq!(image.repo_tags, ["team/app:latest"]);
    let hex = image.id.strip_prefix("sha256:").unwrap();
    for name in [
        "team/app",
        "team/app:latest",
        &image.repo_digests[0],
        &image.id,
        hex,
        &hex[..12],
    ] {
        assert_eq!(
            store.get(name).map(|found| found.id.clone()),
            Some(image.id.clone()),
            "{name}"
        );
    }
    for name in [
        "app",
        "team/app:v2",
        "docker.io/team/app",
        "r.io/team/app",
        &hex[..3],
        "",
        "NO!",
    ] {
        assert!(store.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn removing_by_one_name_removes_all_names_but_not_shared_blobs() {
    let wasm = module("common");
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &wasm);
    let config = shelf.blob(
        "application/vnd.wasm.config.v0+json",
        r#"{"author":"second"}"#,
    );
    let layer = shelf.blob("application/wasm", wasm.clone());
    shelf.image("other", config, &[layer]);
    let (dir, store, _) = store_of(shelf);
    store.pull("a:v1", None).await.unwrap();
    let first = store.pull("b:v1", None).await.unwrap();
    let second = store.pull("c:other", None).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(store.list().len(), 2);

    let removals = (0..5).map(|_| store.remove(&first.id));
    let removed: Vec<bool> = join_all(removals)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
    assert!(store.get("a:v1").is_none() && store.get("b:v1").is_none());
    assert_eq!(
        std::fs::read(second.module(None).unwrap().path).unwrap(),
        wasm
    );
    assert!(store.remove("c:other").await.unwrap());
    assert!(!store.remove("c:other").await.unwrap());
    assert_eq!(tree(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_tag_that_moved_names_the_new_image() {
    let dir = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for text in ["old", "new"] {
        let mut shelf = Shelf::default();
        shelf.artifact("v1", &module(text));
        let mut config = ImageConfig::new(dir.path());
        config.local = Some(Arc::new(shelf));
        let store = ImageStore::open(config).unwrap();
        ids.push(store.pull("app:v1", None).await.unwrap().id.clone());
    }
    let store = ImageStore::open(ImageConfig::new(dir.path())).unwrap();
    assert_eq!(store.get("app:v1").unwrap().id, ids[1]);
    let old = store.get(&ids[0]).unwrap();
    assert!(old.repo_tags.is_empty());
    assert_eq!(store.get(&old.repo_digests[0]).unwrap().id, ids[0]);
}

#[tokio::test]
async fn errors_name_the_image_and_the_reason() {
    let (_dir, store, _) = store_of(Shelf::default());
    let error = store.pull("No Such", None).await.unwrap_err();
    assert_eq!(variant(&error), "InvalidName");
    let text = error.to_string();
    assert!(
        text.starts_with("failed to parse image name \"No Such\": invalid reference format"),
        "{text}"
    );

    let digest = Digest::of(b"nothing");
    let mut shelf = Shelf::default();
    let missing = json!({"mediaType": "application/wasm", "digest": digest, "size": 3});
    let config = shelf.blob("application/vnd.wasm.config.v0+json", "{}");
    shelf.image("v1", config, &[missing]);
    let (_dir, store, _) = store_of(shelf);
    let error = store.pull("app:v1", None).await.unwrap_err();
    assert_eq!(variant(&error), "NotFound", "{error}");
}

#[tokio::test]
async fn a_mirror_keeps_the_name_and_comes_before_the_registry() {
    let own = tempfile::tempdir().unwrap();
    let registry = sampan_image::Registry::open(own.path()).unwrap();
    let server = serve(registry.router()).await;
    crate::client::push(&server, "library/app", "v1", &module("mirrored")).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    let gone = "http://127.0.0.1:1".parse().unwrap();
    let mirrors = vec![gone, format!("http://{}", server.address).parse().unwrap()];
    config.mirrors.insert("docker.io".into(), mirrors);
    let store = ImageStore::open(config).unwrap();
    let image = store.pull("app:v1", None).await.unwrap();
    assert_eq!(image.repo_tags, ["docker.io/library/app:v1"]);
    assert_eq!(store.get("app:v1").unwrap().id, image.id);
}
