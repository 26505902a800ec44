//! The table of autoscalers.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::convert::{self, AUTOSCALER_V2};
use crate::object::{get, int, items, text};

use super::format::scalar;
use super::{
    AGE, Column, NAME, NONE, PLAIN, Printer, UNKNOWN, UNSET, age, column, count, integer, name,
};

pub(super) const HORIZONTAL_POD_AUTOSCALER: Printer = Printer {
    columns: &[
        NAME,
        column("Reference", "What is scaled."),
        column("Targets", "What is measured, and what it should be."),
        column("MinPods", "The smallest number of pods."),
        column("MaxPods", "The largest number of pods."),
        column("Replicas", "Number of pods there are."),
        AGE,
    ],
    cells: horizontal,
    ..PLAIN
};

/// The scale subresource of what can be scaled.
pub(super) const SCALE: Printer = Printer {
    columns: &[
        Column { format: "", ..NAME },
        integer("Desired", "Number of pods there should be."),
        integer("Available", "Number of pods there are."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            count(value, "spec.replicas"),
            count(value, "status.replicas"),
            age(value, now),
        ]
    },
    ..PLAIN
};

fn horizontal(value: &Value, now: Timestamp) -> Vec<Value> {
    let newer = convert::to_version(value, AUTOSCALER_V2);
    let value = newer.as_ref().unwrap_or(value);
    let target = |field: &str| text(value, &format!("spec.scaleTargetRef.{field}"));
    let minimum = int(value, "spec.minReplicas");
    vec![
        name(value),
        json!(format!("{}/{}", target("kind"), target("name"))),
        json!(metrics(value)),
        json!(minimum.map_or_else(|| UNSET.to_owned(), |minimum| minimum.to_string())),
        count(value, "spec.maxReplicas"),
        count(value, "status.currentReplicas"),
        age(value, now),
    ]
}

/// The first two metrics, and how many more there are.
fn metrics(value: &Value) -> String {
    const SHOWN: usize = 2;
    let specs = items(value, "spec.metrics");
    if specs.is_empty() {
        return NONE.to_owned();
    }
    let statuses = items(value, "status.currentMetrics");
    let each = specs.iter().take(SHOWN).enumerate();
    let shown: Vec<String> = each
        .map(|(at, spec)| metric(spec, statuses.get(at)))
        .collect();
    let shown = shown.join(", ");
    match specs.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// What a metric is now, and what it should be.
fn metric(spec: &Value, status: Option<&Value>) -> String {
    let (field, of_a_resource) = match text(spec, "type") {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let target = get(spec, field).and_then(|source| get(source, "target"));
    let current = status.and_then(|status| get(status, field));
    let wanted = |name: &str| target.and_then(|target| get(target, name));
    let measured =
        |name: &str| current.and_then(|current| get(current, &format!("current.{name}")));
    // An amount without a value, where upstream prints a nil pointer.
    let amount = |value: Option<&Value>| value.map_or_else(|| "<nil>".to_owned(), scalar);
    let known = |value: String| {
        if current.is_some() {
            value
        } else {
            UNKNOWN.to_owned()
        }
    };
    if of_a_resource {
        let resource = text(spec, &format!("{field}.name"));
        if let Some(wanted) = wanted("averageValue") {
            let now = known(amount(measured("averageValue")));
            return format!("{resource}: {now}/{}", scalar(wanted));
        }
        let percent = |value: Option<&Value>, none: &str| {
            value.map_or_else(|| none.to_owned(), |value| format!("{}%", scalar(value)))
        };
        let now = percent(measured("averageUtilization"), UNKNOWN);
        return format!(
            "{resource}: {now}/{}",
            percent(wanted("averageUtilization"), "<auto>")
        );
    }
    if field == "pods" {
        let now = known(amount(measured("averageValue")));
        return format!("{now}/{}", amount(wanted("averageValue")));
    }
    if let Some(wanted) = wanted("averageValue") {
        let now = measured("averageValue").map_or_else(|| UNKNOWN.to_owned(), scalar);
        return format!("{now}/{} (avg)", scalar(wanted));
    }
    format!(
        "{}/{}",
        known(amount(measured("value"))),
        amount(wanted("value"))
    )
}
