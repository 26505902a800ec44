//! The three ways in which images carry a module, and indexes.

use std::io::Write;
use std::path::PathBuf;

use sampan_image::{Content, Digest, Image};
use serde_json::json;

use crate::fixtures::*;

pub(crate) fn rootfs(image: &Image) -> PathBuf {
    match &image.content {
        Content::Rootfs { dir } => dir.clone(),
        Content::Module { .. } => panic!("not a root filesystem"),
    }
}

#[tokio::test]
async fn a_wasm_artifact_is_its_module() {
    let wasm = module("artifact");
    let mut shelf = Shelf::default();
    let manifest = shelf.artifact("v1", &wasm);
    let (_dir, store, _) = store_of(shelf);
    let image = store.pull("app:v1", None).await.unwrap();
    assert_eq!(image.id, manifest["digest"].as_str().unwrap());
    assert_eq!(image.repo_tags, ["app:v1"]);
    assert_eq!(image.repo_digests, [format!("app@{}", image.id)]);
    assert!(image.size > wasm.len() as u64);
    let found = image.module(None).unwrap();
    assert_eq!(found.digest, Digest::of(&wasm).as_str());
    assert_eq!(std::fs::read(found.path).unwrap(), wasm);
}

#[tokio::test]
async fn an_image_with_a_wasm_layer_keeps_its_config() {
    let mut shelf = Shelf::default();
    let config = json!({"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Entrypoint": ["/app.wasm"], "Cmd": ["-v"], "Env": ["A=b"], "User": "1000"}});
    let config = shelf.blob(OCI_CONFIG, config.to_string());
    let component = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm";
    let layer = shelf.blob(component, module("layer"));
    shelf.image("latest", config, &[layer]);
    let (_dir, store, _) = store_of(shelf);
    let image = store.pull("app", None).await.unwrap();
    assert_eq!(image.config.entrypoint, ["/app.wasm"]);
    assert_eq!(image.config.cmd, ["-v"]);
    assert_eq!(image.config.user, "1000");
    assert!(matches!(image.content, Content::Module { .. }));
}

/// Two layers, the upper of which changes and hides parts of the lower.
fn stacked(wasm: &[u8], long: &str) -> [Vec<u8>; 2] {
    let lower = Tar::new()
        .folder("etc/")
        .file("etc/gone", b"1")
        .file("etc/kept", b"1")
        .file("etc/changed", b"1")
        .file("cache/old/file", b"1")
        .file("cache/old/stays", b"1")
        .symlink("bin", "usr/bin")
        .folder("usr/bin/")
        .raw(tar::EntryType::Char, "dev/null", "", b"")
        .raw(tar::EntryType::Fifo, "dev/pipe", "", b"")
        .long(long, b"long")
        .bytes();
    let upper = Tar::new()
        .file("etc/.wh.gone", b"")
        .file("etc/.wh.never-was", b"")
        .file("etc/changed", b"2")
        .file("cache/new", b"2")
        .file("cache/old/stays", b"2")
        .file("cache/.wh..wh..opq", b"")
        .file("bin/app.wasm", wasm)
        .hard_link("bin/again.wasm", "usr/bin/app.wasm")
        .bytes();
    [lower, upper]
}

#[tokio::test]
async fn layers_are_stacked_into_a_root_filesystem() {
    let wasm = module("rootfs");
    let long = format!("{}/end", "folder".repeat(30));
    let mut shelf = Shelf::default();
    let manifest = shelf.rootfs(
        "v1",
        json!({"Entrypoint": ["/bin/app.wasm"]}),
        &stacked(&wasm, &long),
    );
    let (dir, store, _) = store_of(shelf);
    let image = store.pull("app:v1", None).await.unwrap();
    assert_ne!(
        image.id,
        manifest["digest"].as_str().unwrap(),
        "the id is the config's digest"
    );
    let root = rootfs(&image);
    let mut want = [
        "bin",
        "cache/new",
        "cache/old/stays",
        "etc/changed",
        "etc/kept",
        &long,
        "usr/bin/again.wasm",
        "usr/bin/app.wasm",
    ];
    want.sort_unstable();
    assert_eq!(tree(&root), want);
    assert_eq!(std::fs::read(root.join("etc/changed")).unwrap(), b"2");
    assert_eq!(std::fs::read(root.join("cache/old/stays")).unwrap(), b"2");
    assert_eq!(
        image.module(None).unwrap().path,
        root.join("usr/bin/app.wasm")
    );
    let mode = std::fs::metadata(root.join("usr/bin/app.wasm"))
        .unwrap()
        .permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode) & 0o7777;
    assert_eq!(mode, 0o755, "set-id bits are dropped");
    // The archives are not kept.
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        2
    );
    assert!(store.usage().bytes > 2 * wasm.len() as u64);

    assert!(store.remove("app:v1").await.unwrap());
    assert!(!root.exists());
    assert_eq!(store.usage().bytes, 0);
}

const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn zstd_of(window_log: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn plain_and_zstd_archives_work_too() {
    for (media_type, pack, works) in [
        (TAR_LAYER, (|bytes| bytes) as fn(Vec<u8>) -> Vec<u8>, true),
        (ZSTD_LAYER, |bytes| zstd_of(25, &bytes), true),
        // The decoder would need 128 MiB for these few bytes.
        (ZSTD_LAYER, |bytes| zstd_of(27, &bytes), false),
    ] {
        let archive = Tar::new().file("app.wasm", &module("x")).bytes();
        let mut shelf = Shelf::default();
        let config = json!({"config": {"Cmd": ["/app.wasm"]}, "rootfs": {"diff_ids": [Digest::of(&archive)]}});
        let config = shelf.blob(OCI_CONFIG, config.to_string());
        let layer = shelf.blob(media_type, pack(archive));
        shelf.image("v1", config, &[layer]);
        let (_dir, store, _) = store_of(shelf);
        let image = store.pull("app:v1", None).await;
        assert_eq!(image.is_ok(), works, "{media_type}");
        if let Ok(image) = image {
            assert!(image.module(None).is_ok(), "{media_type}");
        }
    }
}

#[tokio::test]
async fn an_index_gives_its_wasm_image_and_keeps_its_own_digest() {
    let mut shelf = Shelf::default();
    let mut linux = shelf.rootfs(
        "linux",
        json!({}),
        &[Tar::new().file("sh", b"\x7fELF").bytes()],
    );
    let mut wasm = shelf.artifact("wasm", &module("chosen"));
    linux["platform"] = json!({"os": "linux", "architecture": "amd64"});
    wasm["platform"] = json!({"os": "wasip1", "architecture": "wasm"});
    let inner = json!({"schemaVersion": 2, "manifests": [linux, wasm]});
    let inner = shelf.manifest("inner", OCI_INDEX, &inner);
    let outer = json!({"schemaVersion": 2, "manifests": [inner]});
    let outer = shelf.manifest("v1", OCI_INDEX, &outer);
    let top = outer["digest"].as_str().unwrap().to_owned();
    let (_dir, store, _) = store_of(shelf);
    let image = store.pull("app:v1", None).await.unwrap();
    assert_eq!(image.id, wasm["digest"].as_str().unwrap());
    assert_eq!(image.repo_digests, [format!("app@{top}")]);
    let by_digest = store
        .pull(&format!("app:ignored@{top}"), None)
        .await
        .unwrap();
    assert_eq!(by_digest.id, image.id);
}
