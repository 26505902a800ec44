//! By what requests are told apart, in upstream's words.

use std::hash::{Hash, Hasher};

use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::request::{Query, ResourceTarget, Target};

/// The labels of one request. Their values come out of the resource table and short lists, never out of the request, so
/// that nobody can make the server remember names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(super) verb: &'static str,
    pub(super) dry_run: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) resource: &'static str,
    pub(super) subresource: &'static str,
    pub(super) scope: &'static str,
    /// A watch, or a stream that goes on as long as somebody reads it.
    pub(super) long_running: bool,
}

/// By what differs most: it is done for every request.
impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.resource.hash(state);
        self.verb.hash(state);
        self.scope.hash(state);
    }
}

impl Labels {
    /// What is counted: resources, health checks and the metrics themselves.
    pub(crate) fn of(
        verb: &'static str,
        target: &Target,
        query: &Query,
        parts: &Parts,
    ) -> Option<Labels> {
        let none = Labels {
            verb: verb_of(verb, parts, false),
            dry_run: "",
            group: "",
            version: "",
            resource: "",
            subresource: "",
            scope: "",
            long_running: false,
        };
        match target {
            Target::Resource(target) => Some(Self::resource(verb, target, query, parts)),
            Target::Health(path) => Some(Labels {
                subresource: match path.split('/').next() {
                    Some("livez") => "/livez",
                    Some("readyz") => "/readyz",
                    _ => "/healthz",
                },
                ..none
            }),
            Target::Metrics => Some(Labels {
                subresource: "/metrics",
                ..none
            }),
            _ => None,
        }
    }

    fn resource(
        verb: &'static str,
        target: &ResourceTarget,
        query: &Query,
        parts: &Parts,
    ) -> Labels {
        let row = target.resource;
        let connect = target.subresource == "log";
        let part = row.subresource(&target.subresource);
        Labels {
            verb: verb_of(verb, parts, connect),
            dry_run: if query.get("dryRun").is_some() {
                "All"
            } else {
                ""
            },
            group: row.group,
            version: row.version,
            resource: row.plural,
            subresource: part.map_or("", |part| part.name),
            scope: if !target.name.is_empty() || verb == "create" {
                "resource"
            } else if !target.namespace.is_empty() {
                "namespace"
            } else {
                "cluster"
            },
            long_running: verb == "watch" || connect,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.verb, "GET" | "LIST")
    }
}

fn verb_of(verb: &'static str, parts: &Parts, connect: bool) -> &'static str {
    match verb {
        _ if connect => "CONNECT",
        "get" | "head" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" => {
            let media = parts.headers.get(CONTENT_TYPE);
            if media.is_some_and(|media| media == "application/apply-patch+yaml") {
                "APPLY"
            } else {
                "PATCH"
            }
        }
        // Upstream goes by the method here, so collections are not told apart but by their scope.
        "delete" | "deletecollection" => "DELETE",
        _ => "other",
    }
}
