//! Content negotiation: which of our representations a client asked for.

mod accept;
mod body;

use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};

pub(crate) use body::{
    Expected, conform, conform_patched, delete_options, is_protobuf, misfit, read_body, read_object,
};

use crate::api::{Call, Result};
use accept::Choice;
pub(crate) use accept::media_types;

/// The syntax of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// How much of each object a Table row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// What an answer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects themselves.
    Whole,
    /// PartialObjectMetadata, or a list of it.
    Partial,
    /// A Table for people.
    Table(Include),
}

/// The representation to answer in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) form: Form,
    pub(crate) pretty: bool,
    pub(crate) gzip: bool,
}

/// What the answer is, because lists and objects have transformations of different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Object,
    List,
    Watch,
    /// Neither Table nor metadata alone.
    Plain,
    /// No kind of its own: neither that nor protobuf.
    Document,
}

/// Chooses the representation of something that is no resource, or that has one representation only.
pub(crate) fn negotiate(call: &Call, offer: Offer) -> Result<Output> {
    negotiate_for(call, offer, None)
}

/// Chooses the representation of a resource.
pub(crate) fn negotiate_for(
    call: &Call,
    offer: Offer,
    resource: Option<&Resource>,
) -> Result<Output> {
    let headers = &call.parts.headers;
    let choice = match headers.get(ACCEPT) {
        None => Choice::DEFAULT,
        Some(accept) => {
            let accept = accept.to_str().unwrap_or("-");
            accept::choose(accept, offer, Include::Metadata, resource)?
        }
    };
    let form = match choice.form {
        Form::Table(_) => Form::Table(include(call)?),
        form => form,
    };
    let gzip = offer != Offer::Watch
        && headers
            .get(ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(accepts_gzip);
    Ok(Output {
        format: choice.format,
        form,
        pretty: choice.pretty || wants_pretty(headers, call.parts.uri.query()),
        gzip,
    })
}

fn include(call: &Call) -> Result<Include> {
    match call.query.get("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::None),
        Some("Object") => Ok(Include::Object),
        Some(other) => {
            let why = "must be 'Metadata', 'Object', 'None', or empty";
            let error = FieldError::invalid("includeObject", other, why);
            Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: {error}"
            )))
        }
    }
}

fn accepts_gzip(value: &str) -> bool {
    value.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "*"));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

/// Indented for people: on request, and for programs people use by hand.
pub(crate) fn wants_pretty(headers: &HeaderMap, query: Option<&str>) -> bool {
    let asked = query.and_then(|query| {
        query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("pretty="))
            .find(|value| !value.is_empty())
    });
    match asked {
        Some(value) => matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .is_some_and(|agent| {
                ["curl", "Wget", "Mozilla/5.0"]
                    .iter()
                    .any(|tool| agent.starts_with(tool))
            }),
    }
}

/// How to write a refusal for a client that sent this `Accept` header.
pub(crate) fn refusal_format(accept: Option<&HeaderValue>) -> Format {
    accept.map_or(Format::Json, |accept| {
        accept::refusal_format(accept.to_str().unwrap_or("-"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty() {
        let agent = |agent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
            headers
        };
        for (headers, query, expected) in [
            (agent("curl/8.0"), None, true),
            (agent("curl/8.0"), Some("pretty="), true),
            (agent("curl/8.0"), Some("limit=1&pretty=false"), false),
            (agent("curl/8.0"), Some("pretty=0"), false),
            (agent("Mozilla/5.0 (X11)"), None, true),
            (agent("kubectl/v1.36.0"), None, false),
            (agent("kubectl/v1.36.0"), Some("pretty=true"), true),
            (agent("kubectl/v1.36.0"), Some("pretty=maybe"), false),
        ] {
            assert_eq!(
                wants_pretty(&headers, query),
                expected,
                "{headers:?} {query:?}"
            );
        }
    }

    #[test]
    fn gzip() {
        for (value, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
        ] {
            assert_eq!(accepts_gzip(value), expected, "{value}");
        }
    }
}
