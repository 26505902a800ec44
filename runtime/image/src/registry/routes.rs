//! The HTTP side of the registry: one function per verb and path of the distribution specification.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use crate::digest::Digest;
use crate::registry::Registry;
use crate::registry::answer::{Failure, received};
use crate::registry::query::{Query, content_start};
use crate::registry::route::Route;

/// Where the specification puts the protocol.
const PREFIX: &str = "/v2";

type Answer = Result<Response, Failure>;

pub(crate) fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .route(PREFIX, any(dispatch))
        .route("/v2/", any(dispatch))
        .route("/v2/{*path}", any(dispatch))
        .with_state(registry)
}

async fn dispatch(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let route = Route::parse(path);
    let answer = async {
        match (parts.method, route?) {
            (Method::GET | Method::HEAD, Route::Base) => Ok(base()),
            (Method::GET, Route::Catalog) => Ok(registry.catalog(&query)),
            (Method::GET, Route::Tags { name }) => registry.tags(&name, &query),
            (method @ (Method::GET | Method::HEAD), Route::Manifest { name, reference }) => {
                registry
                    .manifest_get(&name, &reference, method == Method::GET)
                    .await
            }
            (Method::PUT, Route::Manifest { name, reference }) => {
                registry
                    .manifest_upload(name, reference, &parts.headers, body)
                    .await
            }
            (Method::DELETE, Route::Manifest { name, reference }) => {
                registry.manifest_delete(name, reference).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            (method @ (Method::GET | Method::HEAD), Route::Blob { name, digest }) => {
                registry
                    .blob_answer(&name, &digest, &parts.headers, method == Method::GET)
                    .await
            }
            (Method::POST, Route::Uploads { name }) => {
                registry.upload_begin(&name, &query, body).await
            }
            (Method::GET, Route::Upload { name, id }) => registry.upload_state(&name, &id).await,
            (Method::PATCH, Route::Upload { name, id }) => {
                let start = content_start(&parts.headers)?;
                let offset = registry
                    .uploads
                    .append(&name, &id, start, body, &location(&name, &id))
                    .await?;
                Ok(upload_answer(StatusCode::ACCEPTED, &name, &id, offset))
            }
            (Method::PUT, Route::Upload { name, id }) => {
                let start = content_start(&parts.headers)?;
                registry
                    .upload_finish(&name, &id, start, &query, body)
                    .await
            }
            (Method::DELETE, Route::Upload { name, id }) => {
                registry.uploads.cancel(&name, &id)?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            _ => Err(Failure::Unsupported),
        }
    };
    answer.await.unwrap_or_else(Failure::into_response)
}

fn base() -> Response {
    let headers = [
        ("docker-distribution-api-version", "registry/2.0"),
        (header::CONTENT_TYPE.as_str(), "application/json"),
    ];
    (headers, "{}").into_response()
}

impl Registry {
    fn catalog(&self, query: &Query) -> Response {
        let count = query.count();
        let names = self
            .index
            .read()
            .names(query.get("last").unwrap_or_default(), count);
        page(
            &format!("{PREFIX}/_catalog"),
            &names,
            count,
            &json!({"repositories": names}),
        )
    }

    fn tags(&self, name: &str, query: &Query) -> Answer {
        let count = query.count();
        let last = query.get("last").unwrap_or_default();
        let tags = self
            .index
            .read()
            .tags(name, last, count)
            .ok_or(Failure::NameUnknown)?;
        let body = json!({"name": name, "tags": tags});
        Ok(page(
            &format!("{PREFIX}/{name}/tags/list"),
            &tags,
            count,
            &body,
        ))
    }

    async fn manifest_get(&self, name: &str, reference: &str, send: bool) -> Answer {
        let found = self.index.read().find(name, reference);
        let unknown = || {
            let known = self.index.read().has_repository(name);
            if known {
                Failure::ManifestUnknown
            } else {
                Failure::NameUnknown
            }
        };
        let found = found.ok_or_else(unknown)?;
        let bytes = tokio::fs::read(self.content.path(&found.digest)).await;
        let bytes = bytes.map_err(Failure::io("read manifest"))?;
        let headers = [
            (header::CONTENT_TYPE.as_str(), found.media_type),
            (header::CONTENT_LENGTH.as_str(), bytes.len().to_string()),
            ("docker-content-digest", found.digest.to_string()),
        ];
        let body = if send {
            Body::from(bytes)
        } else {
            Body::empty()
        };
        Ok((headers, body).into_response())
    }

    async fn manifest_upload(
        self: &Arc<Self>,
        name: String,
        reference: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Answer {
        let most = self.limits.manifest_bytes;
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let bytes = axum::body::to_bytes(body, usize::try_from(most).unwrap_or(usize::MAX)).await;
        let bytes =
            bytes.map_err(|_| Failure::TooLarge(format!("a manifest may have {most} bytes")))?;
        let digest = self
            .manifest_put(name.clone(), reference, media_type, bytes)
            .await?;
        Ok(created(
            &format!("{PREFIX}/{name}/manifests/{digest}"),
            &digest,
        ))
    }

    /// POST: an upload in one piece, a blob mounted from another repository, or the start of an upload.
    async fn upload_begin(self: &Arc<Self>, name: &str, query: &Query, body: Body) -> Answer {
        if let Some(digest) = query.digest("mount")? {
            let from = query.get("from").unwrap_or_default();
            // One lock for both: a deletion sees the blob as used or makes it unknown before.
            let mut index = self.index.write();
            if index.has_blob(name, &digest) || index.has_blob(from, &digest) {
                index.add_fresh(name, &digest);
                return Ok(blob_created(name, &digest));
            }
        }
        let id = self.uploads.begin(name).await?;
        if query.get("digest").is_some() {
            let done = self.upload_finish(name, &id, None, query, body).await;
            // The client does not know the id, so what is left of a failure is nobody's.
            let _ = self.uploads.cancel(name, &id);
            return done;
        }
        Ok(upload_answer(StatusCode::ACCEPTED, name, &id, 0))
    }

    async fn upload_state(&self, name: &str, id: &str) -> Answer {
        let offset = self.uploads.offset(name, id).await?;
        Ok(upload_answer(StatusCode::NO_CONTENT, name, id, offset))
    }

    /// PUT: the last bytes, which may be none, and the digest.
    async fn upload_finish(
        self: &Arc<Self>,
        name: &str,
        id: &str,
        start: Option<u64>,
        query: &Query,
        body: Body,
    ) -> Answer {
        let digest = query.digest("digest")?;
        let digest =
            digest.ok_or_else(|| Failure::DigestInvalid("the digest is missing".into()))?;
        self.uploads
            .append(name, id, start, body, &location(name, id))
            .await?;
        let file = self.uploads.finish(name, id, &digest).await?;
        self.blob_put(name.to_owned(), digest.clone(), file).await?;
        Ok(blob_created(name, &digest))
    }
}

fn location(name: &str, id: &str) -> String {
    format!("{PREFIX}/{name}/blobs/uploads/{id}")
}

fn upload_answer(status: StatusCode, name: &str, id: &str, offset: u64) -> Response {
    let headers = [
        (header::LOCATION.as_str(), location(name, id)),
        (header::RANGE.as_str(), received(offset)),
        ("docker-upload-uuid", id.to_owned()),
    ];
    (status, headers).into_response()
}

fn blob_created(name: &str, digest: &Digest) -> Response {
    created(&format!("{PREFIX}/{name}/blobs/{digest}"), digest)
}

fn created(location: &str, digest: &Digest) -> Response {
    let headers = [
        (header::LOCATION.as_str(), location),
        ("docker-content-digest", digest.as_str()),
    ];
    (StatusCode::CREATED, headers).into_response()
}

/// A list, with a link to what follows when the page is full.
fn page(path: &str, listed: &[String], count: usize, body: &serde_json::Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (json, body.to_string()).into_response();
    if let Some(last) = listed.last().filter(|_| listed.len() == count) {
        let link = format!("<{path}?n={count}&last={last}>; rel=\"next\"");
        if let Ok(link) = header::HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}
