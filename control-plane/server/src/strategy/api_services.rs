//! APIServices: those of this server are available; others are kept, and nothing is asked of them.

use jiff::Timestamp;
use sampan_api::{object, time};
use serde_json::{Value, json};

/// Says whether the group and version can be had here.
pub(super) fn availability(new: &mut Value, old: Option<&Value>) {
    let service = |value: &Value| object::get(value, "spec.service").cloned();
    if old.is_some_and(|old| service(old) == service(new) && has_condition(old)) {
        return;
    }
    let (status, reason, message) = match service(new) {
        None => ("True", "Local", "Local APIServices are always available"),
        Some(_) => (
            "False",
            "AggregationNotSupported",
            "this server does not pass requests on to other API servers",
        ),
    };
    let condition = json!({
        "type": "Available", "status": status, "lastTransitionTime": time::seconds(Timestamp::now()),
        "reason": reason, "message": message,
    });
    let mut conditions = object::items(new, "status.conditions").to_vec();
    conditions.retain(|condition| object::text(condition, "type") != "Available");
    conditions.push(condition);
    object::set(new, "status.conditions", conditions);
}

fn has_condition(value: &Value) -> bool {
    object::items(value, "status.conditions")
        .iter()
        .any(|condition| object::text(condition, "type") == "Available")
}
