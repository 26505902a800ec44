//! Answers: how an object, a list, a Table or a Status becomes an HTTP response.

mod list;
mod table;

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderValue, StatusCode};
use sampan_api::object as field;
use sampan_api::protobuf::{self, EncodeError};
use sampan_api::resource::Resource;
use sampan_api::status::{MEDIA_TYPES, Status};
use serde_json::Value;

pub(crate) use list::{ListMeta, list};
pub(crate) use table::Table;

use crate::api::{Answer, Result};
use crate::content::{Form, Format, Output};
use crate::object::{Obj, Protobuf};

/// Answers up to this size are sent at once and uncompressed.
const SMALL: usize = 128 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/vnd.kubernetes.protobuf");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response of whole bytes.
pub(crate) fn bytes(
    code: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A response of whole bytes, compressed if it is large and the client wants that.
fn whole(code: StatusCode, content_type: HeaderValue, body: Bytes, output: &Output) -> Answer {
    if !output.gzip || body.len() <= SMALL {
        return Ok(bytes(code, content_type, body));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = gzip.write_all(&body).and_then(|()| gzip.finish());
    let compressed =
        compressed.map_err(|error| Status::internal(format!("compressing: {error}")))?;
    let mut response = bytes(code, content_type, compressed);
    mark_compressed(&mut response);
    Ok(response)
}

fn mark_compressed(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Plain text.
pub(crate) fn text(code: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = bytes(code, TEXT, body);
    response
        .headers_mut()
        .insert("x-content-type-options", NOSNIFF);
    response
}

/// What upstream says about paths nobody serves; not a Status.
pub(crate) fn no_such_path() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A refusal: the one place where an error meets HTTP.
pub(crate) fn failure(status: &Status, format: Format, pretty: bool) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let output = Output {
        format,
        form: Form::Whole,
        pretty,
        gzip: false,
    };
    let value_of_it = status.to_value();
    let mut response = value(code, &value_of_it, &output)
        .unwrap_or_else(|_| bytes(code, JSON, value_of_it.to_string()));
    if let Some(seconds) = status.retry_after_seconds() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A refusal of what the user may not do. It names what was asked for, which browsers must not take for a page.
pub(crate) fn unauthorized(status: &Status, format: Format, pretty: bool) -> Response {
    let mut response = failure(status, format, pretty);
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", NOSNIFF);
    response
}

/// An answer, or a refusal, that tells what was odd about the request.
pub(crate) fn warned(answer: Answer, warnings: &[String], output: &Output) -> Answer {
    if warnings.is_empty() {
        return answer;
    }
    let mut response =
        answer.unwrap_or_else(|status| failure(&status, output.format, output.pretty));
    warn(&mut response, warnings);
    Ok(response)
}

/// A success that is a Status.
pub(crate) fn success(code: StatusCode, status: &Status, output: &Output) -> Answer {
    value(code, &status.to_value(), output)
}

/// A value of our own making, for example a discovery document.
pub(crate) fn value(code: StatusCode, value: &Value, output: &Output) -> Answer {
    let (content_type, body) = match output.format {
        Format::Json if output.pretty => (JSON, pretty_bytes(value)),
        Format::Json => (JSON, value.to_string().into()),
        Format::Yaml => (YAML, yaml(value)?),
        Format::Protobuf => {
            let (api_version, kind) =
                (field::text(value, "apiVersion"), field::text(value, "kind"));
            let body = protobuf::encode(api_version, kind, value.to_string().as_bytes())
                .ok_or_else(|| Status::not_acceptable(MEDIA_TYPES))?
                .map_err(unwritable)?;
            (PROTOBUF, body.into())
        }
    };
    whole(code, content_type, body, output)
}

/// JSON bytes we hold, re-rendered only when the client asked for another look.
pub(crate) fn raw(code: StatusCode, raw: Bytes, output: &Output) -> Answer {
    if output.format == Format::Json && !output.pretty {
        return whole(code, JSON, raw, output);
    }
    value(code, &parse(&raw)?, output)
}

/// One object in the form asked for.
pub(crate) fn object(
    code: StatusCode,
    resource: &'static Resource,
    object: &Obj,
    output: &Output,
) -> Answer {
    if output.format == Format::Protobuf {
        let protobuf = match output.form {
            Form::Partial => Protobuf::partial(resource)?,
            Form::Whole | Form::Table(_) => Protobuf::whole(resource)?,
        };
        let message = protobuf.message(object).map_err(unwritable)?;
        let body = protobuf.envelope().wrap(&message).into();
        return whole(code, PROTOBUF, body, output);
    }
    match output.form {
        Form::Whole => raw(code, object.raw_as(resource), output),
        Form::Partial => raw(code, object.partial(), output),
        Form::Table(include) => {
            let mut table = Table::of(resource);
            table.push(resource, object, include)?;
            raw(code, table.finish(&ListMeta::of(object)), output)
        }
    }
}

/// Our own bytes should always be writable.
fn unwritable(error: EncodeError) -> Status {
    tracing::error!(%error, "an answer cannot be written");
    Status::internal(error.to_string())
}

/// Adds a `Warning` header per message.
pub(crate) fn warn(response: &mut Response, warnings: &[String]) {
    /// As upstream truncates: proxies refuse large headers.
    const MAX_TOTAL: usize = 4096;
    const MAX_LENGTH: usize = 256;
    let length = |warning: &String| warning.chars().count();
    let all: usize = warnings.iter().map(length).sum();
    let most = if all > MAX_TOTAL { MAX_LENGTH } else { all };
    let mut written = 0;
    for warning in warnings {
        if written >= MAX_TOTAL {
            break;
        }
        written += length(warning).min(most);
        let mut quoted = String::with_capacity(warning.len() + 16);
        quoted.push_str("299 - \"");
        for character in warning.chars().take(most) {
            match character {
                '"' | '\\' => quoted.extend(['\\', character]),
                character if character.is_control() => {}
                character => quoted.push(character),
            }
        }
        quoted.push('"');
        if let Ok(value) = HeaderValue::from_bytes(quoted.as_bytes()) {
            response.headers_mut().append("warning", value);
        }
    }
}

pub(crate) fn pretty_bytes(value: &Value) -> Bytes {
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    body.into()
}

fn yaml(value: &Value) -> Result<Bytes> {
    serde_saphyr::to_string(value)
        .map(Bytes::from)
        .map_err(|error| Status::internal(format!("writing YAML: {error}")))
}

/// Parses bytes that came out of the store.
pub(crate) fn parse(raw: &Bytes) -> Result<Value> {
    serde_json::from_slice(raw)
        .map_err(|error| Status::internal(format!("a stored object is no JSON: {error}")))
}

/// The stored versions behind a list, shared with the store.
pub(crate) type Items = Vec<Arc<sampan_store::Entry<Obj>>>;
