//! Pods and templates of pods.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{COMPARED, MOST, Told, nodes, volumes};
use crate::object::{entries, get, int, items, part, text};

/// In the order upstream visits them in.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];

/// A pod or a template. `at` is where it is, with its dot: empty for a pod.
pub(super) fn look(told: &mut Told, at: &str, pod: &Value) {
    nodes::look(told, at, pod);
    annotations(told, at, pod);
    volumes::look(told, at, pod);
    repeated(told, at, pod);
    for resource in BYTES {
        let overhead = part(pod, "spec.overhead");
        told.whole(overhead, &format!("{at}spec.overhead"), resource);
    }
    for (path, container) in containers(at, pod) {
        of_container(told, at, pod, &path, container);
    }
    ports(told, at, pod);
    if int(pod, "spec.terminationGracePeriodSeconds").is_some_and(|grace| grace < 0) {
        told.add(format!(
            "{at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    affinity(told, at, pod);
}

impl Told {
    /// Who selects with nothing selects nothing, which is seldom meant.
    pub(super) fn selector(&mut self, holder: &Value, path: &str) {
        if get(holder, "labelSelector").is_none() {
            self.add(format!(
                "{path}.labelSelector: a null labelSelector results in matching no pod"
            ));
        }
    }
}

/// Each container with its path.
fn containers<'a>(at: &'a str, pod: &'a Value) -> impl Iterator<Item = (String, &'a Value)> {
    CONTAINERS.into_iter().flat_map(move |list| {
        let all = items(part(pod, "spec"), list).iter().enumerate();
        all.map(move |(index, container)| (format!("{at}spec.{list}[{index}]"), container))
    })
}

fn annotations(told: &mut Told, at: &str, pod: &Value) {
    let sysctls = "non-functional in v1.11+; use the \"sysctls\" field instead";
    for (key, why) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        ("security.alpha.kubernetes.io/sysctls", sysctls),
        ("security.alpha.kubernetes.io/unsafe-sysctls", sysctls),
    ] {
        annotation(told, at, pod, key, why);
    }
    if get(pod, "spec.securityContext.seccompProfile").is_none() {
        let key = "seccomp.security.alpha.kubernetes.io/pod";
        annotation(told, at, pod, key, SECCOMP);
    }
}

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

fn annotation(told: &mut Told, at: &str, pod: &Value, key: &str, why: &str) {
    if crate::object::annotation(pod, key).is_some() {
        told.add(format!("{at}metadata.annotations[{key}]: {why}"));
    }
}

/// What a list names twice, or not at all.
fn repeated(told: &mut Told, at: &str, pod: &Value) {
    for (list, field) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = HashSet::new();
        for (index, item) in items(part(pod, "spec"), list).iter().enumerate() {
            let value = text(item, field);
            if !seen.insert(value) {
                told.add(format!(
                    "{at}spec.{list}[{index}].{field}: duplicate {field} {value:?}"
                ));
            }
        }
    }
    for (index, secret) in items(pod, "spec.imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            told.add(format!(
                "{at}spec.imagePullSecrets[{index}].name: invalid empty name \"\""
            ));
        }
    }
}

