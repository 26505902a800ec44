//! Resource quotas: what an object counts for, which quotas it counts against, and whether there is room.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::amounts::{self, Amounts};
use crate::defaults::qos_class;
use crate::names;
use crate::object::{self, get, int, is_empty, items, text};
use crate::quantity::Quantity;
use crate::resource::Resource;
use crate::selector::LabelSelector;
use crate::time;

/// Kinds that are counted under a name of their own, too.
const ALIASES: [&str; 4] = [
    "configmaps",
    "resourcequotas",
    "replicationcontrollers",
    "secrets",
];
const CLASS: &str = ".storageclass.storage.k8s.io/";
const DEVICES: &str = ".deviceclass.resource.k8s.io/devices";
/// What a request for all devices of a class may come to.
const MOST_DEVICES: i64 = 32;
/// Resources every container must speak of once a quota does.
const REQUIRED: [&str; 6] = [
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
];

/// The name under which all objects of a kind are counted.
pub fn count_name(resource: &Resource) -> String {
    match resource.group {
        "" => format!("count/{}", resource.plural),
        group => format!("count/{}.{group}", resource.plural),
    }
}

/// What an object counts for.
pub fn usage(resource: &Resource, value: &Value, now: Timestamp) -> Amounts {
    let one = Quantity::from_units(1);
    let mut all = Amounts::from([(count_name(resource), one)]);
    match (resource.group, resource.plural) {
        ("", "pods") if is_running(value, now) => {
            let (requests, limits) = (
                amounts::of_pod_in_all(value, "requests"),
                amounts::of_pod_in_all(value, "limits"),
            );
            all.extend(computing(&requests, &limits));
        }
        ("", "services") => services(value, &mut all),
        ("", "persistentvolumeclaims") => claims(value, &mut all),
        ("resource.k8s.io", "resourceclaims") => devices(value, &mut all),
        ("", plural) if ALIASES.contains(&plural) => {
            all.insert(plural.to_owned(), one);
        }
        _ => {}
    }
    all
}

fn is_running(pod: &Value, now: Timestamp) -> bool {
    if matches!(text(pod, "status.phase"), "Failed" | "Succeeded") {
        return false;
    }
    let grace = int(pod, "metadata.deletionGracePeriodSeconds").unwrap_or(0);
    let gone = object::deletion_timestamp(pod)
        .and_then(time::parse)
        .and_then(|at| at.checked_add(SignedDuration::from_secs(grace)).ok());
    gone.is_none_or(|gone| now <= gone)
}

/// What a pod, or a container of one, counts for beside being there.
fn computing(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut all = Amounts::from([("pods".to_owned(), Quantity::from_units(1))]);
    for (name, amount) in requests {
        let native = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if native || name.starts_with("hugepages-") {
            all.insert(name.clone(), *amount);
        }
        if native || name.starts_with("hugepages-") || is_extended(name) {
            all.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            all.insert(format!("limits.{name}"), *amount);
        }
    }
    all
}

fn is_extended(name: &str) -> bool {
    name.contains('/')
        && !name
            .split('/')
            .next()
            .is_some_and(|domain| domain == "kubernetes.io" || domain.ends_with(".kubernetes.io"))
        && names::qualified_name(name).is_empty()
}

fn services(service: &Value, all: &mut Amounts) {
    let ports = items(service, "spec.ports");
    let kind = text(service, "spec.type");
    let balanced = kind == "LoadBalancer";
    let allocates = get(service, "spec.allocateLoadBalancerNodePorts") != Some(&Value::Bool(false));
    let node_ports = match kind {
        "NodePort" => ports.len(),
        "LoadBalancer" if allocates => ports.len(),
        "LoadBalancer" => {
            let given = |port: &&Value| int(port, "nodePort").unwrap_or(0) != 0;
            ports.iter().filter(given).count()
        }
        _ => 0,
    };
    for (name, count) in [
        ("services", 1),
        ("services.loadbalancers", usize::from(balanced)),
        ("services.nodeports", node_ports),
    ] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        all.insert(name.to_owned(), Quantity::from_units(count));
    }
}

