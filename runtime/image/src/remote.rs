//! Registries of others, over HTTP.
//!
//! Talks the pull side of the OCI distribution protocol itself, over `reqwest`: unlike the ready-made client,
//! it bounds every answer it holds in memory (a pod's author chooses the registry, so its answers are hostile
//! input), trades identity tokens, and tells a refused login from a missing image.

mod auth;
mod challenge;
mod client;
mod mirror;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use tokio::sync::Mutex;

use crate::digest::Digest;
use crate::distribution::{Auth, Blob, Distribution, Manifest};
use crate::error::FetchError;
use crate::limits::Limits;
use crate::manifest::MANIFEST_TYPES;

pub use mirror::{Mirror, MirrorError};

use auth::Session;
use client::{Clients, causes, error_text, read_bounded, unreachable};

/// The API host of the default registry, whose name is not a host.
const DOCKER_IO: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// How to reach registries.
#[derive(Clone)]
pub(crate) struct Remotes {
    insecure: Arc<[String]>,
    mirrors: Arc<BTreeMap<String, Vec<Mirror>>>,
    clients: Arc<Clients>,
    limits: Limits,
}

impl Remotes {
    pub(crate) fn new(
        insecure: Vec<String>,
        mirrors: BTreeMap<String, Vec<Mirror>>,
        extra_ca_pem: Option<Vec<u8>>,
        limits: Limits,
    ) -> Remotes {
        let clients = Clients::new(extra_ca_pem);
        Remotes {
            insecure: insecure.into(),
            mirrors: Arc::new(mirrors),
            clients: Arc::new(clients),
            limits,
        }
    }

    /// The registry called `domain`.
    pub(crate) fn origin(&self, domain: &str, auth: Option<&Auth>) -> Remote {
        let host = if domain == DOCKER_IO.0 {
            DOCKER_IO.1
        } else {
            domain
        };
        let name = host_of(host);
        let plain = is_loopback(name)
            || self
                .insecure
                .iter()
                .any(|known| known == host || known == name);
        let scheme = if plain { "http" } else { "https" };
        self.remote(format!("{scheme}://{host}"), auth.cloned())
    }

    /// Mirrors of `domain`. The credentials are for the registry, so mirrors never see them.
    pub(crate) fn mirrors(&self, domain: &str) -> impl Iterator<Item = (&Mirror, Remote)> {
        let mirrors = self.mirrors.get(domain).into_iter().flatten();
        mirrors.map(|mirror| (mirror, self.remote(mirror.base().to_owned(), None)))
    }

    fn remote(&self, base: String, auth: Option<Auth>) -> Remote {
        Remote {
            base,
            clients: self.clients.clone(),
            limits: self.limits.clone(),
            session: Mutex::new(Session::new(auth)),
        }
    }
}

/// The host without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One registry, with one pull's credentials.
pub(crate) struct Remote {
    base: String,
    clients: Arc<Clients>,
    limits: Limits,
    session: Mutex<Session>,
}

impl Remote {
    /// `https://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// GET with the session's credentials. When the registry asks for (other) ones, gets them and asks once more.
    async fn get(
        &self,
        repository: &str,
        path: &str,
        headers: &[(HeaderName, String)],
    ) -> Result<Response, FetchError> {
        let url = format!("{}/v2/{repository}/{path}", self.base);
        let client = self.clients.for_url(&url)?;
        let send = |header: Option<String>| {
            let mut request = client.get(&url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if let Some(header) = header {
                request = request.header(http::header::AUTHORIZATION, header);
            }
            async { request.send().await.map_err(|error| unreachable(&error)) }
        };
        let used = self.session.lock().await.header();
        let response = send(used.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.check(response).await;
        }
        let header = {
            // Held while logging in: blobs fetched side by side wait for one login.
            let mut session = self.session.lock().await;
            if session.header() == used {
                session
                    .log_in(&self.clients, &self.base, repository, &response)
                    .await?;
            }
            session.header()
        };
        self.check(send(header).await?).await
    }

    /// Sorts the answer's status.
    async fn check(&self, response: Response) -> Result<Response, FetchError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = retry_after(response.headers());
        let text = format!("{}: {}", self.base, error_text(status, response).await);
        let unavailable = |reason| match wait {
            Some(wait) => FetchError::Busy { reason, wait },
            None => FetchError::Unavailable(reason),
        };
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FetchError::Unauthorized(text),
            StatusCode::NOT_FOUND => FetchError::NotFound(text),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => unavailable(text),
            status if status.is_server_error() => unavailable(text),
            _ => FetchError::Invalid(text),
        })
    }
}

