//! The cluster's own registry as a node elsewhere sees it: through the API server, with the node's credentials.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Limited};
use kube::client::Body;
use sampan_image::{Blob, Digest, Distribution, FetchError, Manifest};

/// The largest manifest that is read, as most registries have it.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// Pulls through a client of the API.
pub(crate) struct RemoteRegistry {
    client: kube::Client,
}

impl RemoteRegistry {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    async fn get(&self, uri: String, start: u64) -> Result<http::Response<Body>, FetchError> {
        let mut request = Request::get(&uri);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let request = request
            .body(Body::empty())
            .map_err(|error| FetchError::Invalid(format!("{uri}: {error}")))?;
        let response = self.client.send(request).await;
        let response = response.map_err(|error| FetchError::Unavailable(error.to_string()))?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_FOUND => Err(FetchError::NotFound(uri)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FetchError::Unauthorized(uri)),
            status => Err(FetchError::Unavailable(format!("{uri}: {status}"))),
        }
    }
}

#[async_trait]
impl Distribution for RemoteRegistry {
    async fn manifest(&self, name: &str, reference: &str) -> Result<Manifest, FetchError> {
        let response = self
            .get(format!("/v2/{name}/manifests/{reference}"), 0)
            .await?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_string();
        let body = Limited::new(response.into_body(), MAX_MANIFEST_BYTES)
            .collect()
            .await;
        let bytes: Bytes = body
            .map_err(|error| FetchError::Unavailable(error.to_string()))?
            .to_bytes();
        let digest = Digest::of(&bytes);
        Ok(Manifest {
            bytes,
            media_type,
            digest,
        })
    }

    async fn blob(&self, name: &str, digest: &Digest, start: u64) -> Result<Blob, FetchError> {
        let uri = format!("/v2/{name}/blobs/{digest}");
        let response = self.get(uri, start).await?;
        // The registry is ours: what it begins in the middle, it begins where it was asked to.
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => start,
            _ => 0,
        };
        let size = response.headers().get(header::CONTENT_LENGTH);
        let size = size.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let frames =
            TryStreamExt::map_err(BodyStream::new(response.into_body()), std::io::Error::other);
        let chunks = frames.try_filter_map(async |frame| Ok(frame.into_data().ok()));
        Ok(Blob::Stream {
            start,
            size: size.map(|size| start + size),
            stream: Box::pin(chunks),
        })
    }
}