fn of_container(told: &mut Told, at: &str, pod: &Value, path: &str, container: &Value) {
    let name = text(container, "name");
    if get(container, "securityContext.seccompProfile").is_none() {
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
        annotation(told, at, pod, &key, SECCOMP);
    }
    // One that says what the pod's own profile says is no news, which is not looked into here.
    let profile = "securityContext.appArmorProfile";
    if get(container, profile)
        .or(get(part(pod, "spec"), profile))
        .is_none()
    {
        let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
        let why = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
        annotation(told, at, pod, &key, why);
    }
    for resource in BYTES {
        for list in ["limits", "requests"] {
            let amounts = part(container, &format!("resources.{list}"));
            told.whole(amounts, &format!("{path}.resources.{list}"), resource);
        }
    }
    let mut seen = HashSet::new();
    for (index, variable) in items(container, "env").iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        if seen.insert(name) {
            continue;
        }
        // One that goes on from what was there before hides nothing.
        let before = format!("$({name})");
        let goes_on = get(variable, "valueFrom").is_none() && value != before;
        if !goes_on || !value.contains(&before) {
            told.add(format!(
                "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

/// A container's port, with its path.
struct Port<'a> {
    path: String,
    host_port: i64,
    host_ip: &'a str,
}

fn ports(told: &mut Told, at: &str, pod: &Value) {
    let mut by_number: HashMap<(i64, &str), Vec<Port>> = HashMap::new();
    let mut by_name: HashMap<&str, String> = HashMap::new();
    let mut names = Vec::new();
    for (path, container) in containers(at, pod) {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let path = format!("{path}.ports[{index}]");
            let number = int(port, "containerPort").unwrap_or(0);
            let protocol = match text(port, "protocol") {
                "" => "TCP",
                protocol => protocol,
            };
            let new = Port {
                host_port: int(port, "hostPort").unwrap_or(0),
                host_ip: text(port, "hostIP"),
                path,
            };
            let name = text(port, "name");
            if !new.host_ip.is_empty() && new.host_port == 0 {
                told.add(format!(
                    "{}: hostIP set without hostPort: {{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{}}}",
                    new.path, new.host_ip
                ));
            }
            if let Some(other) = by_name.get(name).filter(|_| names.len() < MOST) {
                names.push(format!(
                    "{}: duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}",
                    new.path
                ));
            } else if !name.is_empty() {
                by_name.entry(name).or_insert_with(|| new.path.clone());
            }
            let others = by_number.entry((number, protocol)).or_default();
            for other in others.iter() {
                new.beside(other, told);
            }
            if others.len() < COMPARED {
                others.push(new);
            }
        }
    }
    names.into_iter().for_each(|name| told.add(name));
}

impl Port<'_> {
    /// Another port of the same number and protocol.
    fn beside(&self, other: &Port, told: &mut Told) {
        if told.is_full() {
            return;
        }
        let either_any = self.host_ip.is_empty() != other.host_ip.is_empty();
        let how = if (self.host_ip, self.host_port) == (other.host_ip, other.host_port) {
            "duplicate"
        } else if self.host_port == 0 || other.host_port == 0 {
            "overlapping"
        } else if self.host_port == other.host_port && either_any {
            "dangerously ambiguous"
        } else {
            return;
        };
        told.add(format!(
            "{}: {how} port definition with {}",
            self.path, other.path
        ));
    }
}

fn affinity(told: &mut Told, at: &str, pod: &Value) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = format!("spec.affinity.{kind}");
        for (list, terms) in entries(pod, &path) {
            let below = match list {
                "requiredDuringSchedulingIgnoredDuringExecution" => "",
                "preferredDuringSchedulingIgnoredDuringExecution" => ".podAffinityTerm",
                _ => continue,
            };
            let terms = terms.as_array().into_iter().flatten();
            for (index, term) in terms.enumerate() {
                let path = format!("{at}{path}.{list}[{index}]{below}");
                let term = match below {
                    "" => term,
                    _ => part(term, "podAffinityTerm"),
                };
                told.selector(term, &path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::of_new;
    use serde_json::json;

    #[test]
    fn containers_ports_and_variables() {
        let pod = json!({"metadata": {"name": "p", "annotations": {"seccomp.security.alpha.kubernetes.io/pod": "x",
                "container.apparmor.security.beta.kubernetes.io/b": "unconfined"}}, "spec": {
            "initContainers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web"}]}],
            "containers": [{"name": "b",
                "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A):3"}],
                "resources": {"requests": {"memory": "500m", "cpu": "500m"}},
                "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"},
                    {"containerPort": 80, "protocol": "TCP", "hostPort": 80}, {"containerPort": 81, "name": "web"}]}],
            "imagePullSecrets": [{"name": "s"}, {"name": "s"}, {}],
            "hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}});
        assert_eq!(
            of_new("pods", &pod),
            [
                "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
                "spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"",
                "spec.imagePullSecrets[1].name: duplicate name \"s\"",
                "spec.imagePullSecrets[2].name: invalid empty name \"\"",
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
                "spec.containers[0].resources.requests[memory]: fractional byte value \"500m\" is invalid, must be an integer",
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[0]: duplicate port definition with spec.initContainers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.initContainers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[3]: duplicate port name \"web\" with spec.initContainers[0].ports[0], services and probes that select ports by name will use spec.initContainers[0].ports[0]",
            ]
        );
    }

    #[test]
    fn nodes_and_selectors() {
        let pod = json!({"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux", "kubernetes.io/os": "linux"},
            "topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone", "labelSelector": {}},
                {"topologyKey": "a"}],
            "affinity": {
                "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"preference":
                    {"matchExpressions": [{"key": "a", "values": ["b", "-"]}]}}]},
                "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {}}]},
                "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}, {}]}}}});
        let told = of_new("pods", &pod);
        let null = "a null labelSelector results in matching no pod";
        assert_eq!(
            told[0],
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"
        );
        assert!(
            told[1].starts_with("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[1]: - is invalid, a valid label")
        );
        assert_eq!(
            told[2..],
            [
                "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead".to_owned(),
                format!("spec.topologySpreadConstraints[1].labelSelector: {null}"),
                format!("spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: {null}"),
                format!("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].labelSelector: {null}"),
            ]
        );
    }
}
