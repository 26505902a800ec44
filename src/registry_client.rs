//! Talks to the cluster's own registry through the API server, with the credentials of the kubeconfig.

use std::path::Path;

use anyhow::{Context, bail};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;

use crate::output;

/// The largest module or folder that is pushed.
pub(crate) const MAX_MODULE_BYTES: u64 = 512 * 1024 * 1024;
/// Names in one answer.
const PAGE: usize = 500;
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// A name in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    pub(crate) repository: String,
    pub(crate) tag: String,
}

impl ImageName {
    /// Parses `NAME[:TAG]`; the tag is `latest` if none is given.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, "latest"),
        };
        let part_ok = |part: &str| {
            let edge =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            edge(part.chars().next())
                && edge(part.chars().last())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        };
        if !repository.split('/').all(part_ok) {
            bail!(
                "{text:?} is not an image name: use lower-case letters, digits, '.', '_', '-' and '/'"
            );
        }
        // As everybody reads names: what looks like a host is one, if something follows.
        if let Some((host, _)) = repository.split_once('/')
            && (host == "localhost" || host.contains('.'))
        {
            bail!(
                "{text:?} names the registry {host}: this one is the cluster's own, and its images have no host in their names"
            );
        }
        let tag_ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if tag.is_empty()
            || tag.len() > 128
            || tag.starts_with(['.', '-'])
            || !tag.chars().all(tag_ok)
        {
            bail!("{tag:?} is not a tag");
        }
        Ok(Self {
            repository: repository.to_string(),
            tag: tag.to_string(),
        })
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Reads a module from a file, refusing what is no module.
pub(crate) fn read_module(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let length = std::fs::metadata(path)
        .with_context(|| format!("cannot read {name}"))?
        .len();
    if length > MAX_MODULE_BYTES {
        bail!("{name} has {length} bytes; a module may have {MAX_MODULE_BYTES}");
    }
    let module = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    if !module.starts_with(b"\0asm") {
        bail!("{name} is not a Wasm module (it does not begin with \\0asm)");
    }
    Ok(module)
}

/// Pushes a module; returns the manifest's digest.
pub(crate) async fn push(
    client: &kube::Client,
    module: &[u8],
    image: &ImageName,
) -> anyhow::Result<String> {
    let artifact = sampan_image::wasm_artifact(module)?;
    push_artifact(client, &artifact, module.to_vec(), image).await?;
    Ok(artifact.manifest_digest)
}

/// Pushes config, layer and manifest of an image.
pub(crate) async fn push_artifact(
    client: &kube::Client,
    artifact: &sampan_image::Artifact,
    layer: Vec<u8>,
    image: &ImageName,
) -> anyhow::Result<()> {
    let repository = &image.repository;
    let config = artifact.config.to_vec();
    push_blob(client, repository, &artifact.config_digest, config).await?;
    push_blob(client, repository, &artifact.layer_digest, layer).await?;
    let uri = format!("/v2/{repository}/manifests/{}", image.tag);
    let media_type = Some(artifact.manifest_media_type);
    let manifest = artifact.manifest.to_vec();
    let (status, _, body) = send(client, Method::PUT, &uri, media_type, manifest).await?;
    expect(status, StatusCode::CREATED, &uri, &body)
}

async fn push_blob(
    client: &kube::Client,
    repository: &str,
    digest: &str,
    bytes: Vec<u8>,
) -> anyhow::Result<()> {
    let uri = format!("/v2/{repository}/blobs/{digest}");
    let (status, _, _) = send(client, Method::HEAD, &uri, None, Vec::new()).await?;
    if status == StatusCode::OK {
        return Ok(());
    }
    let uri = format!("/v2/{repository}/blobs/uploads/");
    let (status, location, body) = send(client, Method::POST, &uri, None, Vec::new()).await?;
    expect(status, StatusCode::ACCEPTED, &uri, &body)?;
    let location = location.context("the registry gave no upload location")?;
    let separator = if location.contains('?') { '&' } else { '?' };
    let uri = format!("{location}{separator}digest={digest}");
    let octets = Some("application/octet-stream");
    let (status, _, body) = send(client, Method::PUT, &uri, octets, bytes).await?;
    expect(status, StatusCode::CREATED, &uri, &body)
}

/// What a pruning took away.
#[derive(Debug, serde::Serialize, Deserialize)]
pub(crate) struct Pruned {
    pub(crate) manifests: u64,
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
}

/// Frees what no tag leads to and is older than so many seconds.
pub(crate) async fn prune(client: &kube::Client, older_than: u32) -> anyhow::Result<Pruned> {
    let uri = format!("/v2/_sampan/registry/prune?olderThan={older_than}");
    let (status, _, body) = send(client, Method::POST, &uri, None, Vec::new()).await?;
    expect(status, StatusCode::OK, &uri, &body)?;
    serde_json::from_slice(&body).with_context(|| format!("{uri}: not the expected JSON"))
}