fn claims(claim: &Value, all: &mut Amounts) {
    let mut count = |name: &str, amount: Quantity| {
        let class = text(claim, "spec.storageClassName");
        if !class.is_empty() {
            all.insert(format!("{class}{CLASS}{name}"), amount);
        }
        all.insert(name.to_owned(), amount);
    };
    count("persistentvolumeclaims", Quantity::from_units(1));
    let requested = amounts::at(claim, "spec.resources.requests");
    let allocated = amounts::at(claim, "status.allocatedResources");
    if let Some(asked) = requested.get("storage") {
        let held = allocated.get("storage").filter(|held| *held > asked);
        count("requests.storage", *held.unwrap_or(asked));
    }
}

/// Devices by class, counted as if the largest choice were made.
fn devices(claim: &Value, all: &mut Amounts) {
    let count = |request: &Value| match text(request, "allocationMode") {
        "ExactCount" => int(request, "count").unwrap_or(0),
        "All" => MOST_DEVICES,
        _ => 0,
    };
    for request in items(claim, "spec.devices.requests") {
        let choices = items(request, "firstAvailable").iter();
        let mut most: BTreeMap<&str, i64> = BTreeMap::new();
        for choice in choices.chain(get(request, "exactly")) {
            let class = most.entry(text(choice, "deviceClassName")).or_default();
            *class = count(choice).max(*class);
        }
        let most = most
            .into_iter()
            .map(|(class, count)| (format!("{class}{DEVICES}"), Quantity::from_units(count)));
        amounts::add(all, &most.collect());
    }
}

/// Which of a quota's resources objects of a kind count against.
pub fn concerns(resource: &Resource, name: &str) -> bool {
    let own = name == count_name(resource);
    match (resource.group, resource.plural) {
        ("", "pods") => {
            let plain = name
                .strip_prefix("requests.")
                .or(name.strip_prefix("limits."));
            let known = |name: &str| matches!(name, "cpu" | "memory" | "ephemeral-storage");
            own || name == "pods"
                || known(name)
                || plain.is_some_and(known)
                || name.starts_with("hugepages-")
                || name
                    .strip_prefix("requests.")
                    .is_some_and(|name| name.starts_with("hugepages-") || is_extended(name))
        }
        ("", "services") => {
            own || matches!(
                name,
                "services" | "services.loadbalancers" | "services.nodeports"
            )
        }
        ("", "persistentvolumeclaims") => {
            let storage =
                |name: &str| matches!(name, "persistentvolumeclaims" | "requests.storage");
            own || storage(name)
                || name
                    .split_once(CLASS)
                    .is_some_and(|(_, name)| storage(name))
        }
        ("resource.k8s.io", "resourceclaims") => own || name.ends_with(DEVICES),
        ("", plural) if ALIASES.contains(&plural) => own || name == plural,
        _ => own,
    }
}

/// Whether an object counts against a quota with these hard limits.
pub fn matches(resource: &Resource, quota: &Value, hard: &Amounts, value: &Value) -> bool {
    hard.keys().any(|name| concerns(resource, name)) && in_scope(resource, quota, value)
}

fn in_scope(resource: &Resource, quota: &Value, value: &Value) -> bool {
    let scopes = items(quota, "spec.scopes").iter().filter_map(Value::as_str);
    let plain = scopes.map(|scope| (scope, None));
    let selected = items(quota, "spec.scopeSelector.matchExpressions")
        .iter()
        .map(|term| (text(term, "scopeName"), Some(term)));
    let pods = resource.group.is_empty() && resource.plural == "pods";
    let claims = resource.group.is_empty() && resource.plural == "persistentvolumeclaims";
    plain.chain(selected).all(|(scope, term)| match scope {
        "VolumeAttributesClass" if claims => {
            selects(term, text(value, "spec.volumeAttributesClassName"))
        }
        _ if !pods => false,
        "Terminating" => is_terminating(value),
        "NotTerminating" => !is_terminating(value),
        "BestEffort" => qos_class(value) == "BestEffort",
        "NotBestEffort" => qos_class(value) != "BestEffort",
        "PriorityClass" => selects(term, text(value, "spec.priorityClassName")),
        "CrossNamespacePodAffinity" => crosses_namespaces(value),
        _ => false,
    })
}

/// Whether the pod is meant to end by itself: upstream's word for it.
pub fn is_terminating(pod: &Value) -> bool {
    int(pod, "spec.activeDeadlineSeconds").is_some_and(|seconds| seconds >= 0)
}

