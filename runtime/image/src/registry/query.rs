//! Parameters and headers of registry requests. Pure.

use http::{HeaderMap, header};

use crate::digest::Digest;
use crate::registry::answer::Failure;

/// Names and tags in one answer, also when the client asks for more.
const PAGE_MAX: usize = 1000;

/// The bytes a chunk claims to hold: `Content-Range: 0-1023`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRange {
    pub(crate) first: u64,
    /// The last byte, if it is told.
    pub(crate) last: Option<u64>,
}

impl ChunkRange {
    /// None when the request has no such header: the chunk goes to the end.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<ChunkRange>, Failure> {
        let Some(value) = headers.get(header::CONTENT_RANGE) else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default();
        let bad = || Failure::UploadInvalid(format!("bad Content-Range {text:?}"));
        let range = text.strip_prefix("bytes").unwrap_or(text).trim();
        // What follows the slash is the whole length, which is not known to all clients.
        let range = range.split('/').next().unwrap_or_default();
        let (first, last) = range.split_once('-').unwrap_or((range, ""));
        let first = first.parse::<u64>().map_err(|_| bad())?;
        let last = match last {
            "" => None,
            last => Some(last.parse::<u64>().map_err(|_| bad())?),
        };
        if last.is_some_and(|last| last < first) {
            return Err(bad());
        }
        Ok(Some(ChunkRange { first, last }))
    }

    /// Whether a body of `length` bytes is what the range says.
    pub(crate) fn fits(&self, length: u64) -> bool {
        let Some(last) = self.last else {
            return true;
        };
        // An empty chunk cannot be told by a range with both its ends.
        last - self.first == length.saturating_sub(1)
    }
}

/// Whether the client takes this media type. One that names none takes all; `Accept` lists come in several headers.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let listed = headers.get_all(header::ACCEPT);
    let texts = listed.iter().filter_map(|value| value.to_str().ok());
    let mut named = texts
        .flat_map(|text| text.split(','))
        .map(|entry| entry.split(';').next().unwrap_or_default().trim())
        .filter(|entry| !entry.is_empty())
        .peekable();
    let any = ["*/*", "application/*", "application/json"];
    named.peek().is_none() || named.any(|entry| entry == media_type || any.contains(&entry))
}

/// The parameters of a request.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
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

/// Undoes percent encoding. A plus stays one: nothing in this protocol has spaces, and media types have pluses that
/// not every client escapes.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| hex::decode(digits).ok());
        match escaped {
            Some(decoded) => {
                bytes.extend(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("digest=sha256%3aab&artifactType=a%2Fb+c%2Bd&x=%&y=%zz&n=5000");
        for (name, want) in [
            ("digest", Some("sha256:ab")),
            ("artifactType", Some("a/b+c+d")),
            ("x", Some("%")),
            ("y", Some("%zz")),
            ("z", None),
        ] {
            assert_eq!(query.get(name), want);
        }
        assert_eq!(query.count(), PAGE_MAX);
        assert!(query.digest("digest").is_err());
    }

    #[test]
    fn chunks_say_where_they_belong() {
        let parse = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, text.parse().unwrap());
            ChunkRange::of(&headers).ok().flatten()
        };
        let range = |first, last| Some(ChunkRange { first, last });
        for (text, want) in [
            ("0-1023", range(0, Some(1023))),
            ("bytes 5-9/*", range(5, Some(9))),
            ("7-", range(7, None)),
            ("7", range(7, None)),
            ("9-5", None),
            ("x-5", None),
            ("5-x", None),
            ("", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        let chunk = parse("5-9").unwrap();
        assert!(chunk.fits(5) && !chunk.fits(4) && !chunk.fits(6));
        assert!(parse("5-").unwrap().fits(77));
    }

    #[test]
    fn a_client_that_names_types_gets_only_those() {
        let check = |accept: &[&str], want: bool| {
            let mut headers = HeaderMap::new();
            for text in accept {
                headers.append(header::ACCEPT, text.parse().unwrap());
            }
            assert_eq!(accepts(&headers, "a/b+json"), want, "{accept:?}");
        };
        check(&[], true);
        check(&[""], true);
        check(&["*/*"], true);
        check(&["x/y;q=0.5, a/b+json;q=0.1"], true);
        check(&["x/y", "a/b+json"], true);
        check(&["x/y, z/z"], false);
    }
}
