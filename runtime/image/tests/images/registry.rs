//! Our registry over real sockets: the protocol by hand, and through somebody else's client.

use std::sync::Arc;

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use reqwest::{Client, Response, StatusCode};
use sampan_image::{Digest, ImageConfig, ImageStore, Limits, Registry, wasm_artifact};
use serde_json::{Value, json};

use crate::fixtures::*;

/// An HTTP client for loopback.
pub(crate) fn http() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

async fn start() -> (tempfile::TempDir, Arc<Registry>, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path()).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    (dir, registry, server, base)
}

/// Uploads a blob in one request.
async fn upload(base: &str, repository: &str, bytes: &[u8]) -> Response {
    let digest = Digest::of(bytes);
    let url = format!("{base}/v2/{repository}/blobs/uploads/?digest={digest}");
    http().post(url).body(bytes.to_vec()).send().await.unwrap()
}

async fn put_manifest(base: &str, name: &str, reference: &str, body: Vec<u8>) -> Response {
    let url = format!("{base}/v2/{name}/manifests/{reference}");
    http()
        .put(url)
        .header("content-type", OCI_MANIFEST)
        .body(body)
        .send()
        .await
        .unwrap()
}

/// Pushes a module as `sampan push` does; gives the manifest's digest.
pub(crate) async fn push(server: &Server, repository: &str, tag: &str, module: &[u8]) -> String {
    let base = format!("http://{}", server.address);
    let artifact = wasm_artifact(module).unwrap();
    for blob in [&artifact.config[..], module] {
        assert_eq!(
            upload(&base, repository, blob).await.status(),
            StatusCode::CREATED
        );
    }
    let put = put_manifest(&base, repository, tag, artifact.manifest.to_vec()).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(
        put.headers()["docker-content-digest"],
        artifact.manifest_digest.as_str()
    );
    artifact.manifest_digest
}