impl Remote {
    async fn manifest_now(&self, name: &str, reference: &str) -> Result<Manifest, FetchError> {
        let accept = [(ACCEPT, MANIFEST_TYPES.join(", "))];
        let response = self
            .get(name, &format!("manifests/{reference}"), &accept)
            .await?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let media_type = header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let announced = header("docker-content-digest");
        let bytes = read_bounded(response, self.limits.manifest_bytes).await?;
        let digest = Digest::of(&bytes);
        match announced.map(|text| text.parse::<Digest>()) {
            Some(Ok(announced)) if announced != digest => Err(FetchError::Invalid(format!(
                "digest mismatch: manifest is {digest}, the registry announced {announced}"
            ))),
            _ => Ok(Manifest {
                bytes,
                media_type,
                digest,
            }),
        }
    }

    /// Asks for a blob from `start` on. None when the registry does not have as much.
    async fn blob_from(
        &self,
        name: &str,
        digest: &Digest,
        start: u64,
    ) -> Result<Option<Response>, FetchError> {
        let mut headers = vec![(ACCEPT, "*/*".to_owned())];
        if start > 0 {
            headers.push((RANGE, format!("bytes={start}-")));
        }
        let path = format!("blobs/{digest}");
        match self.get(name, &path, &headers).await {
            Err(FetchError::Invalid(_)) if start > 0 => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// What is held in memory, and whatever logging in takes, must be here in time.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let most = self.limits.slow_window;
        let done = tokio::time::timeout(most, work).await;
        done.unwrap_or_else(|_| {
            let base = &self.base;
            Err(FetchError::Unavailable(format!(
                "{base}: no whole answer within {most:?}"
            )))
        })
    }
}

#[async_trait]
impl Distribution for Remote {
    async fn manifest(&self, name: &str, reference: &str) -> Result<Manifest, FetchError> {
        self.in_time(self.manifest_now(name, reference)).await
    }

    async fn blob(&self, name: &str, digest: &Digest, start: u64) -> Result<Blob, FetchError> {
        let answer = self.in_time(self.blob_from(name, digest, start)).await?;
        let response = match answer {
            Some(response) => response,
            // It may not know ranges, or have another idea of the blob: from the first byte, then.
            None => {
                let whole = self.in_time(self.blob_from(name, digest, 0)).await?;
                whole.ok_or_else(|| FetchError::invalid(format!("{}: no answer", self.base)))?
            }
        };
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let begins = if partial { first_byte(&response)? } else { 0 };
        let size = response.content_length().map(|length| begins + length);
        let stream = response
            .bytes_stream()
            .map(|chunk| chunk.map_err(|error| std::io::Error::other(causes(&error))));
        Ok(Blob::Stream {
            start: begins,
            size,
            stream: stream.boxed(),
        })
    }
}

/// Where an answer of 206 begins: `Content-Range: bytes 5-9/10`.
fn first_byte(response: &Response) -> Result<u64, FetchError> {
    let text = response.headers().get(CONTENT_RANGE);
    let first = text
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("bytes "))
        .and_then(|range| range.split('-').next()?.trim().parse::<u64>().ok());
    first.ok_or_else(|| FetchError::invalid("part of a blob without a usable Content-Range"))
}

/// How long the registry wants to be left alone. A date instead of seconds is not read: clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds
        .parse::<u32>()
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()))
}
