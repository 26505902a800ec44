//! Options every write takes.

use http::header::USER_AGENT;
use sampan_api::apply::{from_user_agent, validate_manager};
use sampan_api::status::{FieldError, Status};
use serde_json::json;

use crate::api::{Call, Result};

/// What a write is to do beside writing.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    /// Do everything but the commit.
    pub(crate) dry_run: bool,
    /// Who writes: what the client calls itself, here or in its User-Agent.
    pub(crate) manager: String,
    /// For apply: take over what others own.
    pub(crate) force: bool,
}

impl WriteOptions {
    /// Reads them from the query; `kind` is what upstream calls the options of this verb.
    pub(crate) fn parse(call: &Call, kind: &str) -> Result<WriteOptions> {
        WriteOptions::read(call, kind, Vec::new())
    }

    /// Those of a patch. Who applies must say who it is, and only who applies may use force.
    pub(super) fn of_patch(call: &Call, applies: bool) -> Result<WriteOptions> {
        let mut errors = Vec::new();
        if applies && call.query.get("fieldManager").unwrap_or("").is_empty() {
            errors.push(FieldError::required(
                "fieldManager",
                "is required for apply patch",
            ));
        }
        if !applies && call.query.get("force").is_some() {
            errors.push(FieldError::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        WriteOptions::read(call, "PatchOptions", errors)
    }

    fn read(call: &Call, kind: &str, mut errors: Vec<FieldError>) -> Result<WriteOptions> {
        let query = &call.query;
        let named = query.get("fieldManager").unwrap_or("");
        validate_manager(named, "fieldManager", &mut errors);
        let dry: Vec<&str> = query
            .all("dryRun")
            .filter(|value| !value.is_empty())
            .collect();
        if dry.iter().any(|value| *value != "All") {
            errors.push(FieldError::not_supported("dryRun", json!(dry), &["All"]));
        }
        if let Some(value) = query.get("fieldValidation")
            && !matches!(value, "" | "Ignore" | "Warn" | "Strict")
        {
            errors.push(FieldError::not_supported(
                "fieldValidation",
                value,
                &["", "Ignore", "Strict", "Warn"],
            ));
        }
        if !errors.is_empty() {
            return Err(Status::invalid_kind("meta.k8s.io", kind, "", errors));
        }
        let manager = if named.is_empty() {
            let agent = call.parts.headers.get(USER_AGENT);
            let agent = agent.map_or(&[][..], |value| value.as_bytes());
            from_user_agent(&String::from_utf8_lossy(agent))
        } else {
            named.to_owned()
        };
        Ok(WriteOptions {
            dry_run: !dry.is_empty(),
            manager,
            force: query.get("force").is_some_and(is_true),
        })
    }
}

/// What upstream takes for true in a query: all but two words.
fn is_true(text: &str) -> bool {
    !(text == "0" || text.eq_ignore_ascii_case("false"))
}