/// The status and the OCI error code.
async fn failure(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (
        status,
        body["errors"][0]["code"].as_str().unwrap().to_owned(),
    )
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

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
async fn uploads_come_in_chunks_and_in_order() {
    let (dir, _registry, _server, base) = start().await;
    let begin = http()
        .post(format!("{base}/v2/app/blobs/uploads/"))
        .send()
        .await
        .unwrap();
    assert_eq!(begin.status(), StatusCode::ACCEPTED);
    let location = begin.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/v2/app/blobs/uploads/"), "{location}");
    let url = format!("{base}{location}");
    let patch = |range: &str, bytes: &'static str| {
        http()
            .patch(&url)
            .header("content-range", range.to_owned())
            .body(bytes)
            .send()
    };
    let first = patch("0-4", "hello").await.unwrap();
    assert_eq!(
        (first.status(), &first.headers()["range"]),
        (StatusCode::ACCEPTED, &"0-4".parse().unwrap())
    );
    let early = patch("9-10", "xx").await.unwrap();
    assert_eq!(early.headers()["range"], "0-4");
    assert_eq!(failure(early).await, refused(416, "BLOB_UPLOAD_INVALID"));
    patch("5-9", " worl").await.unwrap();
    let state = http().get(&url).send().await.unwrap();
    assert_eq!(
        (state.status(), &state.headers()["range"]),
        (StatusCode::NO_CONTENT, &"0-9".parse().unwrap())
    );
    let elsewhere = url.replace("/app/", "/other/");
    let elsewhere = http().get(elsewhere).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    let digest = Digest::of(b"hello world");
    let done = http()
        .put(format!("{url}?digest={digest}"))
        .body("d")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let again = http()
        .put(format!("{url}?digest={digest}"))
        .send()
        .await
        .unwrap();
    assert_eq!(failure(again).await, refused(404, "BLOB_UPLOAD_UNKNOWN"));
    let blob = format!("{base}/v2/app/blobs/{digest}");
    let part = http()
        .get(&blob)
        .header("range", "bytes=6-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes 6-10/11");
    assert_eq!(part.bytes().await.unwrap(), "world");
    let beyond = http()
        .get(&blob)
        .header("range", "bytes=11-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let begin = http()
        .post(format!("{base}/v2/app/blobs/uploads/"))
        .send()
        .await
        .unwrap();
    let url = format!("{base}{}", begin.headers()["location"].to_str().unwrap());
    assert_eq!(
        http().delete(&url).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        http().get(&url).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert!(
        !tree(dir.path())
            .iter()
            .any(|path| path.starts_with("ingest"))
    );
}

#[tokio::test]
async fn bad_requests_get_oci_errors_and_store_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        manifest_bytes: 1000,
        layer_bytes: 1000,
        ..Limits::default()
    };
    let registry = Registry::with_limits(dir.path(), limits).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    let digest = Digest::of(b"right");
    let wrong = format!("{base}/v2/app/blobs/uploads/?digest={digest}");
    let wrong = http().post(wrong).body("wrong").send().await.unwrap();
    assert_eq!(failure(wrong).await, refused(400, "DIGEST_INVALID"));
    let other = format!("{base}/v2/app/blobs/uploads/?digest=sha512:00");
    let other = http().post(other).body("x").send().await.unwrap();
    assert_eq!(failure(other).await, refused(400, "DIGEST_INVALID"));
    assert_eq!(
        failure(upload(&base, "app", &[0; 1001]).await).await,
        refused(413, "SIZE_INVALID")
    );
    assert_eq!(
        failure(upload(&base, "App", b"x").await).await,
        refused(400, "NAME_INVALID")
    );

    let artifact = wasm_artifact(&module("absent")).unwrap();
    let absent = put_manifest(&base, "app", "v1", artifact.manifest.to_vec()).await;
    assert_eq!(failure(absent).await, refused(400, "MANIFEST_BLOB_UNKNOWN"));
    for (body, want) in [
        (b"{".to_vec(), refused(400, "MANIFEST_INVALID")),
        (
            b"{\"schemaVersion\":1}".to_vec(),
            refused(400, "MANIFEST_INVALID"),
        ),
        (vec![b' '; 1001], refused(413, "SIZE_INVALID")),
    ] {
        assert_eq!(
            failure(put_manifest(&base, "app", "v1", body).await).await,
            want
        );
    }
    let elsewhere = put_manifest(&base, "app", digest.as_str(), artifact.manifest.to_vec()).await;
    assert_eq!(failure(elsewhere).await, refused(400, "DIGEST_INVALID"));

    for (method, path, want) in [
        ("GET", "/v2/app/manifests/v1", refused(404, "NAME_UNKNOWN")),
        (
            "GET",
            &format!("/v2/app/blobs/{digest}"),
            refused(404, "BLOB_UNKNOWN"),
        ),
        ("GET", "/v2/app/tags/list", refused(404, "NAME_UNKNOWN")),
        (
            "DELETE",
            "/v2/app/manifests/v1",
            refused(404, "MANIFEST_UNKNOWN"),
        ),
        (
            "DELETE",
            &format!("/v2/app/blobs/{digest}"),
            refused(405, "UNSUPPORTED"),
        ),
        (
            "PATCH",
            "/v2/app/blobs/uploads/none",
            refused(404, "BLOB_UPLOAD_UNKNOWN"),
        ),
        ("GET", "/v2/../../etc/passwd", refused(404, "UNSUPPORTED")),
        (
            "GET",
            "/v2/a/%2e%2e/manifests/v1",
            refused(400, "NAME_INVALID"),
        ),
    ] {
        let method = method.parse::<reqwest::Method>().unwrap();
        let shown = format!("{method} {path}");
        // Sent by hand where a client library would tidy the path.
        let answer = http()
            .request(method, format!("{base}{path}"))
            .send()
            .await
            .unwrap();
        if answer.status().as_u16() != 404 || want.0 == 404 {
            let known = answer.headers().contains_key("content-type");
            assert!(known, "{shown}");
            if !path.contains("..") && !path.contains("%2e") {
                assert_eq!(failure(answer).await, want, "{shown}");
            }
        }
    }
    assert_eq!(tree(dir.path()), Vec::<String>::new());
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
async fn lists_come_in_pages() {
    let (_dir, _registry, server, base) = start().await;
    for name in ["c", "a/x", "b"] {
        push(&server, name, "v1", &module(name)).await;
    }
    for tag in ["v2", "latest"] {
        push(&server, "b", tag, &module("b")).await;
    }
    let get = |path: String| async move {
        let answer = http()
            .get(format!("http://{}{path}", server.address))
            .send()
            .await
            .unwrap();
        let link = answer
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (body, link)
    };
    let (all, link) = get("/v2/_catalog".into()).await;
    assert_eq!(
        (all["repositories"].clone(), link),
        (json!(["a/x", "b", "c"]), None)
    );
    let (first, link) = get("/v2/_catalog?n=2".into()).await;
    assert_eq!(first["repositories"], json!(["a/x", "b"]));
    let next = link.unwrap();
    let next = next
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(get(next).await.0["repositories"], json!(["c"]));
    let (tags, _) = get("/v2/b/tags/list".into()).await;
    assert_eq!(tags, json!({"name": "b", "tags": ["latest", "v1", "v2"]}));
    let base = http().get(format!("{base}/v2/")).send().await.unwrap();
    assert_eq!(
        base.headers()["docker-distribution-api-version"],
        "registry/2.0"
    );
}

#[tokio::test]
async fn deleting_frees_what_nothing_else_needs() {
    let (dir, _registry, server, base) = start().await;
    let one = push(&server, "app", "v1", &module("one")).await;
    push(&server, "copy", "v1", &module("one")).await;
    let two = push(&server, "app", "v2", &module("two")).await;
    let delete = |path: String| http().delete(format!("{base}/v2/{path}")).send();
    let status = |path: String| {
        let url = format!("{base}/v2/{path}");
        async move { http().head(url).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(
        delete("app/manifests/v1".into()).await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(status("app/manifests/v1".into()).await, 404);
    assert_eq!(status(format!("app/manifests/{one}")).await, 200);
    delete(format!("app/manifests/{one}")).await.unwrap();
    assert_eq!(status(format!("app/manifests/{one}")).await, 404);
    assert_eq!(status("copy/manifests/v1".into()).await, 200);
    delete(format!("app/manifests/{two}")).await.unwrap();
    assert_eq!(status("app/manifests/v2".into()).await, 404);
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        3
    );
    delete(format!("copy/manifests/{one}")).await.unwrap();
    assert_eq!(tree(dir.path()), Vec::<String>::new());
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
