//! A client of registries, by hand: what the tests need to see is not what client libraries show.

use std::sync::Arc;

use reqwest::{Client, Response, StatusCode};
use sampan_image::{Digest, Registry, wasm_artifact};
use serde_json::Value;

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

pub(crate) async fn start() -> (tempfile::TempDir, Arc<Registry>, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path()).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    (dir, registry, server, base)
}

/// Uploads a blob in one request.
pub(crate) async fn upload(base: &str, repository: &str, bytes: &[u8]) -> Response {
    let digest = Digest::of(bytes);
    let url = format!("{base}/v2/{repository}/blobs/uploads/?digest={digest}");
    http().post(url).body(bytes.to_vec()).send().await.unwrap()
}

pub(crate) async fn put_manifest(
    base: &str,
    name: &str,
    reference: &str,
    body: Vec<u8>,
) -> Response {
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
pub(crate) async fn failure(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (
        status,
        body["errors"][0]["code"].as_str().unwrap().to_owned(),
    )
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
