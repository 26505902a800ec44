//! The registry's errors, and the one place where they become HTTP answers.

use std::io;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::error::explain;

/// Why a request failed: the codes of the distribution specification.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("blob unknown to registry")]
    BlobUnknown,
    #[error("blob upload invalid: {0}")]
    UploadInvalid(String),
    #[error("blob upload unknown to registry")]
    UploadUnknown,
    #[error("{0}")]
    DigestInvalid(String),
    #[error("manifest references content that is not in the repository: {0}")]
    ManifestBlobUnknown(String),
    #[error("manifest invalid: {0}")]
    ManifestInvalid(String),
    #[error("manifest unknown")]
    ManifestUnknown,
    #[error("{0}")]
    NameInvalid(String),
    #[error("repository name not known to registry")]
    NameUnknown,
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    TooMany(&'static str),
    #[error(
        "the registry may use {most} bytes of disk and has no room for this: delete images, prune, or allow it more"
    )]
    Full { most: u64 },
    #[error("{0}")]
    SizeInvalid(String),
    #[error("manifests of the repository need this blob: delete them first")]
    BlobNeeded,
    /// The manifest is of a type the client does not take.
    #[error("the manifest is of type {0}, which the Accept header does not name")]
    NotAccepted(String),
    #[error("the operation is not supported")]
    Unsupported,
    #[error("no such path")]
    NoSuchPath,
    /// The chunk does not start where the upload stands.
    #[error("the next byte of the upload is {offset}")]
    OutOfOrder { location: String, offset: u64 },
    /// The range lies outside the blob.
    #[error("the blob has {size} bytes")]
    Range { size: u64 },
    #[error("{step}: {}", explain(source))]
    Io {
        step: &'static str,
        source: io::Error,
    },
}

impl Failure {
    pub(crate) fn io(step: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |source| Failure::Io { step, source }
    }

    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Failure::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Failure::UploadInvalid(_) => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Failure::UploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Failure::DigestInvalid(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Failure::ManifestBlobUnknown(_) => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            Failure::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Failure::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Failure::NameInvalid(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            Failure::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Failure::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Failure::SizeInvalid(_) => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            Failure::BlobNeeded => (StatusCode::METHOD_NOT_ALLOWED, "DENIED"),
            Failure::NotAccepted(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Failure::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Failure::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "DENIED"),
            Failure::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Failure::NoSuchPath => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
            Failure::OutOfOrder { .. } => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
            }
            Failure::Range { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID"),
            Failure::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN")
            }
            Failure::Io { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        let message = self.to_string();
        if status.is_server_error() {
            tracing::error!(message, "registry request failed");
        }
        let body = json!({"errors": [{"code": code, "message": message, "detail": null}]});
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, json, body.to_string()).into_response();
        let headers = response.headers_mut();
        let mut set = |name, text: String| {
            if let Ok(value) = header::HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        match self {
            Failure::OutOfOrder { location, offset } => {
                set(header::LOCATION, location);
                set(header::RANGE, received(offset));
            }
            Failure::Range { size } => set(header::CONTENT_RANGE, format!("bytes */{size}")),
            _ => {}
        }
        response
    }
}

/// The `Range` header of an upload: what has been received, ends included.
pub(crate) fn received(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}
