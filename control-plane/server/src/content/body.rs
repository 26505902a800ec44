//! Request bodies: read with a limit, decoded by their media type.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sampan_api::custom::{self, Custom};
use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use sampan_api::{decode, object, protobuf};
use serde_json::Value;

use crate::api::{Call, Result};

/// A decoded request body.
pub(crate) struct Input {
    pub(crate) value: Value,
    /// For `Warning` headers: unknown and duplicate fields.
    pub(crate) warnings: Vec<String>,
}

/// The kind a body must have.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) type_name: &'a str,
    /// The row of a custom resource, whose definition says what the body may hold.
    pub(crate) row: Option<&'a Resource>,
}

impl<'a> Expected<'a> {
    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The kind of a resource.
    pub(crate) fn of(resource: &'a Resource) -> Expected<'a> {
        let Resource {
            group,
            version,
            kind,
            type_name,
            ..
        } = resource;
        Expected {
            group,
            version,
            kind,
            type_name,
            row: resource.is_custom().then_some(resource),
        }
    }
}

/// Brings a value into the form of the expected kind.
pub(crate) fn conform(expected: Expected<'_>, value: Value) -> Result<decode::Decoded> {
    decoded(expected, value)?.map_err(|error| cannot_be_handled(expected, &error.message))
}

/// The same for what a patch left behind, under the rules of `?fieldValidation=`. What does not fit is the fault of the
/// patch, and the refusal shows it; so is what the patch says `twice`.
pub(crate) fn conform_patched(
    call: &Call,
    expected: Expected<'_>,
    patched: Value,
    twice: &[String],
    patch: impl FnOnce() -> String,
) -> Result<decode::Decoded> {
    let wrong = match decoded(expected, patched)? {
        Ok(mut decoded) => match strict(call, [twice, &decoded.warnings].concat()) {
            Ok(warnings) => {
                decoded.warnings = warnings;
                return Ok(decoded);
            }
            Err(why) => why,
        },
        Err(error) => error.message,
    };
    Err(misfit(patch(), wrong))
}

/// 422 about a patch, in upstream's form: it names no object.
pub(crate) fn misfit(mut patch: String, why: impl Into<String>) -> Status {
    /// Enough to see which patch it was.
    const MAX_SHOWN: usize = 4096;
    if patch.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rev().find(|at| patch.is_char_boundary(*at));
        patch.truncate(end.unwrap_or(0));
        patch.push_str("...");
    }
    Status::invalid_kind("", "", "", vec![FieldError::invalid("patch", patch, why)])
}

fn decoded(
    expected: Expected<'_>,
    value: Value,
) -> Result<std::result::Result<decode::Decoded, decode::DecodeError>> {
    Ok(match definition(expected)? {
        Some(custom) => custom::decode::value(value, custom.schema()),
        None => decode::value(value, expected.type_name),
    })
}

/// The definition of a custom resource; one that is gone since the request began is not found.
fn definition(expected: Expected<'_>) -> Result<Option<Custom>> {
    let Some(row) = expected.row else {
        return Ok(None);
    };
    row.custom().map(Some).ok_or_else(Status::path_not_found)
}

/// Reads the whole body, or 413.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Status::request_too_large(limit))
        }
        Err(error) => Err(Status::bad_request(format!(
            "unable to read the request body: {error}"
        ))),
    }
}

/// Reads a body that must hold an object of the expected kind, under the rules of `?fieldValidation=`.
pub(crate) async fn read_object(call: &mut Call, expected: Expected<'_>) -> Result<Input> {
    let body = call.take_body();
    let bytes = read_body(body, call.api.limits.body_bytes).await?;
    let mut input = parse(&call.parts.headers, &bytes, expected)?;
    input.warnings =
        strict(call, input.warnings).map_err(|why| cannot_be_handled(expected, &why))?;
    Ok(input)
}

/// Applies `?fieldValidation=` to what decoding found: what to warn of, or why to refuse.
fn strict(call: &Call, warnings: Vec<String>) -> std::result::Result<Vec<String>, String> {
    match call.query.get("fieldValidation") {
        Some("Ignore") => Ok(Vec::new()),
        Some("Strict") if !warnings.is_empty() => {
            Err(format!("strict decoding error: {}", warnings.join(", ")))
        }
        _ => Ok(warnings),
    }
}

fn cannot_be_handled(expected: Expected<'_>, message: &str) -> Status {
    let Expected { version, kind, .. } = expected;
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {message}"
    ))
}

