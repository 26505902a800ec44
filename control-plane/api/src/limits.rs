//! Limit ranges: what containers get that ask for nothing, and how much or little may be asked for.

use serde_json::Value;

use crate::amounts::{self, Amounts};
use crate::object::{self, items, items_mut, set, text};
use crate::quantity::Quantity;

/// Says which requests and limits were filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives a new pod's containers the range's defaults.
pub fn fill_in(range: &Value, pod: &mut Value) {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for limit in items(range, "spec.limits") {
        if text(limit, "type") == "Container" {
            requests.extend(amounts::at(limit, "defaultRequest"));
            limits.extend(amounts::at(limit, "default"));
        }
    }
    let mut said = Vec::new();
    for (list, words) in [
        ("spec.containers", "container"),
        ("spec.initContainers", "init container"),
    ] {
        for container in items_mut(pod, list) {
            for (kind, defaults, word) in [
                ("requests", &requests, "request"),
                ("limits", &limits, "limit"),
            ] {
                let given = merge(container, kind, defaults);
                if !given.is_empty() {
                    let name = text(container, "name");
                    said.push(format!("{} {word} for {words} {name}", given.join(", ")));
                }
            }
        }
    }
    if !said.is_empty() {
        let mut annotations = object::annotations(pod).cloned().unwrap_or_default();
        let text = format!("LimitRanger plugin set: {}", said.join("; "));
        annotations.insert(ANNOTATION.to_owned(), text.into());
        set(pod, "metadata.annotations", annotations);
    }
}

/// Adds what the container does not say; answers with the names of that.
fn merge(container: &mut Value, kind: &str, defaults: &Amounts) -> Vec<String> {
    let path = format!("resources.{kind}");
    let mut all = object::get(container, &path)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let mut given = Vec::new();
    for (name, amount) in defaults {
        if !all.contains_key(name) {
            all.insert(name.clone(), amount.to_string().into());
            given.push(name.clone());
        }
    }
    if !given.is_empty() {
        set(container, &path, all);
    }
    given
}

/// What of the range a pod or a claim breaks.
pub fn check(range: &Value, kind: &str, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    for limit in items(range, "spec.limits") {
        let sort = text(limit, "type");
        match (kind, sort) {
            ("Pod", "Container") => {
                for list in ["spec.containers", "spec.initContainers"] {
                    for container in items(value, list) {
                        let requests = amounts::at(container, "resources.requests");
                        let limits = amounts::at(container, "resources.limits");
                        constraints(limit, sort, &requests, &limits, &mut errors);
                    }
                }
            }
            ("Pod", "Pod") => {
                let requests = amounts::of_pod(value, "requests");
                let limits = amounts::of_pod(value, "limits");
                constraints(limit, sort, &requests, &limits, &mut errors);
            }
            ("PersistentVolumeClaim", "PersistentVolumeClaim") => {
                let requests = amounts::at(value, "spec.resources.requests");
                for (name, least) in amounts::at(limit, "min") {
                    errors.extend(minimum(sort, &name, least, &requests, &Amounts::new()));
                }
                for (name, most) in amounts::at(limit, "max") {
                    errors.extend(maximum_request(sort, &name, most, &requests));
                }
            }
            _ => {}
        }
    }
    errors
}

fn constraints(
    limit: &Value,
    sort: &str,
    requests: &Amounts,
    limits: &Amounts,
    errors: &mut Vec<String>,
) {
    for (name, least) in amounts::at(limit, "min") {
        errors.extend(minimum(sort, &name, least, requests, limits));
    }
    for (name, most) in amounts::at(limit, "max") {
        errors.extend(maximum(sort, &name, most, requests, limits));
    }
    for (name, most) in amounts::at(limit, "maxLimitRequestRatio") {
        errors.extend(ratio(sort, &name, most, requests, limits));
    }
}

