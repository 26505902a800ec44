//! Defaults of pods.

use serde_json::{Map, Value, json};

use crate::object::{self, flag, get, items, set, set_default, text};
use crate::quantity::Quantity;

use super::{container, default_text, each, volume};

/// Resources a pod as a whole may request; containers share them.
const POD_LEVEL: [&str; 2] = ["cpu", "memory"];

pub(super) fn apply(pod: &mut Value) {
    set_default(pod, "spec", Map::new());
    object::set_default(pod, "spec.enableServiceLinks", true);
    let host_network = flag(pod, "spec.hostNetwork");
    each(pod, "spec.volumes", volume::apply);
    for list in ["spec.initContainers", "spec.containers"] {
        each(pod, list, |one| {
            container::apply(one);
            container::requests_from_limits(one);
            if host_network {
                container::host_ports(one);
            }
        });
    }
    each(pod, "spec.ephemeralContainers", container::apply);
    pod_requests(pod);
    default_text(pod, "spec.restartPolicy", "Always");
    set_default(pod, "spec.terminationGracePeriodSeconds", 30);
    default_text(pod, "spec.dnsPolicy", "ClusterFirst");
    mirror_service_account(pod);
    set_default(pod, "spec.securityContext", Map::new());
    default_text(pod, "spec.schedulerName", "default-scheduler");
}

/// `serviceAccount` is the old name of `serviceAccountName`; readers may look at either.
pub(super) fn mirror_service_account(pod: &mut Value) {
    let mut name = text(pod, "spec.serviceAccountName").to_owned();
    if name.is_empty() {
        name = text(pod, "spec.serviceAccount").to_owned();
    }
    if !name.is_empty() {
        set(pod, "spec.serviceAccountName", name.as_str());
        set(pod, "spec.serviceAccount", name);
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
