//! Images that lie, escape, or explode: refused with a reason, and nothing of them stays.

use std::sync::Arc;

use sampan_image::{Digest, ImageConfig, ImageStore, Limits, PullError};
use serde_json::json;

use crate::fixtures::*;

fn limited(shelf: Shelf, limits: Limits) -> (tempfile::TempDir, Arc<ImageStore>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = ImageConfig::new(dir.path().join("store"));
    config.local = Some(Arc::new(shelf));
    config.limits = limits;
    let store = ImageStore::open(config).unwrap();
    (dir, store)
}

/// Pulls `app:v1`, which must fail and leave nothing.
async fn refused(shelf: Shelf, limits: Limits) -> PullError {
    let (dir, store) = limited(shelf, limits);
    let error = store.pull("app:v1", None).await.unwrap_err();
    assert_eq!(
        tree(&dir.path().join("store")),
        Vec::<String>::new(),
        "{error}"
    );
    assert!(store.list().is_empty());
    assert!(
        error
            .to_string()
            .starts_with("failed to pull image \"app:v1\": "),
        "{error}"
    );
    error
}

pub(crate) async fn check(shelf: Shelf, limits: Limits, kind: &str, word: &str) {
    let error = refused(shelf, limits).await;
    assert_eq!(variant(&error), kind, "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

pub(crate) fn archive(tar: Tar) -> Shelf {
    let mut shelf = Shelf::default();
    shelf.rootfs("v1", json!({}), &[tar.bytes()]);
    shelf
}

#[tokio::test]
async fn what_is_not_what_it_says_is_refused() {
    let mut shelf = Shelf::default();
    let layer = shelf.blob("application/wasm", module("true"));
    let digest: Digest = layer["digest"].as_str().unwrap().parse().unwrap();
    shelf.blobs.insert(digest, module("lies").into());
    let config = shelf.blob("application/vnd.wasm.config.v0+json", "{}");
    shelf.image("v1", config, &[layer]);
    check(shelf, Limits::default(), "Invalid", "digest mismatch").await;

    for (size, word) in [(5, "more bytes"), (500, "fewer bytes")] {
        let mut shelf = Shelf::default();
        let config = shelf.blob("application/vnd.wasm.config.v0+json", "{}");
        let mut layer = shelf.blob("application/wasm", module("sizes"));
        layer["size"] = json!(size);
        shelf.image("v1", config, &[layer]);
        check(shelf, Limits::default(), "Invalid", word).await;
    }

    let mut shelf = Shelf::default();
    shelf.artifact("v1", b"#!/bin/sh\n");
    check(
        shelf,
        Limits::default(),
        "Invalid",
        "not a WebAssembly binary",
    )
    .await;

    let mut shelf = Shelf::default();
    let config = shelf.blob(
        OCI_CONFIG,
        json!({"rootfs": {"diff_ids": [Digest::of(b"x")]}}).to_string(),
    );
    let layer = shelf.blob(GZIP_LAYER, gzip(&Tar::new().file("a", b"a").bytes()));
    shelf.image("v1", config, &[layer]);
    check(shelf, Limits::default(), "Invalid", "unpacked layer is").await;

    let mut shelf = Shelf::default();
    let config = shelf.blob(OCI_CONFIG, json!({"rootfs": {"diff_ids": []}}).to_string());
    let layer = shelf.blob(GZIP_LAYER, gzip(&Tar::new().file("a", b"a").bytes()));
    shelf.image("v1", config, &[layer]);
    check(shelf, Limits::default(), "Invalid", "names 0 layers").await;
}

#[tokio::test]
async fn a_manifest_must_have_the_digest_that_was_asked_for() {
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &module("one"));
    let wanted = Digest::of(b"another manifest").to_string();
    let (media_type, bytes) = shelf.manifests["v1"].clone();
    shelf.manifests.insert(wanted.clone(), (media_type, bytes));
    let (_dir, store) = limited(shelf, Limits::default());
    let error = store
        .pull(&format!("app@{wanted}"), None)
        .await
        .unwrap_err();
    assert_eq!(variant(&error), "Invalid", "{error}");
    assert!(error.to_string().contains("digest mismatch"), "{error}");
}

#[tokio::test]
async fn nothing_lands_outside_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().to_owned();
    let tar = Tar::new()
        .file("../../../up", b"x")
        .file("/absolute", b"x")
        .file("a/../../b", b"x")
        .symlink("out", &target)
        .file("out/through-link", b"x")
        .symlink("dots", "../../../../../../../../tmp")
        .file("dots/through-dots", b"x")
        .symlink("file-link", &format!("{target}/victim"))
        .file("file-link", b"replaced the link, not its target")
        .file(".wh...", b"")
        .file("..", b"x")
        .file(".", b"x");
    let mut shelf = archive(tar);
    let (dir, store) = {
        let config = std::mem::take(&mut shelf);
        limited(config, Limits::default())
    };
    std::fs::write(outside.path().join("victim"), "untouched").unwrap();
    let image = store.pull("app:v1", None).await.unwrap();
    let sampan_image::Content::Rootfs { dir: root } = &image.content else {
        panic!()
    };
    assert_eq!(tree(outside.path()), ["victim"]);
    assert_eq!(
        std::fs::read(outside.path().join("victim")).unwrap(),
        b"untouched"
    );
    assert!(!std::path::Path::new("/tmp/through-dots").exists());
    let inside = tree(root);
    for name in ["up", "absolute", "b", "tmp/through-dots", "file-link"] {
        assert!(inside.contains(&name.to_owned()), "{name}: {inside:?}");
    }
    let through = format!("{}/through-link", target.trim_start_matches('/'));
    assert!(inside.contains(&through), "{inside:?}");
    let stored: Vec<String> = tree(&dir.path().join("store"))
        .into_iter()
        .filter(|path| !path.starts_with("rootfs/"))
        .collect();
    assert_eq!(stored.len(), 3, "record, manifest, config: {stored:?}");
}

