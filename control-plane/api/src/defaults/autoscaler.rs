//! Defaults of HorizontalPodAutoscalers.

use serde_json::{Value, json};

use crate::object::{get, is_empty, set, set_default};

/// How far a CPU is used before more pods come, in percent.
const CPU_UTILIZATION: i64 = 80;
/// Seconds between two steps of either direction.
const PERIOD: i64 = 15;

pub(super) fn apply(version: &str, value: &mut Value) {
    set_default(value, "spec.minReplicas", 1);
    // What v1 does not know of is filled in when it becomes v2.
    if version == "v1" {
        return;
    }
    if is_empty(value, "spec.metrics") {
        let target = json!({"type": "Utilization", "averageUtilization": CPU_UTILIZATION});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        set(value, "spec.metrics", vec![metric]);
    }
    if get(value, "spec.behavior").is_none() {
        return;
    }
    let doubled = json!({"type": "Percent", "value": 100, "periodSeconds": PERIOD});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": PERIOD});
    set_default(value, "spec.behavior.scaleUp.stabilizationWindowSeconds", 0);
    for (rules, policies) in [
        ("spec.behavior.scaleUp", vec![four, doubled.clone()]),
        ("spec.behavior.scaleDown", vec![doubled]),
    ] {
        set_default(value, &format!("{rules}.selectPolicy"), "Max");
        set_default(value, &format!("{rules}.policies"), policies);
    }
}
