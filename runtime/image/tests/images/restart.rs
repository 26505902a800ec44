//! The store after a death at any moment: leftovers are swept, damage costs one image, nothing is lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sampan_image::{Image, ImageConfig, ImageStore};
use serde_json::json;

use crate::fixtures::*;

fn open(dir: &Path) -> Arc<ImageStore> {
    let mut shelf = Shelf::default();
    shelf.artifact("module", &module("restart"));
    let archive = Tar::new().file("app.wasm", &module("inside")).bytes();
    shelf.rootfs("rootfs", json!({"Cmd": ["/app.wasm"]}), &[archive]);
    let mut config = ImageConfig::new(dir);
    config.local = Some(Arc::new(shelf));
    ImageStore::open(config).unwrap()
}

fn ids(store: &ImageStore) -> Vec<String> {
    store.list().iter().map(|image| image.id.clone()).collect()
}

async fn both(store: &Arc<ImageStore>) -> (Arc<Image>, Arc<Image>) {
    let module = store.pull("app:module", None).await.unwrap();
    (module, store.pull("app:rootfs", None).await.unwrap())
}

#[tokio::test]
async fn images_survive_and_leftovers_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    both(&store).await;
    let before = (ids(&store), tree(dir.path()), store.usage());
    drop(store);
    fs::write(dir.path().join("ingest/12"), "half a blob").unwrap();
    fs::create_dir_all(dir.path().join("ingest/13/bin")).unwrap();
    fs::write(
        dir.path().join("blobs/sha256").join("a".repeat(64)),
        "never named",
    )
    .unwrap();
    fs::create_dir_all(dir.path().join("rootfs").join("b".repeat(64)).join("etc")).unwrap();
    let store = open(dir.path());
    assert_eq!((ids(&store), tree(dir.path()), store.usage()), before);
    for image in store.list() {
        assert!(image.module(None).is_ok());
    }
}

#[tokio::test]
async fn a_damaged_record_costs_its_image_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (module, rootfs) = both(&store).await;
    drop(store);
    let record = |image: &Image| {
        dir.path()
            .join("images")
            .join(format!("{}.json", &image.id["sha256:".len()..]))
    };
    for damage in [
        &b""[..],
        b"{\"version\":1",
        b"\0\0\0\0",
        b"{\"version\":77}",
    ] {
        fs::write(record(&module), damage).unwrap();
        let store = open(dir.path());
        assert_eq!(ids(&store), std::slice::from_ref(&rootfs.id));
        assert!(store.get("app:module").is_none());
        assert_eq!(store.pull("app:module", None).await.unwrap().id, module.id);
    }
    fs::copy(record(&module), record(&module).with_file_name("copy.json")).unwrap();
    assert_eq!(ids(&open(dir.path())).len(), 2);
}

#[tokio::test]
async fn an_image_with_missing_content_is_pulled_again() {
    let dir = tempfile::tempdir().unwrap();
    let (module, rootfs) = both(&open(dir.path())).await;
    fs::write(module.module(None).unwrap().path, "short").unwrap();
    fs::remove_dir_all(dir.path().join("rootfs")).unwrap();
    let store = open(dir.path());
    assert!(store.list().is_empty());
    let again = both(&store).await;
    assert_eq!((&again.0.id, &again.1.id), (&module.id, &rootfs.id));
    assert!(again.0.module(None).is_ok() && again.1.module(None).is_ok());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = ImageStore::open(ImageConfig::new(&file)) else {
        panic!("opened a file")
    };
    assert!(
        error.to_string().contains("cannot create folder"),
        "{error}"
    );
    let mut config = ImageConfig::new(dir.path().join("store"));
    config.file_roots = vec![dir.path().join("missing")];
    let Err(error) = ImageStore::open(config) else {
        panic!("opened without its root")
    };
    assert!(error.to_string().contains("missing"), "{error}");
}
