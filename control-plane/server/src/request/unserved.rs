//! Requests about what is not served. They take the same rights as others, as upstream: who has none is not told what there is.

use http::Method;

use super::{Query, percent_decode};

/// What a path below a group's version names, and what is to be done with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unserved {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    /// Empty: cluster scope or all namespaces.
    pub(crate) namespace: String,
    pub(crate) resource: String,
    /// Empty: the collection.
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Unserved {
    /// None for paths that no object can have.
    pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> Option<Unserved> {
        let decoded = percent_decode(path);
        let mut segments = decoded.trim_matches('/').split('/');
        let group = match segments.next()? {
            "api" => "",
            "apis" => segments.next()?,
            _ => return None,
        };
        // The version.
        segments.next()?;
        let mut rest: Vec<&str> = segments.collect();
        let prefix = match *rest.first()? {
            "watch" if rest.len() > 1 => Some("watch"),
            "proxy" if rest.len() > 1 => Some("proxy"),
            _ => None,
        };
        if prefix.is_some() {
            rest.remove(0);
        }
        let mut namespace = "";
        if rest[0] == "namespaces" && rest.len() > 1 {
            namespace = rest[1];
            if rest.len() > 2 && !matches!(rest[2], "status" | "finalize") {
                rest.drain(..2);
            }
        }
        let verb = match *method {
            _ if prefix.is_some() => prefix?,
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if rest.len() < 2 => "deletecollection",
            Method::DELETE => "delete",
            Method::GET | Method::HEAD if rest.len() > 1 => "get",
            Method::GET | Method::HEAD if query.flag("watch") => "watch",
            Method::GET | Method::HEAD => "list",
            _ => "",
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or("").to_owned();
        Some(Unserved {
            verb,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            resource: part(0),
            name: part(1),
            subresource: part(2),
        })
    }
}
