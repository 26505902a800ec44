//! Pods: priority classes and grace periods.

use sampan_api::object;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::Result;

/// Without a word about it, a pod has this long to stop.
const DEFAULT_GRACE: i64 = 30;
/// The classes that always exist.
const SYSTEM_CLASSES: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// A pod's priority comes from its class, and only the system's classes exist.
pub(super) fn check_priority(resource: &Resource, pod: &Value) -> Result<()> {
    let class = object::text(pod, "spec.priorityClassName");
    let value = match SYSTEM_CLASSES.iter().find(|(name, _)| *name == class) {
        Some((_, value)) => *value,
        None if class.is_empty() => 0,
        None => {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(resource, object::name(pod), &why));
        }
    };
    if object::int(pod, "spec.priority").is_some_and(|asked| asked != value) {
        let why = "the integer value of priority must not be provided in pod spec; \
                   priority admission controller computes it from the given PriorityClass name";
        return Err(Status::forbidden(resource, object::name(pod), why));
    }
    Ok(())
}

/// The seconds a deletion gives a pod: none when there is nothing running.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let nothing_runs = object::text(pod, "spec.nodeName").is_empty()
        || matches!(object::text(pod, "status.phase"), "Succeeded" | "Failed");
    if nothing_runs {
        return 0;
    }
    let seconds = asked
        .or_else(|| object::int(pod, "spec.terminationGracePeriodSeconds"))
        .unwrap_or(DEFAULT_GRACE);
    // Upstream reads a negative period as "as little as possible".
    if seconds < 0 { 1 } else { seconds }
}
