//! Plain files and layout folders of the node.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use sampan_image::{Digest, ImageConfig, ImageStore};
use serde_json::{Value, json};

use crate::fixtures::*;

fn open(dir: &Path, root: &Path) -> Arc<ImageStore> {
    let mut config = ImageConfig::new(dir.join("store"));
    config.file_roots = vec![root.to_owned()];
    ImageStore::open(config).unwrap()
}

#[tokio::test]
async fn a_file_is_an_image_until_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let path = root.join("app.wasm");
    fs::write(&path, module("one")).unwrap();
    let store = open(dir.path(), &root);
    let name = format!("file://{}", path.display());
    let first = store.pull(&name, None).await.unwrap();
    assert_eq!(first.id, Digest::of(&module("one")).as_str());
    assert_eq!(first.repo_tags, std::slice::from_ref(&name));
    assert_eq!(store.get(&name).unwrap().id, first.id);
    // The copy is ours: the file may go.
    fs::rename(&path, root.join("aside")).unwrap();
    assert_eq!(store.get(&name).unwrap().id, first.id);
    assert_eq!(
        fs::read(first.module(None).unwrap().path).unwrap(),
        module("one")
    );

    fs::write(&path, module("second")).unwrap();
    assert!(
        store.get(&name).is_none(),
        "a changed file is another image"
    );
    let second = store.pull(&name, None).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(store.list().len(), 1, "the old one lost its only name");
}

/// A root with a module, and with what only looks like one.
fn tempting_root(dir: &Path) -> std::path::PathBuf {
    let root = dir.join("root");
    fs::create_dir(&root).unwrap();
    let secret = dir.join("secret.wasm");
    fs::write(&secret, module("secret")).unwrap();
    symlink(&secret, root.join("link.wasm")).unwrap();
    symlink(dir, root.join("up")).unwrap();
    fs::write(root.join("text.wasm"), "(module)").unwrap();
    fs::write(root.join("real.wasm"), module("real")).unwrap();
    symlink("real.wasm", root.join("inner.wasm")).unwrap();
    let pipe = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        pipe,
        0,
    )
    .unwrap();
    root
}

#[tokio::test]
async fn only_files_below_the_roots() {
    let dir = tempfile::tempdir().unwrap();
    let root = tempting_root(dir.path());
    let store = open(dir.path(), &root);
    let root = root.display();
    let outside = dir.path().join("secret.wasm");
    let outside = outside.display();
    for (name, kind, word) in [
        (format!("file://{outside}"), "NotFound", "not below"),
        (format!("file://{root}/link.wasm"), "NotFound", "not below"),
        (
            format!("file://{root}/up/secret.wasm"),
            "NotFound",
            "not below",
        ),
        (
            format!("file://{root}/../secret.wasm"),
            "NotFound",
            "not below",
        ),
        ("file:///no/such/file".to_owned(), "NotFound", "not below"),
        (
            format!("file://{root}/missing.wasm"),
            "NotFound",
            "No such file",
        ),
        (
            format!("file://{root}/pipe"),
            "NotFound",
            "not a regular file",
        ),
        (format!("file://{root}"), "NotFound", "not a regular file"),
        (
            format!("file://{root}/text.wasm"),
            "Invalid",
            "not a WebAssembly binary",
        ),
        (
            format!("oci://{}", dir.path().display()),
            "NotFound",
            "not below",
        ),
    ] {
        let error = store.pull(&name, None).await.unwrap_err();
        assert_eq!(variant(&error), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(
        store
            .pull(&format!("file://{root}/inner.wasm"), None)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn without_roots_no_file_is_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let root = tempting_root(dir.path());
    let root = root.display();
    let closed = ImageStore::open(ImageConfig::new(dir.path().join("closed"))).unwrap();
    let error = closed
        .pull(&format!("file://{root}/real.wasm"), None)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("allows no images from its own files"),
        "{error}"
    );
}

/// Writes a shelf down as a layout; `entries` become its index.
fn write_layout(folder: &Path, shelf: &Shelf, entries: &[Value]) {
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let index = json!({"schemaVersion": 2, "manifests": entries});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    let manifests = shelf.manifests.values().map(|(_, bytes)| bytes);
    for bytes in manifests.chain(shelf.blobs.values()) {
        fs::write(
            folder.join("blobs/sha256").join(Digest::of(bytes).hex()),
            bytes,
        )
        .unwrap();
    }
}

fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    descriptor
}

#[tokio::test]
async fn layouts_give_images_by_tag_and_digest() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let mut shelf = Shelf::default();
    let one = shelf.artifact("v1", &module("one"));
    let two = shelf.artifact("v2", &module("two"));
    let entries = [
        tagged(one.clone(), "v1"),
        tagged(two.clone(), "registry.example/app:v2"),
    ];
    write_layout(&root.join("layout"), &shelf, &entries);
    write_layout(&root.join("single"), &shelf, std::slice::from_ref(&two));
    let store = open(dir.path(), &root);
    let base = format!("oci://{}", root.display());
    let id = |descriptor: &Value| descriptor["digest"].as_str().unwrap().to_owned();
    for (name, want) in [
        (format!("{base}/layout:v1"), &one),
        (format!("{base}/layout:v2"), &two),
        (format!("{base}/layout@{}", id(&one)), &one),
        (format!("{base}/single"), &two),
    ] {
        let image = store.pull(&name, None).await.unwrap();
        assert_eq!(image.id, id(want), "{name}");
        assert_eq!(store.get(&name).unwrap().id, image.id);
    }
    let error = store
        .pull(&format!("{base}/layout"), None)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no image \"latest\"; it has [v1, "),
        "{error}"
    );
    // The store's copy does not change with the layout.
    let path = store
        .get(&format!("{base}/single"))
        .unwrap()
        .module(None)
        .unwrap()
        .path;
    for entry in fs::read_dir(root.join("single/blobs/sha256")).unwrap() {
        fs::write(entry.unwrap().path(), "overwritten in place").unwrap();
    }
    assert_eq!(fs::read(path).unwrap(), module("two"));
}

#[tokio::test]
async fn damaged_layouts_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let layout = root.join("layout");
    let mut shelf = Shelf::default();
    let one = shelf.artifact("v1", &module("one"));
    write_layout(&layout, &shelf, std::slice::from_ref(&one));
    let store = open(dir.path(), &root);
    let name = format!("oci://{}", layout.display());
    let hex = one["digest"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap()
        .to_owned();
    let manifest = layout.join("blobs/sha256").join(hex);
    let secret = dir.path().join("secret");
    fs::rename(&manifest, &secret).unwrap();
    symlink(&secret, &manifest).unwrap();
    let error = store.pull(&name, None).await.unwrap_err();
    assert!(error.to_string().contains("not below"), "{error}");
    fs::remove_file(&manifest).unwrap();
    fs::write(&manifest, "{}").unwrap();
    let error = store.pull(&name, None).await.unwrap_err();
    assert!(error.to_string().contains("digest mismatch"), "{error}");
    fs::write(layout.join("index.json"), "{").unwrap();
    let error = store.pull(&name, None).await.unwrap_err();
    assert!(error.to_string().contains("index.json"), "{error}");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    let error = store.pull(&name, None).await.unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}
