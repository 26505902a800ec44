//! The query string.

use http::uri::PathAndQuery;

use super::percent_decode;

/// The query string, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// A pair that cannot be decoded counts as not there, as in Go.
    pub(crate) fn parse(uri: Option<&PathAndQuery>) -> Query {
        let text = uri.and_then(PathAndQuery::query).unwrap_or_default();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(pairs.filter_map(decoded).collect())
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean as upstream reads it: present and neither `0` nor `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    /// A boolean that may be absent.
    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        let value = self.all(name).next()?;
        Some(!(value == "0" || value.eq_ignore_ascii_case("false")))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn decoded(pair: &str) -> Option<(String, String)> {
    if pair.contains(';') {
        return None;
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((unescaped(name)?, unescaped(value)?))
}

/// `None` when a `%` is followed by anything but two digits.
fn unescaped(text: &str) -> Option<String> {
    let plain = text.replace('+', " ");
    let escapes = plain.split('%').skip(1);
    let hex = |escape: &[u8]| escape.iter().all(u8::is_ascii_hexdigit);
    let mut escapes = escapes.map(|rest| rest.as_bytes().get(..2).is_some_and(hex));
    escapes
        .all(|fine| fine)
        .then(|| percent_decode(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = |text: &'static str| Query::parse(Some(&PathAndQuery::from_static(text)));
        assert!(query("/x?watch=1").flag("watch"));
        assert!(query("/x?watch=").flag("watch"));
        assert!(!query("/x?watch=false").flag("watch"));
        assert!(!query("/x?limit=5").flag("watch"));
        assert_eq!(
            query("/x?labelSelector=a%3Db%2Cc").get("labelSelector"),
            Some("a=b,c")
        );
        assert_eq!(query("/x?limit=").get("limit"), None);
        for (text, expect) in [
            ("/x?a=%zz&a=1", Some("1")),
            ("/x?%zz=1", None),
            ("/x?a=1;b=2", None),
            ("/x?a=%4", None),
            ("/x?&a=%", None),
            ("/x?a+b&&a=+%2b%3D", Some(" +=")),
            ("/x?a=%25zz", Some("%zz")),
            ("/x?a=b=c", Some("b=c")),
        ] {
            assert_eq!(query(text).get("a"), expect, "{text}");
        }
    }
}
