//! Names of resources that are counted: CPU, memory, devices, and objects themselves.

use crate::names;

pub(super) const HUGE_PAGES: &str = "hugepages-";

/// Counted in whole numbers.
const COUNTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const AMOUNTS: [&str; 10] = [
    "cpu",
    "ephemeral-storage",
    "memory",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
];
/// What a container may ask for without a domain prefix.
const OF_CONTAINERS: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

/// A name that may be counted at all.
pub(super) fn any(name: &str) -> Vec<String> {
    let mut wrong = names::qualified_name(name);
    if wrong.is_empty() && !name.contains('/') && name != "storage" && !of_quotas(name) {
        wrong.push("must be a standard resource type or fully qualified".to_owned());
    }
    wrong
}

/// What a quota may limit.
pub(super) fn quota(name: &str) -> Vec<String> {
    let mut wrong = any(name);
    if !name.contains('/') && !of_quotas(name) {
        wrong.push("must be a standard resource for quota".to_owned());
    }
    wrong
}

/// What a container may ask for.
pub(super) fn container(name: &str) -> Vec<String> {
    let mut wrong = any(name);
    if !name.contains('/') {
        if !OF_CONTAINERS.contains(&name) && !name.starts_with(HUGE_PAGES) {
            wrong.push("must be a standard resource for containers".to_owned());
        }
    } else if !native(name) && !extended(name) {
        wrong.push("doesn't follow extended resource name standard".to_owned());
    }
    wrong
}

/// Whether a quota knows the name without a domain prefix.
pub(super) fn of_quotas(name: &str) -> bool {
    let pages = name.strip_prefix("requests.").unwrap_or(name);
    COUNTS.contains(&name) || AMOUNTS.contains(&name) || pages.starts_with(HUGE_PAGES)
}

/// Whether half of one makes no sense.
pub(super) fn is_whole(name: &str) -> bool {
    COUNTS.contains(&name) || extended(name)
}

/// Whether more may be promised than there is.
pub(super) fn overcommits(name: &str) -> bool {
    native(name) && !name.starts_with(HUGE_PAGES)
}

fn native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Resources that nodes report and the system knows nothing else about.
pub(super) fn extended(name: &str) -> bool {
    !native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}
