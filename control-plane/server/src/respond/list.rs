//! Lists: joined out of the bytes objects rest in, 64 KiB at a time. A list in protobuf is measured first, since its
//! length stands in front of it, and its items are written as they go out.

mod body;
mod items;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use serde_json::json;

use super::{Items, JSON, PROTOBUF, SMALL, Table, mark_compressed, raw, unwritable};
use crate::api::Answer;
use crate::content::{Form, Format, Include, Output};
use crate::object::Obj;
use body::body;
use items::{Pieces, Writer};

/// Bytes of a list that is read again to be written with line breaks or as YAML, which takes ten times as much memory.
const MAX_RENDERED: usize = 8 * 1024 * 1024;
/// Objects looked at before others get their turn.
const TURN: usize = 256;

/// The metadata of a list.
#[derive(Debug, Default)]
pub(crate) struct ListMeta {
    pub(crate) resource_version: String,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<u64>,
}

impl ListMeta {
    /// For a Table of one object.
    pub(crate) fn of(object: &Obj) -> ListMeta {
        ListMeta {
            resource_version: object.revision().to_owned(),
            ..ListMeta::default()
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut meta = json!({"resourceVersion": self.resource_version});
        if let Some(token) = &self.continue_token {
            meta["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = json!(remaining);
        }
        meta.to_string()
    }
}

/// A list in the form asked for.
pub(crate) async fn list(
    resource: &'static Resource,
    meta: &ListMeta,
    items: Items,
    output: &Output,
) -> Answer {
    let partial = match output.form {
        Form::Table(include) => return table(resource, meta, &items, include, output).await,
        Form::Partial => true,
        Form::Whole => false,
    };
    let writer = match output.format {
        Format::Protobuf => Writer::protobuf(resource, partial)?,
        Format::Json | Format::Yaml => Writer::json(resource, partial),
    };
    let pieces = Pieces::new(writer, meta, items).await.map_err(unwritable)?;
    let content_type = match output.format {
        Format::Protobuf => PROTOBUF,
        Format::Json | Format::Yaml => JSON,
    };
    let size = pieces.size();
    let rendered_again = match output.format {
        Format::Yaml if size > MAX_RENDERED => return Err(too_large_for_yaml(size)),
        Format::Yaml => true,
        // Beyond that nobody reads it line by line.
        Format::Json => output.pretty && size <= MAX_RENDERED,
        Format::Protobuf => false,
    };
    if size > SMALL && !rendered_again {
        return Ok(stream(pieces, content_type, output.gzip));
    }
    let whole = join(pieces).map_err(unwritable)?;
    match output.format {
        Format::Protobuf => Ok(super::bytes(StatusCode::OK, content_type, whole)),
        Format::Json | Format::Yaml if size <= SMALL => raw(StatusCode::OK, whole, output),
        Format::Json | Format::Yaml => {
            let output = *output;
            let rendered = tokio::task::spawn_blocking(move || raw(StatusCode::OK, whole, &output));
            rendered
                .await
                .map_err(|error| Status::internal(error.to_string()))?
        }
    }
}

fn too_large_for_yaml(size: usize) -> Status {
    Status::too_large(&format!(
        "as YAML a list may have {MAX_RENDERED} bytes and not {size}: ask for parts of it with limit and continue, or for JSON"
    ))
}

async fn table(
    resource: &'static Resource,
    meta: &ListMeta,
    items: &Items,
    include: Include,
    output: &Output,
) -> Answer {
    let mut table = Table::of(resource);
    for (at, item) in items.iter().enumerate() {
        table.push(resource, &item.object, include)?;
        if at % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    raw(StatusCode::OK, table.finish(meta), output)
}

fn join(mut pieces: Pieces) -> Result<Bytes, sampan_api::protobuf::EncodeError> {
    let mut buffer = BytesMut::with_capacity(pieces.size());
    pieces.fill(&mut buffer, usize::MAX)?;
    Ok(buffer.freeze())
}

fn stream(pieces: Pieces, content_type: HeaderValue, gzip: bool) -> Response {
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if gzip {
        mark_compressed(&mut response);
    }
    let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    *response.body_mut() = body(pieces, gzip);
    response
}
