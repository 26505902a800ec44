//! The query string.

use http::uri::PathAndQuery;

/// The query string, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// `None` when it cannot be decoded.
    pub(crate) fn parse(uri: Option<&PathAndQuery>) -> Option<Query> {
        let Some(uri) = uri else {
            return Some(Query::default());
        };
        if uri.query().is_none_or(str::is_empty) {
            return Some(Query::default());
        }
        let uri = http::Uri::from(uri.clone());
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
            .ok()
            .map(|query| Query(query.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = |text: &'static str| {
            Query::parse(Some(&PathAndQuery::from_static(text))).expect("decodes")
        };
        assert!(query("/x?watch=1").flag("watch"));
        assert!(query("/x?watch=").flag("watch"));
        assert!(!query("/x?watch=false").flag("watch"));
        assert!(!query("/x?limit=5").flag("watch"));
        assert_eq!(
            query("/x?labelSelector=a%3Db%2Cc").get("labelSelector"),
            Some("a=b,c")
        );
        assert_eq!(query("/x?limit=").get("limit"), None);
    }
}
