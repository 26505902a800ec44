//! Conditions in the form that newer kinds share.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid};

const MAX_REASON: usize = 1024;
const MAX_MESSAGE: usize = 32 * 1024;
const REASON: &str = "a condition reason must start with alphabetic character, optionally followed \
    by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character \
    or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or \
    'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/// `status.conditions`.
pub(super) fn check(status: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, condition) in items(status, "conditions").iter().enumerate() {
        let here = path.index(at);
        let kind = text(condition, "type");
        if !seen.insert(kind) {
            out.push(|| FieldError::duplicate(here.child("type"), kind));
        }
        invalid(out, &here.child("type"), kind, names::qualified_name(kind));
        one(condition, &here, out);
    }
}

fn one(condition: &Value, path: &Path, out: &mut Errors) {
    let status = text(condition, "status");
    if !matches!(status, "False" | "True" | "Unknown") {
        let known = ["False", "True", "Unknown"];
        out.push(|| FieldError::not_supported(path.child("status"), status, &known));
    }
    if let Some(seen) = int(condition, "observedGeneration").filter(|seen| *seen < 0) {
        let why = "must be greater than or equal to zero";
        out.push(|| FieldError::invalid(path.child("observedGeneration"), seen, why));
    }
    if is_empty(condition, "lastTransitionTime") {
        out.push(|| FieldError::required(path.child("lastTransitionTime"), ""));
    }
    let (at, reason) = (path.child("reason"), text(condition, "reason"));
    if reason.is_empty() {
        out.push(|| FieldError::required(&at, ""));
    } else if !is_reason(reason) {
        out.push(|| FieldError::invalid(&at, reason, REASON));
    }
    if reason.len() > MAX_REASON {
        out.push(|| FieldError::too_long(at, MAX_REASON));
    }
    if text(condition, "message").len() > MAX_MESSAGE {
        out.push(|| FieldError::too_long(path.child("message"), MAX_MESSAGE));
    }
}

fn is_reason(reason: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_,:".contains(&byte);
    let last = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = reason.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| inner(*byte))
        && bytes.last().is_some_and(last)
}
