//! Conversion between the served versions of one stored kind: events, which two groups serve, and
//! HorizontalPodAutoscalers, which two versions of one group serve.

mod autoscaler;
mod event;

use serde_json::Value;

pub use autoscaler::{AUTOSCALER_V1, AUTOSCALER_V2};
pub use event::{CORE_EVENT, EVENTS_EVENT, event};

/// An object in another of the versions of its kind; `None` when the kind has no such version.
pub fn to_version(value: &Value, api_version: &str) -> Option<Value> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let own = text("apiVersion")?;
    if own == api_version {
        return Some(value.clone());
    }
    let between = |versions: [&str; 2]| versions.contains(&own) && versions.contains(&api_version);
    match text("kind") {
        Some("Event") if between([CORE_EVENT, EVENTS_EVENT]) => Some(event(value, api_version)),
        Some("HorizontalPodAutoscaler") if between([AUTOSCALER_V1, AUTOSCALER_V2]) => {
            Some(match api_version {
                AUTOSCALER_V1 => autoscaler::to_v1(value),
                _ => autoscaler::to_v2(value),
            })
        }
        _ => None,
    }
}

/// The object in another of the versions of its kind, or as it is when it is in that version or the kind has no such one.
/// An object that stays what it is is not copied, which every write relies on.
pub fn into_version(value: Value, api_version: &str) -> Value {
    if value.get("apiVersion").and_then(Value::as_str) == Some(api_version) {
        return value;
    }
    to_version(&value, api_version).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_versions_of_one_kind() {
        let event = json!({"apiVersion": "v1", "kind": "Event", "message": "m"});
        let converted = to_version(&event, EVENTS_EVENT).expect("converted");
        assert_eq!(converted["note"], "m");
        assert_eq!(to_version(&event, "v2"), None);
        let pod = json!({"apiVersion": "v1", "kind": "Pod"});
        assert_eq!(to_version(&pod, "v1"), Some(pod.clone()));
        assert_eq!(to_version(&pod, EVENTS_EVENT), None);
        assert_eq!(into_version(event, EVENTS_EVENT), converted);
        for version in ["v1", EVENTS_EVENT] {
            assert_eq!(into_version(pod.clone(), version), pod);
        }
    }
}