/// What is no JSON is of no kind, either; the body, or where it begins, is shown.
fn unrecognized(expected: Expected<'_>, message: &str, body: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let shown = &body[..body.len().min(SHOWN)];
    let mut summary = match shown.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > SHOWN {
        summary.push_str(" ...");
    }
    let kind = expected.kind;
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {message} ({summary})"
    ))
}

/// Whether a body is binary: what counts what its values take must see it as what decodes it does.
pub(crate) fn is_protobuf(headers: &HeaderMap) -> bool {
    matches!(media(headers), Ok(Media::Protobuf))
}

enum Media {
    Json,
    Yaml,
    Protobuf,
}

fn media(headers: &HeaderMap) -> Result<Media> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Media::Json);
    };
    let mut parts = value.to_str().unwrap_or("-").split(';').map(str::trim);
    let kind = parts.next().unwrap_or("").to_ascii_lowercase();
    // As Go reads it: what is no parameter spoils the whole.
    if parts.any(|part| !part.is_empty() && !part.contains('=')) {
        return Err(Status::unsupported_media_type());
    }
    match kind.as_str() {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(Status::unsupported_media_type()),
    }
}

fn parse(headers: &HeaderMap, bytes: &Bytes, expected: Expected<'_>) -> Result<Input> {
    let custom = definition(expected)?;
    let input = match (media(headers)?, &custom) {
        (Media::Json, Some(custom)) => custom::decode::json(bytes, custom.schema()).map(of),
        (Media::Yaml, Some(custom)) => custom::decode::yaml(bytes, custom.schema()).map(of),
        (Media::Protobuf, Some(_)) => return Err(Status::unsupported_media_type()),
        (Media::Json, None) => decode::json(bytes, expected.type_name).map(of),
        (Media::Yaml, None) => decode::yaml(bytes, expected.type_name).map(of),
        (Media::Protobuf, None) => protobuf::decode(bytes).map(|(meta, mut value)| {
            object::set(&mut value, "apiVersion", meta.api_version);
            object::set(&mut value, "kind", meta.kind);
            Input {
                value,
                warnings: Vec::new(),
            }
        }),
    };
    let mut input = input.map_err(|error| match error.unreadable {
        true => unrecognized(expected, &error.message, bytes),
        false => cannot_be_handled(expected, &error.message),
    })?;
    check_kind(&mut input.value, expected)?;
    Ok(input)
}

fn of(decoded: decode::Decoded) -> Input {
    Input {
        value: decoded.value,
        warnings: decoded.warnings,
    }
}

/// Versions that clients still send, of kinds that are read and not kept.
const OLDER: [(&str, &str); 1] = [("Eviction", "policy/v1beta1")];

/// The body's own word on what it is must agree with the path; when it says nothing, the path says it.
fn check_kind(value: &mut Value, expected: Expected<'_>) -> Result<()> {
    let Expected {
        group,
        version,
        kind,
        ..
    } = expected;
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let (said_version, said_kind) = (
        object::text(value, "apiVersion"),
        object::text(value, "kind"),
    );
    let (no_version, no_kind) = (said_version.is_empty(), said_kind.is_empty());
    let older = OLDER.contains(&(kind, said_version));
    if !said_version.is_empty() && said_version != api_version && !older {
        return Err(Status::bad_request(format!(
            "the API version in the data ({said_version}) does not match the expected API version ({api_version})"
        )));
    }
    if !said_kind.is_empty() && said_kind != kind {
        return Err(Status::bad_request(format!(
            "{said_kind} in version \"{version}\" cannot be handled as a {kind}: the path names another kind"
        )));
    }
    if no_version {
        object::set(value, "apiVersion", api_version);
    }
    if no_kind {
        object::set(value, "kind", kind);
    }
    Ok(())
}

/// DeleteOptions out of the body, in any media type and under any of the group versions clients label them with.
pub(crate) async fn delete_options(call: &mut Call) -> Result<Option<Value>> {
    const TYPE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    let body = call.take_body();
    let bytes = read_body(body, call.api.limits.body_bytes).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let decoded = match media(&call.parts.headers)? {
        Media::Json => decode::json(&bytes, TYPE).map(|decoded| decoded.value),
        Media::Yaml => decode::yaml(&bytes, TYPE).map(|decoded| decoded.value),
        Media::Protobuf => protobuf::decode(&bytes).map(|(_, value)| value),
    };
    let value = decoded
        .map_err(|error| Status::bad_request(format!("unable to decode DeleteOptions: {error}")))?;
    match object::text(&value, "kind") {
        "" | "DeleteOptions" => Ok(Some(value)),
        other => Err(Status::bad_request(format!(
            "expected DeleteOptions, but the body holds a {other}"
        ))),
    }
}
