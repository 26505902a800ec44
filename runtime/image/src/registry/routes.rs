//! The HTTP side of the registry: one function per verb and path of the distribution specification.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode, header};
use serde_json::json;

use crate::digest::Digest;
use crate::registry::Registry;
use crate::registry::answer::{Failure, received};
use crate::registry::prune::FRESH_AGE;
use crate::registry::query::{ChunkRange, Query};
use crate::registry::route::Route;

/// Where the specification puts the protocol.
pub(crate) const PREFIX: &str = "/v2";

pub(crate) type Answer = Result<Response, Failure>;

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
            (Method::GET | Method::HEAD, Route::Catalog) => Ok(registry.catalog(&query)),
            (Method::GET | Method::HEAD, Route::Tags { name }) => registry.tags(&name, &query),
            (Method::GET | Method::HEAD, Route::Referrers { name, digest }) => {
                registry.referrers(&name, &digest, &query).await
            }
            (Method::POST, Route::Prune) => registry.prune_answer(&query).await,
            (method @ (Method::GET | Method::HEAD), Route::Manifest { name, reference }) => {
                let send = method == Method::GET;
                registry
                    .manifest_answer(&name, &reference, &parts.headers, send)
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
            (Method::DELETE, Route::Blob { name, digest }) => {
                registry.blob_delete(name, digest).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            (Method::POST, Route::Uploads { name }) => {
                registry.upload_begin(&name, &query, body).await
            }
            (Method::GET, Route::Upload { name, id }) => registry.upload_state(&name, &id).await,
            (Method::PATCH, Route::Upload { name, id }) => {
                let range = ChunkRange::of(&parts.headers)?;
                let offset = registry
                    .uploads
                    .append(&name, &id, range, body, &location(&name, &id))
                    .await?;
                Ok(upload_answer(StatusCode::ACCEPTED, &name, &id, offset))
            }
            (Method::PUT, Route::Upload { name, id }) => {
                let range = ChunkRange::of(&parts.headers)?;
                registry
                    .upload_finish(&name, &id, range, &query, body)
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
    /// POST: an upload in one piece, a blob mounted from another repository, or the start of an upload.
    async fn upload_begin(self: &Arc<Self>, name: &str, query: &Query, body: Body) -> Answer {
        if let Some(digest) = query.digest("mount")? {
            let from = query.get("from").unwrap_or_default();
            if self.blob_mount(name, &digest, from).await? {
                return Ok(blob_created(name, &digest));
            }
        }
        let dropped = self.drop_forgotten(name).await;
        dropped.map_err(Failure::io("drop forgotten uploads"))?;
        let id = self.uploads.begin(name).await?;
        if query.get("digest").is_some() {
            let done = self.upload_finish(name, &id, None, query, body).await;
            // The client does not know the id, so what is left of a failure is nobody's.
            let _ = self.uploads.cancel(name, &id);
            return done;
        }
        Ok(upload_answer(StatusCode::ACCEPTED, name, &id, 0))
    }

    /// `olderThan=SECONDS`: what is younger stays.
    async fn prune_answer(self: &Arc<Self>, query: &Query) -> Answer {
        let age = match query.get("olderThan") {
            None => FRESH_AGE,
            Some(text) => match text.parse::<u32>() {
                Ok(seconds) => Duration::from_secs(seconds.into()),
                Err(_) => {
                    return Err(Failure::SizeInvalid(
                        "olderThan must be whole seconds".into(),
                    ));
                }
            },
        };
        let pruned = self.prune(age).await.map_err(Failure::io("prune"))?;
        let json = [(header::CONTENT_TYPE, "application/json")];
        Ok((json, json!(pruned).to_string()).into_response())
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
        range: Option<ChunkRange>,
        query: &Query,
        body: Body,
    ) -> Answer {
        let digest = query.digest("digest")?;
        let digest =
            digest.ok_or_else(|| Failure::DigestInvalid("the digest is missing".into()))?;
        self.uploads
            .append(name, id, range, body, &location(name, id))
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

pub(crate) fn created(location: &str, digest: &Digest) -> Response {
    let headers = [
        (header::LOCATION.as_str(), location),
        ("docker-content-digest", digest.as_str()),
    ];
    (StatusCode::CREATED, headers).into_response()
}
