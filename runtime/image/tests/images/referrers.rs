//! Manifests about other manifests: signatures, attestations, and the like.

use reqwest::StatusCode;
use sampan_image::{Digest, Registry};
use serde_json::{Value, json};

use crate::client::*;
use crate::fixtures::*;

/// Pushes an artifact about `subject`; gives its digest.
async fn about(base: &str, subject: &str, artifact_type: &str, note: &str) -> String {
    let empty = b"{}";
    assert_eq!(
        upload(base, "app", empty).await.status(),
        StatusCode::CREATED
    );
    let config = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(empty), "size": 2});
    let body = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
        "config": config, "layers": [config], "annotations": {"note": note},
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 7}});
    let bytes = body.to_string().into_bytes();
    let digest = Digest::of(&bytes).to_string();
    let put = put_manifest(base, "app", &digest, bytes).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(put.headers()["oci-subject"], subject);
    digest
}

/// The answer of the referrers API, and whether it says that it was filtered.
async fn list(base: &str, path: &str) -> (Vec<Value>, bool) {
    let url = format!("{base}/v2/app/referrers/{path}");
    let answer = http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], OCI_INDEX);
    let filtered = answer.headers().get("oci-filters-applied");
    let filtered = filtered.is_some_and(|applied| applied == "artifactType");
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["mediaType"], OCI_INDEX);
    (body["manifests"].as_array().unwrap().clone(), filtered)
}

#[tokio::test]
async fn what_is_about_a_manifest_is_listed() {
    let (dir, registry, server, base) = start().await;
    // Before the subject is there, as the specification allows.
    let subject = sampan_image::wasm_artifact(&module("subject")).unwrap();
    let subject = subject.manifest_digest.to_string();
    let first = about(&base, &subject, "application/x.sign+json", "one").await;
    push(&server, "app", "v1", &module("subject")).await;
    let second = about(&base, &subject, "application/x.sbom", "two").await;
    let (all, filtered) = list(&base, &subject).await;
    let digests = |list: &[Value]| -> Vec<String> {
        list.iter()
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut want = vec![first.clone(), second.clone()];
    want.sort();
    assert_eq!((digests(&all), filtered), (want, false));
    let signs = format!("{subject}?artifactType=application%2Fx.sign%2Bjson");
    let (signs, filtered) = list(&base, &signs).await;
    assert!(filtered);
    assert_eq!(digests(&signs), std::slice::from_ref(&first));
    assert_eq!(signs[0]["artifactType"], "application/x.sign+json");
    assert_eq!(signs[0]["annotations"], json!({"note": "one"}));
    assert_eq!(signs[0]["mediaType"], OCI_MANIFEST);
    let nothing = list(&base, Digest::of(b"nobody").as_str()).await.0;
    assert!(nothing.is_empty());
    let bad = format!("{base}/v2/app/referrers/v1");
    let bad = http().get(bad).send().await.unwrap();
    assert_eq!(failure(bad).await, refused(400, "DIGEST_INVALID"));

    let gone = format!("{base}/v2/app/manifests/{second}");
    let gone = http().delete(gone).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::ACCEPTED);
    drop((registry, server));
    let registry = Registry::open(dir.path()).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    assert_eq!(digests(&list(&base, &subject).await.0), [first]);
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let (_dir, _registry, _server, base) = start().await;
    let subject = Digest::of(b"busy").to_string();
    // A few that fill an answer by their size.
    let note = "n".repeat(600_000);
    let mut want = Vec::new();
    for n in 0..3 {
        want.push(about(&base, &subject, "a/b", &format!("{n}{note}")).await);
    }
    want.sort();
    let mut found = Vec::new();
    let mut next = format!("/v2/app/referrers/{subject}?artifactType=a%2Fb");
    loop {
        let answer = http().get(format!("{base}{next}")).send().await.unwrap();
        let link = answer.headers().get("link").cloned();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let digests = body["manifests"].as_array().unwrap().iter();
        found.extend(digests.map(|entry| entry["digest"].as_str().unwrap().to_owned()));
        let Some(link) = link else { break };
        let link = link.to_str().unwrap();
        next = link[1..].split('>').next().unwrap().to_owned();
    }
    assert_eq!(found, want);
}
