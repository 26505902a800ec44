//! Defaults of pods.

use serde_json::{Map, Value, json};

use crate::object::{self, flag, get, items, set, set_default, text};
use crate::quantity::Quantity;

use super::{container, each, template, within};

/// Resources a pod as a whole may request; containers share them.
const POD_LEVEL: [&str; 2] = ["cpu", "memory"];

pub(super) fn apply(pod: &mut Value) {
    set_default(pod, "spec", Map::new());
    within(pod, "spec", template::spec);
    // What follows is for pods alone: a template says only what its author said.
    object::set_default(pod, "spec.enableServiceLinks", true);
    let host_network = flag(pod, "spec.hostNetwork");
    for list in ["spec.initContainers", "spec.containers"] {
        each(pod, list, |one| {
            container::requests_from_limits(one);
            if host_network {
                container::host_ports(one);
            }
        });
    }
    pod_requests(pod);
    addresses(pod);
}

/// The older field is the first of the newer list, whichever the client set; where they differ, the older one counts.
fn addresses(pod: &mut Value) {
    let single = text(pod, "status.podIP").to_owned();
    let first = items(pod, "status.podIPs").first();
    let first = first.map(|one| text(one, "ip").to_owned());
    match (single.is_empty(), first) {
        (true, Some(first)) if !first.is_empty() => set(pod, "status.podIP", first),
        (false, first) if first.as_ref() != Some(&single) => {
            set(pod, "status.podIPs", json!([{ "ip": single }]));
        }
        _ => {}
    }
}

/// Requests of the pod as a whole: the sum of its containers', else its limits.
fn pod_requests(pod: &mut Value) {
    if object::is_empty(pod, "spec.resources.limits") {
        return;
    }
    for resource in POD_LEVEL {
        let key = |list: &str| format!("spec.resources.{list}.{resource}");
        if get(pod, &key("requests")).is_some() {
            continue;
        }
        let default = match container_requests(pod, resource) {
            Some(sum) => json!(sum.to_string()),
            None => match get(pod, &key("limits")) {
                Some(limit) => limit.clone(),
                None => continue,
            },
        };
        set(pod, &key("requests"), default);
    }
}

/// What the containers request together: all that run at once, or the largest init container.
fn container_requests(pod: &Value, resource: &str) -> Option<Quantity> {
    let request = |one: &Value| {
        let value = get(one, &format!("resources.requests.{resource}"))?;
        Quantity::from_value(value).ok()
    };
    let add = |sum: Option<Quantity>, more: Option<Quantity>| match (sum, more) {
        (Some(sum), Some(more)) => Some(sum + more),
        (sum, more) => sum.or(more),
    };
    let mut running = items(pod, "spec.containers")
        .iter()
        .fold(None, |sum, one| add(sum, request(one)));
    let (mut sidecars, mut peak) = (None, None);
    for one in items(pod, "spec.initContainers") {
        let own = request(one);
        if text(one, "restartPolicy") == "Always" {
            running = add(running, own);
            sidecars = add(sidecars, own);
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(add(sidecars, own));
        }
    }
    running.max(peak)
}
