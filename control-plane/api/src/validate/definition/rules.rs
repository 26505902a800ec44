//! `x-kubernetes-validations`: the rules as they are written.

use serde_json::Value;

use super::schema::field;
use crate::object::{items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

const KEYWORD: &str = "x-kubernetes-validations";

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// What is wrong with rules before anybody compiles them.
pub(super) fn shape(schema: &Value, path: &Path, out: &mut Errors) {
    for (at, rule) in items(schema, KEYWORD).iter().enumerate() {
        if out.is_full() {
            return;
        }
        let path = path.child(KEYWORD).index(at);
        let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
        let breaks = |text: &str| text.contains(['\n', '\r']);
        if expression.is_empty() {
            let why = "rule is not specified";
            out.push(|| FieldError::required(path.child("rule"), why));
        } else if !message.is_empty() && message.trim().is_empty() {
            let why = "must be non-empty if specified";
            out.push(|| FieldError::invalid(path.child("message"), message, why));
        } else if breaks(message.trim()) {
            let why = "must not contain line breaks";
            out.push(|| FieldError::invalid(path.child("message"), message, why));
        } else if breaks(expression) && message.trim().is_empty() {
            let why = "message must be specified if rule contains line breaks";
            out.push(|| FieldError::required(path.child("message"), why));
        }
        let dynamic = text(rule, "messageExpression");
        if !dynamic.is_empty() && dynamic.trim().is_empty() {
            let why = "messageExpression must be non-empty if specified";
            out.push(|| FieldError::required(path.child("messageExpression"), why));
        }
        let reason = text(rule, "reason");
        if !reason.is_empty() && !REASONS.contains(&reason) {
            out.push(|| FieldError::not_supported(path.child("reason"), reason, &REASONS));
        }
        let place = text(rule, "fieldPath");
        let wrong = match place {
            "" => None,
            place if place.trim().is_empty() => Some("must be non-empty if specified"),
            place if breaks(place) => Some("must not contain line breaks"),
            place if field_path(schema, place).is_err() => Some("must be a valid path"),
            _ => None,
        };
        if let Some(why) = wrong {
            out.push(|| FieldError::invalid(path.child("fieldPath"), place, why));
        }
    }
}

/// A path below the schema; names in brackets and quotes are allowed here.
fn field_path(schema: &Value, path: &str) -> Result<(), String> {
    if !path.contains('[') {
        return field(schema, path).map(drop);
    }
    Ok(())
}
