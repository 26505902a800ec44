//! Our registry over real sockets: the protocol by hand, and through somebody else's client.

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use reqwest::StatusCode;
use sampan_image::{Digest, ImageConfig, ImageStore, Registry, wasm_artifact};
use serde_json::{Value, json};

use crate::client::*;
use crate::fixtures::*;

#[tokio::test]
async fn what_is_pushed_is_pulled_byte_for_byte() {
    let (_dir, registry, server, base) = start().await;
    let wasm = module("pushed");
    let digest = push(&server, "team/app", "v1", &wasm).await;
    let artifact = wasm_artifact(&wasm).unwrap();
    let got = http()
        .get(format!("{base}/v2/team/app/manifests/v1"))
        .send()
        .await
        .unwrap();
    assert_eq!(got.headers()["content-type"], OCI_MANIFEST);
    assert_eq!(got.bytes().await.unwrap(), artifact.manifest);
    let head = http()
        .head(format!("{base}/v2/team/app/manifests/{digest}"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        head.headers()["content-length"],
        artifact.manifest.len().to_string().as_str()
    );

    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(impatient(dir.path())).unwrap();
    let name = format!("{}/team/app:v1", server.address);
    let image = store.pull(&name, None).await.unwrap();
    assert_eq!(image.id, digest);
    assert_eq!(image.repo_tags, [name]);
    let path = image.module(None).unwrap().path;
    assert_eq!(std::fs::read(&path).unwrap(), wasm);

    let dir = tempfile::tempdir_in(dir.path()).unwrap();
    let mut config = ImageConfig::new(dir.path());
    config.local = Some(registry);
    let store = ImageStore::open(config).unwrap();
    let image = store.pull("team/app:v1", None).await.unwrap();
    let path = image.module(None).unwrap().path;
    assert_eq!(std::fs::read(path).unwrap(), wasm);
}

#[tokio::test]
async fn in_process_pulls_share_the_blob_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path().join("registry")).unwrap();
    let server = serve(registry.router()).await;
    let wasm = module("linked");
    push(&server, "app", "v1", &wasm).await;
    let mut config = ImageConfig::new(dir.path().join("images"));
    config.local = Some(registry);
    let store = ImageStore::open(config).unwrap();
    let image = store.pull("app:v1", None).await.unwrap();
    let inode = |path: std::path::PathBuf| {
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
    };
    let theirs = dir
        .path()
        .join("registry/blobs/sha256")
        .join(Digest::of(&wasm).hex());
    assert_eq!(inode(image.module(None).unwrap().path), inode(theirs));
}

/// Its address names it as no address does, whatever it would take to connect to it, and nobody else is asked.
#[tokio::test]
async fn the_own_registry_is_known_by_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path().join("registry")).unwrap();
    let server = serve(registry.router()).await;
    push(&server, "team/app", "v1", &module("addressed")).await;
    let mut config = impatient(&dir.path().join("images"));
    config.local = Some(registry);
    // Nothing listens there.
    config.local_hosts = vec!["127.0.0.1:1".into()];
    let store = ImageStore::open(config).unwrap();
    let name = "127.0.0.1:1/team/app:v1";
    let image = store.pull(name, None).await.unwrap();
    assert_eq!(image.repo_tags, [name]);
    assert_eq!(store.get(name).unwrap().id, image.id);
    let error = store.pull("127.0.0.1:1/none:v1", None).await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, sampan_image::PullError::NotFound { .. }) && !text.contains("http"),
        "{text}"
    );
    let other = store.pull("127.0.0.1:2/team/app:v1", None).await;
    assert!(other.is_err());
}

