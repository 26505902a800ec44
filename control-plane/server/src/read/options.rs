//! ListOptions: what a list or watch is to show, and the combinations upstream refuses.

use sampan_api::status::{FieldError, Status};
use sampan_store::Revision;

use crate::api::Result;
use crate::request::Query;

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    NotOlderThan,
    Exact,
}

/// The options of a list or watch, selectors aside.
#[derive(Debug, Default)]
pub(crate) struct ListOptions {
    /// `None` when not given; `Some(0)` means any state will do.
    pub(crate) revision: Option<Revision>,
    revision_match: Option<Match>,
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
}

/// The `resourceVersion` parameter.
pub(super) fn revision(query: &Query) -> Result<Option<Revision>> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(revision) => Ok(Some(Revision(revision))),
        Err(_) => {
            let error = FieldError::invalid("resourceVersion", text, "must be a number");
            Err(Status::invalid_kind(
                "meta.k8s.io",
                "ListOptions",
                "",
                vec![error],
            ))
        }
    }
}

impl ListOptions {
    pub(crate) fn parse(query: &Query) -> Result<ListOptions> {
        if query.is_empty() {
            return Ok(ListOptions::default());
        }
        let number = |name: &str| match query.get(name).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(u64::try_from(number).ok().filter(|number| *number > 0)),
            Some(Err(_)) => Err(Status::bad_request(format!(
                "the query parameter {name} must be a number"
            ))),
        };
        let revision_match = match query.get("resourceVersionMatch") {
            None => None,
            Some("NotOlderThan") => Some(Match::NotOlderThan),
            Some("Exact") => Some(Match::Exact),
            Some(other) => {
                let supported = ["Exact", "NotOlderThan", ""];
                return Err(invalid(FieldError::not_supported(
                    "resourceVersionMatch",
                    other,
                    &supported,
                )));
            }
        };
        Ok(ListOptions {
            revision: revision(query)?,
            revision_match,
            limit: number("limit")?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            continue_token: query.get("continue").map(str::to_owned),
            timeout_seconds: number("timeoutSeconds")?,
            bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.boolean("sendInitialEvents"),
        })
    }

    /// The revision a list must show exactly. A limit with a revision means it too, by upstream's older rule.
    pub(super) fn exact(&self) -> Option<Revision> {
        let revision = self.revision.filter(|revision| revision.0 > 0)?;
        match (self.revision_match, self.limit) {
            (Some(Match::Exact), _) | (None, Some(_)) => Some(revision),
            _ => None,
        }
    }

    pub(crate) fn check_list(&self) -> Result<()> {
        if self.send_initial_events.is_some() {
            return Err(forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        if self.revision_match.is_some() && self.continue_token.is_some() {
            return Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if self.revision_match.is_some() && self.revision.is_none() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(forbidden("resourceVersionMatch", why));
        }
        if self.revision_match == Some(Match::Exact) && self.revision == Some(Revision(0)) {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(forbidden("resourceVersionMatch", why));
        }
        if self.continue_token.is_some() && self.revision.is_some_and(|revision| revision.0 > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(())
    }

    pub(crate) fn check_watch(&self) -> Result<()> {
        match self.send_initial_events {
            None if self.revision_match.is_some() => {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                Err(forbidden("resourceVersionMatch", why))
            }
            Some(_) if self.revision_match != Some(Match::NotOlderThan) => {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                Err(forbidden("resourceVersionMatch", why))
            }
            _ => Ok(()),
        }
    }
}

fn forbidden(field: &str, why: &str) -> Status {
    invalid(FieldError::forbidden(field, why))
}

fn invalid(error: FieldError) -> Status {
    Status::invalid_kind("meta.k8s.io", "ListOptions", "", vec![error])
}
