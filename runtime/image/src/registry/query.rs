//! Parameters and headers of registry requests. Pure.

use http::{HeaderMap, header};

use crate::digest::Digest;
use crate::registry::answer::Failure;

/// Names and tags in one answer, also when the client asks for more.
const PAGE_MAX: usize = 1000;

/// The first byte a chunk claims to hold: `Content-Range: 0-1023`.
pub(crate) fn content_start(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let text = text.strip_prefix("bytes").unwrap_or(text).trim();
    let first = text
        .split(['-', '/'])
        .next()
        .unwrap_or_default()
        .parse::<u64>();
    first
        .map(Some)
        .map_err(|_| Failure::UploadInvalid(format!("bad Content-Range {text:?}")))
}

/// The parameters of a request; only what this protocol uses, so nothing but the colon is ever escaped.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let decode = |text: &str| {
            text.replace("%3A", ":")
                .replace("%3a", ":")
                .replace("%2F", "/")
                .replace("%2f", "/")
        };
        Query(
            pairs
                .map(|(name, value)| (name.to_owned(), decode(value)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn digest(&self, name: &str) -> Result<Option<Digest>, Failure> {
        let parsed = self.get(name).map(str::parse::<Digest>).transpose();
        parsed.map_err(|error| Failure::DigestInvalid(error.to_string()))
    }

    pub(crate) fn count(&self) -> usize {
        let asked = self.get("n").and_then(|text| text.parse::<usize>().ok());
        asked.unwrap_or(PAGE_MAX).min(PAGE_MAX)
    }
}
