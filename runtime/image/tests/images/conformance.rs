//! The conformance suite of the OCI distribution specification against our registry.

use std::path::{Path, PathBuf};

use crate::client::start;

/// In PATH as `oci-conformance`, or where `tests/upstream/build.sh` puts it.
fn suite() -> Option<PathBuf> {
    const NAME: &str = "oci-conformance";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    let kept = cache.map(|cache| cache.join("sampan/upstream/bin"));
    let found = std::env::split_paths(&path)
        .chain(kept)
        .map(|folder| folder.join(NAME))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "needs {NAME}");
        println!("skipped: needs {NAME}");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_distribution_specification() {
    let Some(suite) = suite() else {
        return;
    };
    let (_dir, _registry, server, _) = start().await;
    let results = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(suite)
        .current_dir(results.path())
        .env("OCI_REGISTRY", server.address.to_string())
        .env("OCI_TLS", "disabled")
        .env("OCI_RESULTS_DIR", results.path())
        .env("OCI_VERSION", "1.1")
        .env("OCI_API_BLOBS_DIGEST_HEADER", "true")
        .env("OCI_API_BLOBS_UPLOAD_CANCEL", "true")
        .env("OCI_API_MANIFESTS_DIGEST_HEADER", "true")
        // The one algorithm that every registry must speak.
        .env("OCI_DATA_SHA512", "false")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = std::fs::read_to_string(results.path().join("results.yaml")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{report}");
    println!("{said}");
}
