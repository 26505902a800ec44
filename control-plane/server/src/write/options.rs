//! Options every write takes.

use sampan_api::status::{FieldError, Status};
use serde_json::json;

use crate::api::{Call, Result};

/// What a write is to do beside writing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteOptions {
    /// Do everything but the commit.
    pub(crate) dry_run: bool,
}

impl WriteOptions {
    /// Reads them from the query; `kind` is what upstream calls the options of this verb.
    pub(crate) fn parse(call: &Call, kind: &str) -> Result<WriteOptions> {
        let query = &call.query;
        let dry: Vec<&str> = query
            .all("dryRun")
            .filter(|value| !value.is_empty())
            .collect();
        let mut errors = Vec::new();
        if dry.iter().any(|value| *value != "All") {
            errors.push(FieldError::not_supported("dryRun", json!(dry), &["All"]));
        }
        if let Some(value) = query.get("fieldValidation")
            && !matches!(value, "Ignore" | "Warn" | "Strict")
        {
            errors.push(FieldError::not_supported(
                "fieldValidation",
                value,
                &["Ignore", "Strict", "Warn"],
            ));
        }
        if errors.is_empty() {
            return Ok(WriteOptions {
                dry_run: !dry.is_empty(),
            });
        }
        Err(Status::invalid_kind("meta.k8s.io", kind, "", errors))
    }
}