#[tokio::test]
async fn a_foreign_client_pushes_and_pulls() {
    let (_dir, _registry, server, _) = start().await;
    http();
    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..Default::default()
    };
    let client = oci_client::Client::new(config);
    let name: oci_client::Reference = format!("{}/a/b/c:v1", server.address).parse().unwrap();
    // More than one of the client's chunks of 4 MiB.
    let mut wasm = module("foreign");
    wasm.extend(std::iter::repeat_n(7, 9 << 20));
    let layers = [ImageLayer::new(
        wasm.clone(),
        "application/wasm".into(),
        None,
    )];
    let config = Config::new("{}", "application/vnd.wasm.config.v0+json".into(), None);
    let anonymous = RegistryAuth::Anonymous;
    client
        .push(&name, &layers, config, &anonymous, None)
        .await
        .unwrap();
    let pulled = client
        .pull(&name, &anonymous, vec!["application/wasm"])
        .await
        .unwrap();
    assert_eq!(pulled.layers[0].data, wasm);
    let tags = client
        .list_tags(&name, &anonymous, None, None)
        .await
        .unwrap();
    assert_eq!(tags.tags, ["v1"]);
    let other: oci_client::Reference = format!("{}/other:v1", server.address).parse().unwrap();
    let digest = Digest::of(&wasm);
    client
        .mount_blob(&other, &name, digest.as_str())
        .await
        .unwrap();
    assert!(client.blob_exists(&other, digest.as_str()).await.unwrap());
}

#[tokio::test]
async fn blobs_are_seen_only_in_their_repository() {
    let (_dir, _registry, server, base) = start().await;
    let wasm = module("private");
    push(&server, "private", "v1", &wasm).await;
    let digest = Digest::of(&wasm);
    let head = |repository: &str| {
        http()
            .head(format!("{base}/v2/{repository}/blobs/{digest}"))
            .send()
    };
    assert_eq!(head("private").await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        head("public").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    // A failed upload of a known digest gives nothing away either.
    let wrong = format!("{base}/v2/public/blobs/uploads/?digest={digest}");
    http().post(wrong).body("guess").send().await.unwrap();
    assert_eq!(
        head("public").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    let mount = |from: &str| {
        http()
            .post(format!(
                "{base}/v2/public/blobs/uploads/?mount={digest}&from={from}"
            ))
            .send()
    };
    assert_eq!(
        mount("nowhere").await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(
        mount("private").await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(head("public").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_restart_keeps_manifests_and_forgets_unfinished_uploads() {
    let (dir, registry, server, base) = start().await;
    let wasm = module("kept");
    let digest = push(&server, "a/b", "v1", &wasm).await;
    push(&server, "a", "v1", &wasm).await;
    upload(&base, "a", b"no manifest names this").await;
    http()
        .post(format!("{base}/v2/a/blobs/uploads/"))
        .send()
        .await
        .unwrap();
    drop((registry, server));
    std::fs::write(dir.path().join("repositories/a/_tags/broken"), "sha256:12").unwrap();
    std::fs::write(
        dir.path()
            .join("repositories/a/_manifests")
            .join("e".repeat(64)),
        "x",
    )
    .unwrap();
    let registry = Registry::open(dir.path()).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    let tags = http()
        .get(format!("{base}/v2/a/tags/list"))
        .send()
        .await
        .unwrap();
    let tags: Value = serde_json::from_slice(&tags.bytes().await.unwrap()).unwrap();
    assert_eq!(tags["tags"], json!(["v1"]));
    let found = http()
        .head(format!("{base}/v2/a/b/manifests/v1"))
        .send()
        .await
        .unwrap();
    assert_eq!(found.headers()["docker-content-digest"], digest.as_str());
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        3
    );
}

#[tokio::test]
async fn an_index_needs_its_manifests() {
    let (_dir, _registry, server, base) = start().await;
    let digest = push(&server, "app", "wasm", &module("indexed")).await;
    let size = wasm_artifact(&module("indexed")).unwrap().manifest.len();
    let index = |digest: &str| {
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"mediaType": OCI_MANIFEST,
            "digest": digest, "size": size, "platform": {"os": "wasip1", "architecture": "wasm"}}]})
    };
    let put = |body: Value| {
        let url = format!("{base}/v2/app/manifests/v1");
        http()
            .put(url)
            .header("content-type", OCI_INDEX)
            .body(body.to_string())
            .send()
    };
    let absent = put(index(Digest::of(b"absent").as_str())).await.unwrap();
    assert_eq!(failure(absent).await, refused(400, "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(
        put(index(&digest)).await.unwrap().status(),
        StatusCode::CREATED
    );
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(impatient(dir.path())).unwrap();
    let image = store
        .pull(&format!("{}/app:v1", server.address), None)
        .await
        .unwrap();
    assert_eq!(image.id, digest);
}
