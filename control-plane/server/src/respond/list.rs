//! Lists: joined out of the bytes objects rest in, 64 KiB at a time.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use sampan_api::resource::Resource;
use serde_json::json;

use super::{Items, JSON, Table, raw};
use crate::api::Answer;
use crate::content::{Form, Format, Include, Output};
use crate::object::Obj;

/// Lists up to this size are sent at once and uncompressed.
const SMALL: usize = 128 * 1024;
/// Larger ones are sent in pieces of about this size.
const CHUNK: usize = 64 * 1024;

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
pub(crate) fn list(
    resource: &'static Resource,
    meta: &ListMeta,
    items: Items,
    output: &Output,
) -> Answer {
    let items = match output.form {
        Form::Table(include) => return table(resource, meta, &items, include, output),
        Form::Partial => Slices {
            resource,
            items,
            partial: true,
        },
        Form::Whole => Slices {
            resource,
            items,
            partial: false,
        },
    };
    let (kind, api_version) = if items.partial {
        ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
    } else {
        (resource.kind, resource.api_version())
    };
    let head = format!(
        r#"{{"kind":"{kind}List","apiVersion":"{api_version}","metadata":{},"items":["#,
        meta.to_json()
    );
    let size = items.size(head.len());
    let pieces = Pieces {
        head: Some(head),
        items,
        next: 0,
        done: false,
    };
    if size <= SMALL || output.pretty || output.format != Format::Json {
        return raw(StatusCode::OK, pieces.join(size), output);
    }
    Ok(stream(pieces, size, output.gzip))
}

fn table(
    resource: &'static Resource,
    meta: &ListMeta,
    items: &Items,
    include: Include,
    output: &Output,
) -> Answer {
    let mut table = Table::new(resource.group, resource.kind);
    for item in items {
        table.push(resource, &item.object, include)?;
    }
    raw(StatusCode::OK, table.finish(meta), output)
}

fn stream(pieces: Pieces, size: usize, gzip: bool) -> Response {
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let body = if gzip {
        ListBody {
            pieces,
            left: None,
            gzip: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        }
    } else {
        ListBody {
            pieces,
            left: Some(size as u64),
            gzip: None,
        }
    };
    *response.body_mut() = Body::new(body);
    response
}

struct Slices {
    resource: &'static Resource,
    items: Items,
    partial: bool,
}

impl Slices {
    fn get(&self, at: usize) -> Option<Bytes> {
        let object = &self.items.get(at)?.object;
        Some(if self.partial {
            object.partial()
        } else {
            object.raw_as(self.resource)
        })
    }

    fn size(&self, head: usize) -> usize {
        let items: usize = (0..self.items.len())
            .filter_map(|at| self.get(at))
            .map(|item| item.len())
            .sum();
        head + items + self.items.len().saturating_sub(1) + "]}".len()
    }
}

/// The list's text, piece by piece.
struct Pieces {
    head: Option<String>,
    items: Slices,
    next: usize,
    done: bool,
}

impl Pieces {
    fn fill(&mut self, buffer: &mut BytesMut, limit: usize) {
        if let Some(head) = self.head.take() {
            buffer.put_slice(head.as_bytes());
        }
        while buffer.len() < limit && !self.done {
            match self.items.get(self.next) {
                Some(item) => {
                    if self.next > 0 {
                        buffer.put_u8(b',');
                    }
                    buffer.put_slice(&item);
                    self.next += 1;
                }
                None => {
                    buffer.put_slice(b"]}");
                    self.done = true;
                }
            }
        }
    }

    fn join(mut self, size: usize) -> Bytes {
        let mut buffer = BytesMut::with_capacity(size);
        self.fill(&mut buffer, usize::MAX);
        buffer.freeze()
    }
}

struct ListBody {
    pieces: Pieces,
    /// What is left to send, where that is known.
    left: Option<u64>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl ListBody {
    fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        while !self.pieces.done {
            let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 4);
            self.pieces.fill(&mut buffer, CHUNK);
            let Some(gzip) = &mut self.gzip else {
                return Ok(Some(buffer.freeze()));
            };
            gzip.write_all(&buffer)?;
            let compressed = std::mem::take(gzip.get_mut());
            if !compressed.is_empty() {
                return Ok(Some(compressed.into()));
            }
        }
        match self.gzip.take() {
            Some(gzip) => Ok(Some(gzip.finish()?.into())),
            None => Ok(None),
        }
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let next = self.next();
        if let (Ok(Some(bytes)), Some(left)) = (&next, &mut self.left) {
            *left = left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(next.transpose().map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
