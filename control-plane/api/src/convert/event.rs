//! Events: the core group's and those of `events.k8s.io`, which renamed fields and changed nothing else.

use serde_json::{Map, Value};

/// The API version of events in the core group, which is also how they are stored.
pub const CORE_EVENT: &str = "v1";
/// The API version of events in their own group.
pub const EVENTS_EVENT: &str = "events.k8s.io/v1";

/// Field names in the core group and in `events.k8s.io`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// An event as `to_api_version` writes it. Events already in that version stay as they are.
pub fn event(value: &Value, to_api_version: &str) -> Value {
    let Some(fields) = value.as_object() else {
        return value.clone();
    };
    let rename = |name: &str| -> Option<&'static str> {
        let pair = RENAMED.iter().find(|(core, new)| match to_api_version {
            CORE_EVENT => *new == name,
            _ => *core == name,
        })?;
        Some(if to_api_version == CORE_EVENT {
            pair.0
        } else {
            pair.1
        })
    };
    let mut converted = Map::with_capacity(fields.len());
    for (name, field) in fields {
        let name = rename(name).unwrap_or(name);
        converted.insert(name.to_owned(), field.clone());
    }
    if converted.contains_key("apiVersion") {
        converted.insert("apiVersion".to_owned(), to_api_version.into());
    }
    Value::Object(converted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_there_and_back() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"},
            "involvedObject": {"name": "p"}, "reason": "R", "message": "M", "type": "Normal",
            "source": {"component": "c"}, "firstTimestamp": "t", "lastTimestamp": "t", "count": 2,
            "eventTime": null, "reportingComponent": "c", "reportingInstance": "i"});
        let new = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": "e"}, "regarding": {"name": "p"}, "reason": "R", "note": "M",
            "type": "Normal", "deprecatedSource": {"component": "c"},
            "deprecatedFirstTimestamp": "t", "deprecatedLastTimestamp": "t", "deprecatedCount": 2,
            "eventTime": null, "reportingController": "c", "reportingInstance": "i"});
        assert_eq!(event(&core, EVENTS_EVENT), new);
        assert_eq!(event(&new, CORE_EVENT), core);
        assert_eq!(event(&new, EVENTS_EVENT), new);
        assert_eq!(event(&core, CORE_EVENT), core);
        assert_eq!(event(&json!(1), CORE_EVENT), json!(1));
    }
}
