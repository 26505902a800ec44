//! HorizontalPodAutoscalers: `autoscaling/v2` knows any number of metrics, `autoscaling/v1` one, and carries what it
//! does not know in annotations.

use serde_json::{Map, Value, json};

use crate::decode;
use crate::object::{self, get, int, is_empty, items, remove, set, text};
use crate::quantity::Quantity;

/// The older version.
pub const AUTOSCALER_V1: &str = "autoscaling/v1";
/// The version they are stored in.
pub const AUTOSCALER_V2: &str = "autoscaling/v2";

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// Annotations that carry what v1 has no fields for; the last two are of releases that are gone.
const CARRIERS: [&str; 6] = [
    METRICS,
    CURRENT,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];
/// What v1 means when it names no metric.
const DEFAULT_CPU: i64 = 80;

/// Where a field of a metric is in v1 and in v2.
type Renames = &'static [(&'static str, &'static str)];

/// Of metrics asked for.
const SOURCES: [(&str, Renames); 5] = [
    (
        "object",
        &[
            ("target", "describedObject"),
            ("metricName", "metric.name"),
            ("targetValue", "target.value"),
            ("selector", "metric.selector"),
            ("averageValue", "target.averageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", "metric.name"),
            ("targetAverageValue", "target.averageValue"),
            ("selector", "metric.selector"),
        ],
    ),
    (
        "resource",
        &[
            ("name", "name"),
            ("targetAverageUtilization", "target.averageUtilization"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", "name"),
            ("targetAverageUtilization", "target.averageUtilization"),
            ("targetAverageValue", "target.averageValue"),
            ("container", "container"),
        ],
    ),
    (
        "external",
        &[
            ("metricName", "metric.name"),
            ("metricSelector", "metric.selector"),
            ("targetValue", "target.value"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
];

/// Of metrics as they are.
const STATUSES: [(&str, Renames); 5] = [
    (
        "object",
        &[
            ("target", "describedObject"),
            ("metricName", "metric.name"),
            ("currentValue", "current.value"),
            ("selector", "metric.selector"),
            ("averageValue", "current.averageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", "metric.name"),
            ("currentAverageValue", "current.averageValue"),
            ("selector", "metric.selector"),
        ],
    ),
    (
        "resource",
        &[
            ("name", "name"),
            ("currentAverageUtilization", "current.averageUtilization"),
            ("currentAverageValue", "current.averageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", "name"),
            ("currentAverageUtilization", "current.averageUtilization"),
            ("currentAverageValue", "current.averageValue"),
            ("container", "container"),
        ],
    ),
    (
        "external",
        &[
            ("metricName", "metric.name"),
            ("metricSelector", "metric.selector"),
            ("currentValue", "current.value"),
            ("currentAverageValue", "current.averageValue"),
        ],
    ),
];

/// Quantities v1 always has.
const PRESENT: [&str; 5] = [
    "object.targetValue",
    "pods.targetAverageValue",
    "object.currentValue",
    "pods.currentAverageValue",
    "external.currentValue",
];

pub(super) fn to_v1(value: &Value) -> Value {
    let mut new = value.clone();
    set(&mut new, "apiVersion", AUTOSCALER_V1);
    let mut carried = Map::new();
    let metrics = items(value, "spec.metrics");
    if let Some(cpu) = metrics.iter().find(|metric| is_cpu(metric)) {
        let percent = int(cpu, "resource.target.averageUtilization").unwrap_or(0);
        set(&mut new, "spec.targetCPUUtilizationPercentage", percent);
    }
    let others: Vec<Value> = metrics
        .iter()
        .filter(|metric| !is_cpu(metric))
        .map(|metric| metric_to_v1(metric, &SOURCES))
        .collect();
    carry(&mut carried, METRICS, &others);
    remove(&mut new, "spec.metrics");
    if let Some(behavior) = remove(&mut new, "spec.behavior") {
        let text = capitals(&behavior, true).to_string();
        carried.insert(BEHAVIOR.to_owned(), text.into());
    }
    let current = items(value, "status.currentMetrics");
    if let Some(percent) = current
        .iter()
        .filter(|metric| text(metric, "resource.name") == "cpu")
        .find_map(|metric| int(metric, "resource.current.averageUtilization"))
    {
        set(&mut new, "status.currentCPUUtilizationPercentage", percent);
    }
    let current: Vec<Value> = current
        .iter()
        .map(|metric| metric_to_v1(metric, &STATUSES))
        .collect();
    carry(&mut carried, CURRENT, &current);
    carry(&mut carried, CONDITIONS, items(value, "status.conditions"));
    for field in ["currentMetrics", "conditions"] {
        remove(&mut new, &format!("status.{field}"));
    }
    for field in ["currentReplicas", "desiredReplicas"] {
        let path = format!("status.{field}");
        object::set_default(&mut new, &path, 0);
    }
    annotate(&mut new, carried);
    new
}

pub(super) fn to_v2(value: &Value) -> Value {
    let mut new = value.clone();
    set(&mut new, "apiVersion", AUTOSCALER_V2);
    let carried = |name: &str| -> Option<Value> {
        serde_json::from_str(object::annotation(value, name)?).ok()
    };
    let list = |name: &str, renames: &[(&str, Renames)], type_name: &str| -> Vec<Value> {
        let list = carried(name);
        let list = list
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let list = list.map(|metric| metric_to_v2(metric, renames));
        let list = list.filter(|metric| !text(metric, "type").is_empty());
        list.filter_map(|metric| typed(metric, type_name)).collect()
    };
    let mut metrics = list(METRICS, &SOURCES, "io.k8s.api.autoscaling.v2.MetricSpec");
    let percent = remove(&mut new, "spec.targetCPUUtilizationPercentage")
        .filter(|percent| !percent.is_null());
    match percent {
        Some(percent) => metrics.push(cpu(
            "target",
            json!({"type": "Utilization", "averageUtilization": percent}),
        )),
        None if metrics.is_empty() => metrics.push(cpu(
            "target",
            json!({"type": "Utilization", "averageUtilization": DEFAULT_CPU}),
        )),
        None => {}
    }
    set(&mut new, "spec.metrics", metrics);
    let behavior = carried(BEHAVIOR).map(|behavior| capitals(&behavior, false));
    let behavior = behavior.and_then(|behavior| {
        typed(
            behavior,
            "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
        )
    });
    if let Some(behavior) = behavior {
        set(&mut new, "spec.behavior", behavior);
    }
    let mut current = list(CURRENT, &STATUSES, "io.k8s.api.autoscaling.v2.MetricStatus");
    if let Some(percent) = remove(&mut new, "status.currentCPUUtilizationPercentage")
        && current.is_empty()
    {
        current.push(cpu("current", json!({"averageUtilization": percent})));
    }
    if !current.is_empty() {
        set(&mut new, "status.currentMetrics", current);
    }
    let conditions = list(
        CONDITIONS,
        &[],
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerCondition",
    );
    if !conditions.is_empty() {
        set(&mut new, "status.conditions", conditions);
    }
    annotate(&mut new, Map::new());
    new
}

/// The one metric v1 has a field for.
fn is_cpu(metric: &Value) -> bool {
    text(metric, "resource.name") == "cpu"
        && get(metric, "resource.target.averageUtilization").is_some()
}

fn cpu(field: &str, value: Value) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", field: value}})
}

fn carry(carried: &mut Map<String, Value>, name: &str, list: &[Value]) {
    if !list.is_empty() {
        let text = Value::from(list).to_string();
        carried.insert(name.to_owned(), text.into());
    }
}

/// Sets the annotations that carry something and removes the rest of them.
fn annotate(value: &mut Value, carried: Map<String, Value>) {
    let mut annotations = object::annotations(value).cloned().unwrap_or_default();
    for name in CARRIERS {
        annotations.shift_remove(name);
    }
    annotations.extend(carried);
    if annotations.is_empty() {
        remove(value, "metadata.annotations");
    } else {
        set(value, "metadata.annotations", annotations);
    }
}

/// Annotations are anybody's: what does not have the shape it should is left out.
fn typed(value: Value, type_name: &str) -> Option<Value> {
    decode::value(value, type_name)
        .ok()
        .map(|decoded| decoded.value)
}

fn metric_to_v1(metric: &Value, kinds: &[(&str, Renames)]) -> Value {
    let mut new = json!({"type": text(metric, "type")});
    for (kind, renames) in kinds {
        let Some(old) = get(metric, kind) else {
            continue;
        };
        let mut one = json!({});
        for (v1, v2) in *renames {
            if let Some(value) = get(old, v2) {
                set(&mut one, v1, value.clone());
            } else if PRESENT.contains(&format!("{kind}.{v1}").as_str())
                || *v1 == "currentAverageValue" && *kind != "external"
            {
                set(&mut one, v1, "0");
            }
        }
        set(&mut new, kind, one);
    }
    new
}

fn metric_to_v2(metric: &Value, kinds: &[(&str, Renames)]) -> Value {
    if kinds.is_empty() {
        return metric.clone();
    }
    let mut new = json!({"type": text(metric, "type")});
    for (kind, renames) in kinds {
        let Some(old) = get(metric, kind) else {
            continue;
        };
        let mut one = json!({});
        for (v1, v2) in *renames {
            if let Some(value) = get(old, v1) {
                set(&mut one, v2, value.clone());
            }
        }
        if renames.iter().any(|(_, v2)| v2.starts_with("target.")) {
            target(kind, &mut one);
        }
        set(&mut new, kind, one);
    }
    new
}

/// Says what kind of target it is, which v1 leaves to what is there.
fn target(kind: &str, metric: &mut Value) {
    let has = |field: &str| !is_empty(metric, &format!("target.{field}"));
    let (average, utilization) = (
        has("averageValue"),
        get(metric, "target.averageUtilization").is_some(),
    );
    let zero = Quantity::parse(text(metric, "target.value")).is_ok_and(|value| value.is_zero());
    let meant = match kind {
        "object" if !average => "Value",
        "external" if has("value") => "Value",
        "resource" | "containerResource" if utilization => "Utilization",
        _ => "AverageValue",
    };
    if kind == "object" && average && zero {
        remove(metric, "target.value");
    }
    set(metric, "target.type", meant);
}

/// Upstream writes the behavior under the names of its Go fields.
fn capitals(value: &Value, upper: bool) -> Value {
    match value {
        Value::Object(map) => {
            let renamed = map.iter().map(|(key, value)| {
                let mut letters = key.chars();
                let first = letters.next().map(|first| match upper {
                    true => first.to_ascii_uppercase(),
                    false => first.to_ascii_lowercase(),
                });
                (
                    first.into_iter().chain(letters).collect(),
                    capitals(value, upper),
                )
            });
            Value::Object(renamed.collect())
        }
        Value::Array(items) => items.iter().map(|item| capitals(item, upper)).collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let v2 = json!({
            "apiVersion": AUTOSCALER_V2, "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h", "annotations": {"a": "b"}},
            "spec": {
                "maxReplicas": 3, "minReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "metrics": [
                    {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"averageValue": "1", "type": "AverageValue"}}},
                    {"type": "Object", "object": {
                        "describedObject": {"kind": "Ingress", "name": "i"}, "metric": {"name": "o"},
                        "target": {"value": "2", "type": "Value"}}},
                    {"type": "External", "external": {"metric": {"name": "e", "selector": {"matchLabels": {"x": "y"}}},
                        "target": {"averageValue": "3", "type": "AverageValue"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "target": {"averageUtilization": 5, "type": "Utilization"}, "container": "c"}},
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 9, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 2}]}},
            },
            "status": {
                "currentReplicas": 2, "desiredReplicas": 2,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "100m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}],
            },
        });
        let v1 = to_v1(&v2);
        assert_eq!(
            v1["spec"],
            json!({"maxReplicas": 3, "minReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "targetCPUUtilizationPercentage": 60})
        );
        assert_eq!(
            v1["status"],
            json!({"currentReplicas": 2, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 40})
        );
        let annotations = &v1["metadata"]["annotations"];
        assert_eq!(annotations["a"], "b");
        assert_eq!(
            annotations[BEHAVIOR],
            r#"{"ScaleDown":{"StabilizationWindowSeconds":9,"Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":2}]}}"#
        );
        assert!(annotations[METRICS].as_str().is_some_and(|text| text.starts_with(
            r#"[{"type":"Pods","pods":{"metricName":"p","targetAverageValue":"1"}},{"type":"Object","object":{"target":"#
        )));
        // Field order aside, nothing is lost.
        assert_eq!(to_v2(&v1), v2);
    }

    #[test]
    fn v1_alone_means_cpu() {
        let v1 = json!({"apiVersion": AUTOSCALER_V1, "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"maxReplicas": 3}});
        let metric = |v1: &Value| to_v2(v1)["spec"]["metrics"][0]["resource"].clone();
        assert_eq!(
            metric(&v1),
            json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}})
        );
        let mut asked = v1.clone();
        set(&mut asked, "spec.targetCPUUtilizationPercentage", 50);
        assert_eq!(metric(&asked)["target"]["averageUtilization"], 50);
        // Annotations say what they like; only what fits is taken.
        for nonsense in [
            "",
            "{",
            "7",
            r#"[7,{"type":"Pods","pods":{"metricName":{}}}]"#,
        ] {
            let mut odd = v1.clone();
            odd["metadata"]["annotations"] = json!({METRICS: nonsense, BEHAVIOR: nonsense, CURRENT: nonsense, CONDITIONS: nonsense});
            let v2 = to_v2(&odd);
            assert_eq!(v2["spec"], to_v2(&v1)["spec"], "{nonsense}");
            assert_eq!(v2["metadata"], v1["metadata"]);
        }
    }
}
