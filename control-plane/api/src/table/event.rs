//! The table of events, the same for both versions.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::convert::{self, CORE_EVENT};
use crate::object::{get, int, text};
use crate::time;

use super::{Column, NAME, PLAIN, Printer, column, name, wide};

pub(super) const EVENT: Printer = Printer {
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    column("Last Seen", "Time since it happened last."),
    column("Type", "Normal or Warning."),
    column("Reason", "What happened, for machines."),
    column("Object", "What it happened to."),
    wide("Subobject", "The part of the object it happened to."),
    wide("Source", "Who reported it."),
    column("Message", "What happened, for people."),
    wide("First Seen", "Time since it happened first."),
    wide("Count", "How often it happened."),
    Column {
        priority: 1,
        ..NAME
    },
];

fn cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let converted;
    let event = if get(event, "involvedObject").is_some() {
        event
    } else {
        converted = convert::event(event, CORE_EVENT);
        &converted
    };
    let first = match text(event, "firstTimestamp") {
        "" => text(event, "eventTime"),
        first => first,
    };
    let mut last = match text(event, "lastTimestamp") {
        "" => first,
        last => last,
    };
    // An event that happened once has no count in the newer API.
    let mut count = int(event, "count").filter(|count| *count != 0).unwrap_or(1);
    if let Some(series) = get(event, "series") {
        last = text(series, "lastObservedTime");
        count = int(series, "count").unwrap_or(0);
    }
    let kind = text(event, "involvedObject.kind").to_lowercase();
    let target = match text(event, "involvedObject.name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        json!(time::age(last, now)),
        json!(text(event, "type")),
        json!(text(event, "reason")),
        json!(target),
        json!(text(event, "involvedObject.fieldPath")),
        json!(source(event)),
        json!(text(event, "message").trim()),
        json!(time::age(first, now)),
        json!(count),
        name(event),
    ]
}

/// Component and host, from the old fields or the new.
fn source(event: &Value) -> String {
    let pick = |old: &str, new: &str| match text(event, old) {
        "" => text(event, new).to_owned(),
        found => found.to_owned(),
    };
    let component = pick("source.component", "reportingComponent");
    let instance = pick("source.host", "reportingInstance");
    if instance.is_empty() {
        component
    } else {
        format!("{component}, {instance}")
    }
}