fn minimum(
    sort: &str,
    name: &str,
    least: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let start = format!("minimum {name} usage per {sort} is {least}");
    let Some(request) = requests.get(name) else {
        return Some(format!("{start}.  No request is specified"));
    };
    if *request < least {
        return Some(format!("{start}, but request is {request}"));
    }
    let limit = limits.get(name).filter(|limit| **limit < least)?;
    Some(format!("{start}, but limit is {limit}"))
}

fn maximum(
    sort: &str,
    name: &str,
    most: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let start = format!("maximum {name} usage per {sort} is {most}");
    let Some(limit) = limits.get(name) else {
        return Some(format!("{start}.  No limit is specified"));
    };
    if *limit > most {
        return Some(format!("{start}, but limit is {limit}"));
    }
    let request = requests.get(name).filter(|request| **request > most)?;
    Some(format!("{start}, but request is {request}"))
}

fn maximum_request(sort: &str, name: &str, most: Quantity, requests: &Amounts) -> Option<String> {
    let start = format!("maximum {name} usage per {sort} is {most}");
    match requests.get(name) {
        None => Some(format!("{start}.  No request is specified")),
        Some(request) if *request > most => Some(format!("{start}, but request is {request}")),
        Some(_) => None,
    }
}

fn ratio(
    sort: &str,
    name: &str,
    most: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let start = format!("{name} max limit to request ratio per {sort} is {most}");
    let some = |all: &Amounts| all.get(name).copied().filter(|amount| !amount.is_zero());
    let Some(request) = some(requests) else {
        return Some(format!(
            "{start}, but no request is specified or request is 0"
        ));
    };
    let Some(limit) = some(limits) else {
        return Some(format!("{start}, but no limit is specified or limit is 0"));
    };
    let (limit, request) = (limit.nanos() as f64, request.nanos() as f64);
    let provided = limit / request;
    (provided > most.nanos() as f64 / 1e9)
        .then(|| format!("{start}, but provided ratio is {provided:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn range(limit: Value) -> Value {
        json!({"spec": {"limits": [limit]}})
    }

    #[test]
    fn defaults_are_filled_in_and_told() {
        let range = range(
            json!({"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "1Mi"}, "default": {"cpu": "1"}}),
        );
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "a", "resources": {"requests": {"cpu": "50m"}}}, {"name": "b"}]}});
        fill_in(&range, &mut pod);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"requests": {"cpu": "50m", "memory": "1Mi"}, "limits": {"cpu": "1"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: memory request for container a; cpu limit for container a; cpu, memory request for container b; cpu limit for container b"
        );
    }

    #[test]
    fn bounds() {
        let pod = |requests: Value, limits: Value| json!({"spec": {"containers": [{"name": "c", "resources": {"requests": requests, "limits": limits}}]}});
        let container = |field: &str| range(json!({"type": "Container", field: {"cpu": "500m"}}));
        for (range, pod, expected) in [
            (
                container("min"),
                pod(json!({"cpu": "100m"}), json!({})),
                "minimum cpu usage per Container is 500m, but request is 100m",
            ),
            (
                container("min"),
                pod(json!({}), json!({})),
                "minimum cpu usage per Container is 500m.  No request is specified",
            ),
            (
                container("max"),
                pod(json!({"cpu": "1"}), json!({"cpu": "1"})),
                "maximum cpu usage per Container is 500m, but limit is 1",
            ),
            (
                container("max"),
                pod(json!({}), json!({})),
                "maximum cpu usage per Container is 500m.  No limit is specified",
            ),
            (
                range(json!({"type": "Pod", "maxLimitRequestRatio": {"cpu": "2"}})),
                pod(json!({"cpu": "1"}), json!({"cpu": "3"})),
                "cpu max limit to request ratio per Pod is 2, but provided ratio is 3.000000",
            ),
        ] {
            assert_eq!(check(&range, "Pod", &pod), [expected]);
        }
        let claim = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
        let range = range(json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}));
        assert_eq!(
            check(&range, "PersistentVolumeClaim", &claim),
            ["maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"]
        );
        assert!(check(&range, "Pod", &claim).is_empty());
    }
}