fn selects(term: Option<&Value>, name: &str) -> bool {
    const KEY: &str = "class";
    let Some(term) = term else {
        return !name.is_empty();
    };
    let mut expression = term.clone();
    object::set(&mut expression, "key", KEY);
    let selector = serde_json::json!({ "matchExpressions": [expression] });
    let value = (!name.is_empty()).then_some(name);
    LabelSelector::from_match(&selector)
        .is_ok_and(|selector| selector.matches(|key| value.filter(|_| key == KEY)))
}

fn crosses_namespaces(pod: &Value) -> bool {
    let crosses =
        |term: &Value| !is_empty(term, "namespaces") || get(term, "namespaceSelector").is_some();
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let base = format!("spec.affinity.{kind}");
        let required = items(
            pod,
            &format!("{base}.requiredDuringSchedulingIgnoredDuringExecution"),
        );
        let preferred = items(
            pod,
            &format!("{base}.preferredDuringSchedulingIgnoredDuringExecution"),
        );
        required.iter().any(crosses)
            || preferred
                .iter()
                .filter_map(|term| get(term, "podAffinityTerm"))
                .any(crosses)
    })
}

/// What a pod must say because a quota with these hard limits is there, if it does not.
pub fn unspecified(hard: &Amounts, pod: &Value) -> Option<String> {
    if !is_empty(pod, "spec.resources.requests") || !is_empty(pod, "spec.resources.limits") {
        return None;
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in ["spec.containers", "spec.initContainers"] {
        for container in items(pod, list) {
            let said = computing(
                &amounts::at(container, "resources.requests"),
                &amounts::at(container, "resources.limits"),
            );
            let required = REQUIRED.iter().filter(|name| hard.contains_key(**name));
            for name in required.filter(|name| !said.contains_key(**name)) {
                missing
                    .entry(name)
                    .or_default()
                    .insert(text(container, "name"));
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let parts: Vec<String> = missing
        .iter()
        .map(|(name, containers)| {
            let containers: Vec<&str> = containers.iter().copied().collect();
            format!("{name} for: {}", containers.join(","))
        })
        .collect();
    Some(format!("must specify {}", parts.join("; ")))
}

/// What is used once `delta` is added, or why that is too much.
pub fn charge(
    name: &str,
    hard: &Amounts,
    used: &Amounts,
    delta: &Amounts,
) -> Result<Amounts, String> {
    let requested: Amounts = delta
        .iter()
        .filter(|(resource, _)| hard.contains_key(*resource))
        .map(|(resource, amount)| (resource.clone(), *amount))
        .collect();
    let mut sum = used.clone();
    amounts::add(&mut sum, &requested);
    let exceeded: Vec<&String> = requested
        .keys()
        .filter(|resource| sum.get(*resource) > hard.get(*resource))
        .collect();
    if exceeded.is_empty() {
        return Ok(sum);
    }
    let masked = |all: &Amounts| -> Amounts {
        let kept = all
            .iter()
            .filter(|(resource, _)| exceeded.contains(resource));
        kept.map(|(resource, amount)| (resource.clone(), *amount))
            .collect()
    };
    Err(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        amounts::shown(&masked(&requested)),
        amounts::shown(&masked(used)),
        amounts::shown(&masked(hard)),
    ))
}

/// How much more an object counts for than it did. Less counts for nothing: what is given back is counted anew.
pub fn increase(new: &Amounts, old: &Amounts) -> Amounts {
    new.iter()
        .filter_map(|(name, amount)| {
            let before = old.get(name).copied().unwrap_or_default();
            (*amount > before).then(|| (name.clone(), *amount - before))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::find;
    use serde_json::json;

    fn amounts_of(value: Value) -> Amounts {
        amounts::at(&json!({ "x": value }), "x")
    }

    #[test]
    fn objects_are_counted() {
        let now = Timestamp::UNIX_EPOCH;
        let row = |group, plural| find(group, "v1", plural).expect(plural);
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {
            "requests": {"cpu": "1", "example.com/gpu": "2"}, "limits": {"cpu": "2", "example.com/gpu": "2"}}}]}});
        assert_eq!(
            amounts::shown(&usage(row("", "pods"), &pod, now)),
            "count/pods=1,cpu=1,limits.cpu=2,pods=1,requests.cpu=1,requests.example.com/gpu=2"
        );
        let mut heavy = pod.clone();
        heavy["spec"]["overhead"] = json!({"cpu": "500m", "memory": "1Mi"});
        assert_eq!(
            amounts::shown(&usage(row("", "pods"), &heavy, now)),
            "count/pods=1,cpu=1500m,limits.cpu=2500m,memory=1Mi,pods=1,requests.cpu=1500m,requests.example.com/gpu=2,requests.memory=1Mi"
        );
        let mut done = pod.clone();
        done["status"] = json!({"phase": "Succeeded"});
        assert_eq!(
            amounts::shown(&usage(row("", "pods"), &done, now)),
            "count/pods=1"
        );
        let service =
            json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}});
        assert_eq!(
            amounts::shown(&usage(row("", "services"), &service, now)),
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"
        );
        let claim = json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(
            amounts::shown(&usage(row("", "persistentvolumeclaims"), &claim, now)),
            "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
             gold.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi"
        );
        let claim = json!({"spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
            {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
            {"name": "c", "firstAvailable": [
                {"name": "x", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1},
                {"name": "y", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3},
                {"name": "z", "deviceClassName": "tpu", "allocationMode": "ExactCount", "count": 1}]}]}}});
        let claims = row("resource.k8s.io", "resourceclaims");
        assert_eq!(
            amounts::shown(&usage(claims, &claim, now)),
            "count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=5,\
             nic.deviceclass.resource.k8s.io/devices=32,tpu.deviceclass.resource.k8s.io/devices=1"
        );
        assert!(concerns(claims, "gpu.deviceclass.resource.k8s.io/devices"));
        assert_eq!(
            amounts::shown(&usage(row("", "secrets"), &json!({}), now)),
            "count/secrets=1,secrets=1"
        );
        assert_eq!(
            amounts::shown(&usage(row("apps", "deployments"), &json!({}), now)),
            "count/deployments.apps=1"
        );
    }

    #[test]
    fn scopes() {
        let pods = find("", "v1", "pods").expect("pods");
        let hard = amounts_of(json!({"pods": "1"}));
        let best = json!({"spec": {"containers": [{"name": "c"}]}});
        let burst = json!({"spec": {"activeDeadlineSeconds": 1, "priorityClassName": "high",
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}});
        let selected = |operator: &str, values: Value| {
            json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}}})
        };
        for (quota, in_best, in_burst) in [
            (json!({}), true, true),
            (json!({"spec": {"scopes": ["BestEffort"]}}), true, false),
            (
                json!({"spec": {"scopes": ["NotBestEffort", "Terminating"]}}),
                false,
                true,
            ),
            (json!({"spec": {"scopes": ["NotTerminating"]}}), true, false),
            (selected("In", json!(["high"])), false, true),
            (selected("NotIn", json!(["high"])), true, false),
            (selected("Exists", json!([])), false, true),
        ] {
            assert_eq!(matches(pods, &quota, &hard, &best), in_best, "{quota}");
            assert_eq!(matches(pods, &quota, &hard, &burst), in_burst, "{quota}");
        }
        assert!(!matches(
            pods,
            &json!({}),
            &amounts_of(json!({"services": "1"})),
            &best
        ));
    }

    #[test]
    fn room() {
        let (hard, used) = (
            amounts_of(json!({"pods": "2", "cpu": "1"})),
            amounts_of(json!({"pods": "1", "cpu": "900m"})),
        );
        let delta = amounts_of(json!({"pods": "1", "cpu": "200m", "memory": "1Gi"}));
        assert_eq!(
            charge("q", &hard, &used, &delta),
            Err(
                "exceeded quota: q, requested: cpu=200m, used: cpu=900m, limited: cpu=1".to_owned()
            )
        );
        let small = amounts_of(json!({"pods": "1", "cpu": "100m"}));
        assert_eq!(
            charge("q", &hard, &used, &small).map(|sum| amounts::shown(&sum)),
            Ok("cpu=1,pods=2".to_owned())
        );
        assert_eq!(
            amounts::shown(&increase(&delta, &small)),
            "cpu=100m,memory=1Gi"
        );
        let pod = json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}});
        assert_eq!(
            unspecified(
                &amounts_of(json!({"requests.cpu": "1", "limits.memory": "1", "pods": "1"})),
                &pod
            )
            .as_deref(),
            Some("must specify limits.memory for: a,b; requests.cpu for: a,b")
        );
    }
}
