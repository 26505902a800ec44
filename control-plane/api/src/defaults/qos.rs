//! The quality-of-service class of a pod: who is evicted first when a node runs short.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::{entries, get, items};
use crate::quantity::Quantity;

type Sums = BTreeMap<String, Quantity>;

/// `Guaranteed` when every container has limits for CPU and memory and requests equal to them,
/// `BestEffort` when none asks for either, else `Burstable`.
pub fn qos_class(pod: &Value) -> &'static str {
    let (mut requests, mut limits) = (Sums::new(), Sums::new());
    let mut guaranteed = true;
    if get(pod, "spec.resources").is_some() {
        add(&mut requests, pod, "spec.resources.requests");
        guaranteed = add(&mut limits, pod, "spec.resources.limits") == 2;
    } else {
        let containers = items(pod, "spec.initContainers").iter();
        for one in containers.chain(items(pod, "spec.containers")) {
            add(&mut requests, one, "resources.requests");
            guaranteed &= add(&mut limits, one, "resources.limits") == 2;
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Adds the non-zero amounts of CPU and memory at `path`; returns how many there were.
fn add(sums: &mut Sums, value: &Value, path: &str) -> usize {
    let mut found = 0;
    for (resource, amount) in entries(value, path) {
        let Ok(amount) = Quantity::from_value(amount) else {
            continue;
        };
        if matches!(resource, "cpu" | "memory") && !amount.is_zero() {
            *sums.entry(resource.to_owned()).or_default() += amount;
            found += 1;
        }
    }
    found
}
