//! Defaults of LimitRanges: what a container gets follows from what it may have.

use serde_json::{Map, Value};

use crate::object::{entries, set_default, text};

use super::{amounts, each};

/// The amounts of a limit.
const LISTS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

pub(super) fn apply(value: &mut Value) {
    each(value, "spec.limits", |limit| {
        amounts::round(limit, LISTS);
        if text(limit, "type") != "Container" {
            return;
        }
        fill(limit, "default", "max");
        fill(limit, "defaultRequest", "default");
        fill(limit, "defaultRequest", "min");
    });
}

/// Takes over from `source` what `target` lacks.
fn fill(limit: &mut Value, target: &str, source: &str) {
    let amounts: Vec<(String, Value)> = entries(limit, source)
        .map(|(name, amount)| (name.to_owned(), amount.clone()))
        .collect();
    if amounts.is_empty() {
        return;
    }
    set_default(limit, target, Map::new());
    if let Some(map) = limit.get_mut(target).and_then(Value::as_object_mut) {
        for (name, amount) in amounts {
            map.entry(name).or_insert(amount);
        }
    }
}
