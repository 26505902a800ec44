//! Events, in both versions. Clients of the core group wrote them for years under lax rules, so
//! only events that carry the newer `eventTime` are held to the newer ones.

use serde_json::Value;

use crate::convert::{self, CORE_EVENT};
use crate::names;
use crate::object::{get, int, is_empty, namespace, text};
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::path::{Path, invalid};

/// Longest `reportingInstance`, `action` and `reason`.
const MAX_SHORT: usize = 128;
/// Longest `note`.
const MAX_NOTE: usize = 1024;

/// What only an emitter of deprecated events sets.
const DEPRECATED: [&str; 4] = ["firstTimestamp", "lastTimestamp", "count", "source"];

/// An event as the core group writes it.
pub(super) fn core(event: &Value, out: &mut Errors) {
    lenient(event, "reportingComponent", out);
}

/// A new event of `events.k8s.io`.
pub(super) fn create(event: &Value, out: &mut Errors) {
    let event = &convert::event(event, CORE_EVENT);
    lenient(event, "reportingController", out);
    if is_empty(event, "eventTime") {
        out.push(|| FieldError::required("eventTime", ""));
    }
    kind(event, out);
    for field in DEPRECATED {
        let there = match get(event, field) {
            Some(Value::Number(number)) => number.as_i64() != Some(0),
            Some(Value::Object(map)) => map.values().any(|value| value.as_str() != Some("")),
            other => other.is_some(),
        };
        if there {
            out.push(|| FieldError::invalid(field, "", "needs to be unset"));
        }
    }
    series(event, out);
}

/// Events of `events.k8s.io` only count up.
pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    let (new, old) = (
        &convert::event(new, CORE_EVENT),
        &convert::event(old, CORE_EVENT),
    );
    lenient(new, "reportingController", out);
    kind(new, out);
    let fixed = [
        "involvedObject",
        "reason",
        "message",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "eventTime",
        "action",
        "related",
        "type",
    ];
    for field in fixed {
        if get(new, field) != get(old, field) && !(is_empty(new, field) && is_empty(old, field)) {
            let value = get(new, field).cloned().unwrap_or(Value::Null);
            out.push(|| FieldError::invalid(field, value, IMMUTABLE));
        }
    }
    for (field, shown) in [
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        if text(new, field) != text(old, field) {
            out.push(|| FieldError::invalid(shown, text(new, field), IMMUTABLE));
        }
    }
    series(new, out);
}

fn lenient(event: &Value, reporter: &str, out: &mut Errors) {
    let (own, involved) = (namespace(event), text(event, "involvedObject.namespace"));
    let agree = if is_empty(event, "eventTime") {
        match involved {
            "" => matches!(own, "" | "default"),
            _ => own == involved,
        }
    } else {
        strict(event, reporter, out);
        !involved.is_empty() || matches!(own, "default" | "kube-system")
    };
    if !agree {
        let why = "does not match event.namespace";
        out.push(|| FieldError::invalid("involvedObject.namespace", involved, why));
    }
}

fn strict(event: &Value, reporter: &str, out: &mut Errors) {
    let name = text(event, "reportingComponent");
    if name.is_empty() {
        out.push(|| FieldError::required(reporter, ""));
    }
    invalid(out, &Path::new(reporter), name, names::qualified_name(name));
    for field in ["reportingInstance", "action", "reason"] {
        match text(event, field).len() {
            0 => out.push(|| FieldError::required(field, "")),
            length => limit(field, length, MAX_SHORT, out),
        }
    }
    limit("message", text(event, "message").len(), MAX_NOTE, out);
}

fn limit(field: &str, length: usize, max: usize, out: &mut Errors) {
    if length > max {
        out.push(|| FieldError::invalid(field, "", format!("can have at most {max} characters")));
    }
}

fn kind(event: &Value, out: &mut Errors) {
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        out.push(|| FieldError::invalid("type", "", "has invalid value: ".to_owned() + kind));
    }
}

fn series(event: &Value, out: &mut Errors) {
    let Some(series) = get(event, "series") else {
        return;
    };
    if int(series, "count").unwrap_or(0) < 2 {
        out.push(|| FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if is_empty(series, "lastObservedTime") {
        out.push(|| FieldError::required("series.lastObservedTime", ""));
    }
}
