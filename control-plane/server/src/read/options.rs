//! ListOptions: what a list or watch is to show, and the combinations upstream refuses.

use std::num::IntErrorKind;

use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use sampan_store::Revision;

use crate::api::Result;
use crate::request::Query;

/// `resourceVersionMatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Match {
    NotOlderThan,
    Exact,
    Other(String),
}

impl Match {
    fn parse(text: &str) -> Match {
        match text {
            "NotOlderThan" => Match::NotOlderThan,
            "Exact" => Match::Exact,
            other => Match::Other(other.to_owned()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Match::NotOlderThan => "NotOlderThan",
            Match::Exact => "Exact",
            Match::Other(other) => other,
        }
    }
}

/// The options of a list or watch, selectors aside.
#[derive(Debug, Default)]
pub(crate) struct ListOptions {
    /// `None` when not given; `Some(0)` means any state will do.
    pub(crate) revision: Option<Revision>,
    revision_match: Option<Match>,
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    /// Of no time at all when it was up before it began.
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
}

/// The `resourceVersion` parameter of a get or list.
pub(super) fn revision(query: &Query) -> Result<Option<Revision>> {
    parse_revision(query, |error| {
        Status::bad_request(format!("invalid resource version: {error}"))
    })
}

fn parse_revision(
    query: &Query,
    refuse: impl FnOnce(FieldError) -> Status,
) -> Result<Option<Revision>> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    match text.parse::<u64>() {
        // Upstream's parser takes no sign.
        Ok(revision) if !text.starts_with('+') => Ok(Some(Revision(revision))),
        outcome => {
            let why = match outcome.err().map(|error| *error.kind()) {
                Some(IntErrorKind::PosOverflow) => "value out of range",
                _ => "invalid syntax",
            };
            let why = format!("strconv.ParseUint: parsing {text:?}: {why}");
            Err(refuse(FieldError::invalid("resourceVersion", text, why)))
        }
    }
}

impl ListOptions {
    fn parse(query: &Query) -> Result<ListOptions> {
        if query.is_empty() {
            return Ok(ListOptions::default());
        }
        let number = |name: &str| match query.get(name).map(str::parse::<i64>) {
            None => Ok(0),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => {
                let text = query.get(name).unwrap_or_default();
                let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                Err(Status::bad_request(why))
            }
        };
        let (limit, timeout) = (number("limit")?, number("timeoutSeconds")?);
        Ok(ListOptions {
            revision: None,
            revision_match: query.get("resourceVersionMatch").map(Match::parse),
            limit: (limit > 0).then(|| usize::try_from(limit).unwrap_or(usize::MAX)),
            continue_token: query.get("continue").map(str::to_owned),
            timeout_seconds: (timeout != 0).then(|| u64::try_from(timeout).unwrap_or(0)),
            bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.boolean("sendInitialEvents"),
        })
    }

    /// The options of a list.
    pub(crate) fn of_list(query: &Query) -> Result<ListOptions> {
        let mut options = ListOptions::parse(query)?;
        options.check_list(query.get("resourceVersion"))?;
        options.revision = revision(query)?;
        if options.continue_token.is_some() && options.revision.is_some_and(|given| given.0 > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(options)
    }

    /// The options of a watch.
    pub(crate) fn of_watch(query: &Query, resource: &Resource) -> Result<ListOptions> {
        let mut options = ListOptions::parse(query)?;
        // A watch from anywhere has always begun with the state; now it says so.
        let from_anywhere = matches!(query.get("resourceVersion"), None | Some("0"));
        let said = options.send_initial_events.is_some() || options.revision_match.is_some();
        if from_anywhere && !said {
            options.send_initial_events = Some(true);
            options.revision_match = Some(Match::NotOlderThan);
        }
        options.check_watch()?;
        options.revision = parse_revision(query, |error| {
            Status::invalid_kind(resource.group, resource.plural, "", vec![error])
        })?;
        Ok(options)
    }

    /// The revision a list must show exactly. A limit with a revision means it too, by upstream's older rule.
    pub(super) fn exact(&self) -> Option<Revision> {
        let revision = self.revision.filter(|revision| revision.0 > 0)?;
        match (&self.revision_match, self.limit) {
            (Some(Match::Exact), _) | (None, Some(_)) => Some(revision),
            _ => None,
        }
    }

    fn check_list(&self, revision: Option<&str>) -> Result<()> {
        let mut errors = Vec::new();
        if let Some(asked) = &self.revision_match {
            if revision.is_none() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                errors.push(FieldError::forbidden(MATCH, why));
            }
            if self.continue_token.is_some() {
                errors.push(FieldError::forbidden(MATCH, NOT_WITH_CONTINUE));
            }
            if let Match::Other(other) = asked {
                let supported = ["Exact", "NotOlderThan", ""];
                errors.push(FieldError::not_supported(MATCH, other.as_str(), &supported));
            }
            if *asked == Match::Exact && revision == Some("0") {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(FieldError::forbidden(MATCH, why));
            }
        }
        if self.send_initial_events.is_some() {
            let why = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden("sendInitialEvents", why));
        }
        refuse(errors)
    }

    fn check_watch(&self) -> Result<()> {
        let mut errors = Vec::new();
        if self.send_initial_events.is_some() && self.revision_match != Some(Match::NotOlderThan) {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(MATCH, why));
        }
        if let Some(asked) = &self.revision_match {
            if self.send_initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(FieldError::forbidden(MATCH, why));
            }
            if *asked != Match::NotOlderThan {
                let supported = ["NotOlderThan"];
                errors.push(FieldError::not_supported(MATCH, asked.as_str(), &supported));
            }
            if self.continue_token.is_some() {
                errors.push(FieldError::forbidden(MATCH, NOT_WITH_CONTINUE));
            }
        }
        refuse(errors)
    }
}

const MATCH: &str = "resourceVersionMatch";
const NOT_WITH_CONTINUE: &str = "resourceVersionMatch is forbidden when continue is provided";

fn refuse(errors: Vec<FieldError>) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid_kind(
        "meta.k8s.io",
        "ListOptions",
        "",
        errors,
    ))
}