/// An image of the registry.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) image: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// Every tag of every repository.
pub(crate) async fn list(client: &kube::Client) -> anyhow::Result<Vec<Listed>> {
    #[derive(Deserialize)]
    struct Catalog {
        repositories: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Tags {
        tags: Option<Vec<String>>,
    }
    let read = |page: Catalog| page.repositories;
    let repositories = pages(client, "/v2/_catalog", read).await?;
    let mut images = Vec::new();
    for repository in repositories {
        let uri = format!("/v2/{repository}/tags/list");
        let read = |page: Tags| page.tags.unwrap_or_default();
        for tag in pages(client, &uri, read).await? {
            images.push(describe(client, &repository, &tag).await?);
        }
    }
    Ok(images)
}

/// A list of names to its end. The registry gives so many at a time, in order.
async fn pages<T: serde::de::DeserializeOwned>(
    client: &kube::Client,
    uri: &str,
    read: impl Fn(T) -> Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let last = all.last().cloned().unwrap_or_default();
        let page = read(get_json(client, &format!("{uri}?n={PAGE}&last={last}")).await?);
        let done = page.len() < PAGE;
        all.extend(page);
        if done {
            return Ok(all);
        }
    }
}

async fn describe(client: &kube::Client, repository: &str, tag: &str) -> anyhow::Result<Listed> {
    #[derive(Deserialize)]
    struct Descriptor {
        size: u64,
    }
    #[derive(Deserialize)]
    struct Manifest {
        config: Descriptor,
        #[serde(default)]
        layers: Vec<Descriptor>,
    }
    let uri = format!("/v2/{repository}/manifests/{tag}");
    let (status, _, body) = send(client, Method::GET, &uri, None, Vec::new()).await?;
    expect(status, StatusCode::OK, &uri, &body)?;
    let digest = sampan_image::Digest::of(&body).to_string();
    // An index has no layers of its own: its size is not known without its parts.
    let size = serde_json::from_slice(&body).map_or(0, |m: Manifest| {
        m.config.size + m.layers.iter().map(|layer| layer.size).sum::<u64>()
    });
    Ok(Listed {
        image: format!("{repository}:{tag}"),
        digest,
        size,
    })
}

async fn get_json<T: serde::de::DeserializeOwned>(
    client: &kube::Client,
    uri: &str,
) -> anyhow::Result<T> {
    let (status, _, body) = send(client, Method::GET, uri, None, Vec::new()).await?;
    expect(status, StatusCode::OK, uri, &body)?;
    serde_json::from_slice(&body).with_context(|| format!("{uri}: not the expected JSON"))
}

fn expect(status: StatusCode, wanted: StatusCode, uri: &str, body: &[u8]) -> anyhow::Result<()> {
    if status == wanted {
        return Ok(());
    }
    // The API server refuses in its own way, before the registry is asked.
    #[derive(Deserialize)]
    struct Refusal {
        kind: String,
        #[serde(default)]
        reason: String,
        message: String,
    }
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(body)
        && refusal.kind == "Status"
    {
        bail!(output::from_server(&refusal.reason, &refusal.message));
    }
    bail!(
        "the registry answered {status} to {uri}: {}",
        String::from_utf8_lossy(body)
    )
}

async fn send(
    client: &kube::Client,
    method: Method,
    uri: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> anyhow::Result<(StatusCode, Option<String>, Vec<u8>)> {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let response = client
        .send(request.body(Body::from(body))?)
        .await
        .context("the registry")?;
    let status = response.status();
    let location = response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .map(str::to_string);
    let limited = http_body_util::Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let body = limited
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?
        .to_bytes();
    Ok((status, location, body.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names() {
        let check = |text: &str, repository: &str, tag: &str| {
            let name = ImageName::parse(text).expect(text);
            assert_eq!(
                (name.repository.as_str(), name.tag.as_str()),
                (repository, tag)
            );
        };
        check("app:v1", "app", "v1");
        check("team.a", "team.a", "latest");
        check("team/app.b", "team/app.b", "latest");
        for elsewhere in ["docker.io/library/app:v1", "localhost/app"] {
            let error = ImageName::parse(elsewhere)
                .expect_err(elsewhere)
                .to_string();
            assert!(error.contains("names the registry"), "{error}");
        }
        check("hello.wasm", "hello.wasm", "latest");
        check("team/app_x:2.0", "team/app_x", "2.0");
        for bad in ["", "App", "app:", "app:-x", "/app", "a b", "app:v1:v2/x"] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
    }
}