#[tokio::test]
async fn hard_links_cannot_reach_out() {
    check(
        archive(Tar::new().hard_link("x", "/etc/passwd")),
        Limits::default(),
        "Invalid",
        "hard link",
    )
    .await;
    check(
        archive(Tar::new().hard_link("x", "../../etc/passwd")),
        Limits::default(),
        "Invalid",
        "hard link",
    )
    .await;
    check(
        archive(Tar::new().hard_link("x", "")),
        Limits::default(),
        "Invalid",
        "link to nothing",
    )
    .await;
    let below_file = Tar::new().file("a", b"x").file("a/b", b"x");
    check(
        archive(below_file),
        Limits::default(),
        "Invalid",
        "bad path",
    )
    .await;
    let looped = Tar::new().symlink("l", "l").file("l/x", b"x");
    check(
        archive(looped),
        Limits::default(),
        "Invalid",
        "symbolic links",
    )
    .await;
}

#[tokio::test]
async fn broken_archives_are_refused() {
    let mut shelf = Shelf::default();
    shelf.rootfs("v1", json!({}), &[b"this is no archive".repeat(100)]);
    check(shelf, Limits::default(), "Invalid", "cannot be unpacked").await;

    let mut cut = Tar::new().file("a", &[7; 5000]).bytes();
    cut.truncate(3000);
    let mut shelf = Shelf::default();
    shelf.rootfs("v1", json!({}), &[cut]);
    check(shelf, Limits::default(), "Invalid", "middle of a file").await;

    let archive = Tar::new().file("a", b"a").bytes();
    let mut shelf = Shelf::default();
    let config = json!({"rootfs": {"diff_ids": [Digest::of(&archive)]}});
    let config = shelf.blob(OCI_CONFIG, config.to_string());
    let layer = shelf.blob(GZIP_LAYER, archive);
    shelf.image("v1", config, &[layer]);
    check(shelf, Limits::default(), "Invalid", "cannot be unpacked").await;
}

#[tokio::test]
async fn documents_that_are_no_images_are_refused() {
    for (media_type, body, word) in [
        (
            OCI_MANIFEST,
            json!({"schemaVersion": 1}),
            "schema version 1",
        ),
        (OCI_MANIFEST, json!([1]), "cannot be read"),
        (
            OCI_INDEX,
            json!({"schemaVersion": 2, "manifests": []}),
            "no match for platform",
        ),
        ("text/html", json!("hello"), "cannot be read"),
    ] {
        let mut shelf = Shelf::default();
        shelf.manifest("v1", media_type, &body);
        let error = refused(shelf, Limits::default()).await;
        assert!(error.to_string().contains(word), "{error}");
    }
    let mut shelf = Shelf::default();
    let own = json!({"schemaVersion": 2, "manifests": []});
    let mut next = shelf.manifest("v0", OCI_INDEX, &own);
    for _ in 0..5 {
        next = shelf.manifest(
            "v1",
            OCI_INDEX,
            &json!({"schemaVersion": 2, "manifests": [next]}),
        );
    }
    check(
        shelf,
        Limits::default(),
        "Invalid",
        "indexes within indexes",
    )
    .await;
}

#[tokio::test]
async fn devices_and_pipes_are_not_made() {
    let tar = Tar::new()
        .raw(tar::EntryType::Char, "dev/null", "", b"")
        .raw(tar::EntryType::Block, "dev/sda", "", b"")
        .raw(tar::EntryType::Fifo, "run/pipe", "", b"")
        .file("app", b"x");
    let (_dir, store) = limited(archive(tar), Limits::default());
    let image = store.pull("app:v1", None).await.unwrap();
    let sampan_image::Content::Rootfs { dir: root } = &image.content else {
        panic!()
    };
    assert_eq!(tree(root), ["app"]);
    let mode = std::fs::metadata(root.join("app")).unwrap().permissions();
    let bits = std::os::unix::fs::PermissionsExt::mode(&mode) & 0o6000;
    assert_eq!(bits, 0, "nobody becomes somebody else by running it");
}

#[tokio::test]
async fn manifests_and_indexes_of_thousands_are_refused() {
    let mut shelf = Shelf::default();
    let config = shelf.blob(OCI_CONFIG, "{}");
    let layer = shelf.blob(GZIP_LAYER, gzip(&Tar::new().file("a", b"a").bytes()));
    shelf.image("v1", config, &vec![layer; 10_000]);
    check(shelf, Limits::default(), "TooLarge", "10000 layers").await;

    let mut shelf = Shelf::default();
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": Digest::of(b"x"), "size": 1});
    let body = json!({"schemaVersion": 2, "manifests": vec![entry; 5000]});
    shelf.manifest("v1", OCI_INDEX, &body);
    check(shelf, Limits::default(), "TooLarge", "5000 entries").await;
}
