//! Against Debian's `docker-registry`: somebody else's registry, with their reading of the protocol.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use sampan_image::{Digest, ImageStore, wasm_artifact};
use serde_json::json;

use crate::client::http;
use crate::fixtures::*;

struct Foreign {
    process: Child,
    base: String,
    address: SocketAddr,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts it on a free port; none when it is not installed.
async fn start(dir: &std::path::Path) -> Option<Foreign> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = json!({"version": "0.1", "log": {"level": "error"}, "http": {"addr": address},
        "storage": {"filesystem": {"rootdirectory": dir.join("data")}}});
    let path = dir.join("config.yml");
    std::fs::write(&path, config.to_string()).unwrap();
    drop(listener);
    let spawned = Command::new("docker-registry")
        .arg("serve")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let process = match spawned {
        Ok(process) => process,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("docker-registry: {error}"),
    };
    let base = format!("http://{address}");
    let foreign = Foreign {
        process,
        base,
        address,
    };
    for _ in 0..200 {
        if http()
            .get(format!("{}/v2/", foreign.base))
            .send()
            .await
            .is_ok()
        {
            return Some(foreign);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("docker-registry does not answer");
}

async fn upload(foreign: &Foreign, repository: &str, bytes: &[u8]) {
    let url = format!("{}/v2/{repository}/blobs/uploads/", foreign.base);
    let begun = http().post(url).send().await.unwrap();
    let location = begun.headers()["location"].to_str().unwrap();
    let url = format!("{location}&digest={}", Digest::of(bytes));
    let octets = "application/octet-stream";
    let put = http()
        .put(url)
        .header("content-type", octets)
        .body(bytes.to_vec())
        .send()
        .await;
    assert_eq!(put.unwrap().status(), StatusCode::CREATED);
}

async fn put_manifest(
    foreign: &Foreign,
    name: &str,
    media_type: &str,
    body: impl Into<reqwest::Body>,
) {
    let url = format!("{}/v2/{name}", foreign.base);
    let put = http()
        .put(url)
        .header("content-type", media_type.to_owned())
        .body(body)
        .send()
        .await;
    assert_eq!(put.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn images_come_from_a_foreign_registry() {
    let dir = tempfile::tempdir().unwrap();
    let Some(foreign) = start(dir.path()).await else {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "docker-registry must be installed in CI");
        println!("skipped: needs docker-registry");
        return;
    };
    let wasm = module("foreign");
    let artifact = wasm_artifact(&wasm).unwrap();
    upload(&foreign, "team/app", &wasm).await;
    upload(&foreign, "team/app", &artifact.config).await;
    put_manifest(
        &foreign,
        "team/app/manifests/v1",
        OCI_MANIFEST,
        artifact.manifest.clone(),
    )
    .await;

    let mut shelf = Shelf::default();
    let archive = Tar::new().file("bin/app.wasm", &wasm).bytes();
    shelf.rootfs("v1", json!({"Entrypoint": ["/bin/app.wasm"]}), &[archive]);
    for blob in shelf.blobs.values() {
        upload(&foreign, "rootfs", blob).await;
    }
    let manifest = shelf.manifests["v1"].1.clone();
    put_manifest(&foreign, "rootfs/manifests/v1", OCI_MANIFEST, manifest).await;

    let store_dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(impatient(store_dir.path())).unwrap();
    let address = foreign.address;
    let image = store
        .pull(&format!("{address}/team/app:v1"), None)
        .await
        .unwrap();
    assert_eq!(image.id, artifact.manifest_digest);
    assert_eq!(
        std::fs::read(image.module(None).unwrap().path).unwrap(),
        wasm
    );
    let by_digest = format!("{address}/team/app@{}", artifact.manifest_digest);
    assert_eq!(store.pull(&by_digest, None).await.unwrap().id, image.id);
    let rootfs = store
        .pull(&format!("{address}/rootfs:v1"), None)
        .await
        .unwrap();
    assert_eq!(
        rootfs.module(None).unwrap().digest,
        Digest::of(&wasm).as_str()
    );
    let error = store
        .pull(&format!("{address}/team/app:none"), None)
        .await
        .unwrap_err();
    assert_eq!(variant(&error), "NotFound");
    assert!(error.to_string().contains("manifest unknown"), "{error}");
}
