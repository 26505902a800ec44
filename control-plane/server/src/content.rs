//! Content negotiation: which of our representations a client asked for.
//!
//! Protobuf is read but not written: every client seen also accepts JSON.

mod body;

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use sampan_api::status::{MEDIA_TYPES, Status};

pub(crate) use body::{Expected, delete_options, field_validation, read_body, read_object};

use crate::api::{Call, Result};

/// The syntax of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
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
}

/// Chooses the representation.
pub(crate) fn negotiate(call: &Call, offer: Offer) -> Result<Output> {
    let headers = &call.parts.headers;
    let include = match call.query.get("includeObject") {
        Some("None") => Include::None,
        Some("Object") => Include::Object,
        _ => Include::Metadata,
    };
    let (format, form) = match headers.get(ACCEPT) {
        None => (Format::Json, Form::Whole),
        Some(accept) => choose(accept.to_str().unwrap_or("-"), offer, include)?,
    };
    let gzip = offer != Offer::Watch
        && headers
            .get(ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(accepts_gzip);
    Ok(Output {
        format,
        form,
        pretty: wants_pretty(headers, call.parts.uri.query()),
        gzip,
    })
}

fn choose(accept: &str, offer: Offer, include: Include) -> Result<(Format, Form)> {
    if accept.trim().is_empty() {
        return Ok((Format::Json, Form::Whole));
    }
    let mut transformed = false;
    for clause in by_quality(accept) {
        let mut parts = clause.split(';').map(str::trim);
        let format = match parts.next().unwrap_or("").to_ascii_lowercase().as_str() {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        let parameter = |name: &str| {
            clause.split(';').skip(1).find_map(|part| {
                let (key, value) = part.trim().split_once('=')?;
                (key.trim() == name).then_some(value.trim().trim_matches('"'))
            })
        };
        let Some(kind) = parameter("as") else {
            return Ok((format, Form::Whole));
        };
        transformed = true;
        let known = parameter("g") == Some("meta.k8s.io")
            && matches!(parameter("v"), Some("v1" | "v1beta1"));
        match (kind, offer) {
            _ if !known => {}
            ("Table", Offer::Object | Offer::List | Offer::Watch) => {
                return Ok((format, Form::Table(include)));
            }
            ("PartialObjectMetadata", Offer::Object | Offer::Watch) => {
                return Ok((format, Form::Partial));
            }
            ("PartialObjectMetadataList", Offer::List) => return Ok((format, Form::Partial)),
            _ => {}
        }
    }
    let mut refusal = Status::not_acceptable();
    if !transformed {
        refusal.message =
            format!("406: Not Acceptable\n\nAvailable representations: {MEDIA_TYPES}");
    }
    Err(refusal)
}

/// Clauses by falling quality, in the order written among equals.
pub(crate) fn by_quality(accept: &str) -> Vec<&str> {
    let quality = |clause: &str| {
        clause
            .split(';')
            .skip(1)
            .find_map(|part| {
                part.trim()
                    .strip_prefix("q=")
                    .and_then(|q| q.parse::<f32>().ok())
            })
            .unwrap_or(1.0)
    };
    let mut clauses: Vec<&str> = accept
        .split(',')
        .map(str::trim)
        .filter(|clause| quality(clause) > 0.0)
        .collect();
    if accept.contains("q=") {
        clauses.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    }
    clauses
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
            .find_map(|pair| pair.strip_prefix("pretty="))
    });
    match asked {
        Some(value) => !matches!(value, "0" | "false"),
        None => headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .is_some_and(|agent| {
                ["curl/", "Wget/", "Mozilla/"]
                    .iter()
                    .any(|tool| agent.starts_with(tool))
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        let check = |accept: &str, offer| match choose(accept, offer, Include::Metadata) {
            Ok((format, form)) => format!("{format:?} {form:?}"),
            Err(status) => status.code.to_string(),
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let partial_list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        for (accept, offer, expected) in [
            ("", Offer::List, "Json Whole"),
            ("*/*", Offer::List, "Json Whole"),
            ("application/yaml", Offer::List, "Yaml Whole"),
            ("application/json, */*", Offer::Plain, "Json Whole"),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Offer::List,
                "Json Whole",
            ),
            ("application/vnd.kubernetes.protobuf", Offer::List, "406"),
            ("application/cbor", Offer::List, "406"),
            ("text/html", Offer::Watch, "406"),
            (table, Offer::List, "Json Table(Metadata)"),
            (table, Offer::Plain, "Json Whole"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io",
                Offer::Plain,
                "406",
            ),
            (
                "application/json;as=Table;v=v9;g=meta.k8s.io",
                Offer::List,
                "406",
            ),
            (partial, Offer::Object, "Json Partial"),
            (partial, Offer::Watch, "Json Partial"),
            (partial, Offer::List, "406"),
            (partial_list, Offer::List, "Json Partial"),
            (partial_list, Offer::Object, "406"),
            (
                "application/yaml;q=0.5,application/json",
                Offer::Object,
                "Json Whole",
            ),
            ("application/json;q=0", Offer::Object, "406"),
            ("application/json;stream=watch", Offer::Watch, "Json Whole"),
        ] {
            assert_eq!(check(accept, offer), expected, "{accept} {offer:?}");
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
