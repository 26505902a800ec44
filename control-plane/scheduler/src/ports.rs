//! Ports of the node that pods ask for: upstream's NodePorts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{Container, Pod};

/// Stands for every address of the node.
const ANY: &str = "0.0.0.0";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    protocol: String,
    number: i32,
    ip: String,
}

/// What a pod asks for. Init containers that end have no ports: nobody is served before the pod runs.
pub(crate) fn host_ports(pod: &Pod) -> BTreeSet<HostPort> {
    let containers = pod.spec.iter().flat_map(|spec| {
        let init = spec.init_containers.iter().flatten();
        spec.containers.iter().chain(init.filter(is_sidecar))
    });
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let asked = ports.filter_map(|port| {
        let or = |value: &Option<String>, default: &str| {
            let value = value.as_deref().filter(|value| !value.is_empty());
            value.unwrap_or(default).to_string()
        };
        Some(HostPort {
            protocol: or(&port.protocol, "TCP"),
            number: port.host_port.filter(|number| *number > 0)?,
            ip: or(&port.host_ip, ANY),
        })
    });
    asked.collect()
}

fn is_sidecar(container: &&Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The ports of a node that pods have: by protocol and number, how many have it on each address.
#[derive(Debug, Clone, Default)]
pub(crate) struct TakenPorts(HashMap<(String, i32), BTreeMap<String, usize>>);

impl TakenPorts {
    pub(crate) fn take(&mut self, port: &HostPort) {
        let key = (port.protocol.clone(), port.number);
        let addresses = self.0.entry(key).or_default();
        *addresses.entry(port.ip.clone()).or_default() += 1;
    }

    pub(crate) fn give_back(&mut self, port: &HostPort) {
        let key = (port.protocol.clone(), port.number);
        let Some(addresses) = self.0.get_mut(&key) else {
            return;
        };
        if let Some(count) = addresses.get_mut(&port.ip) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&port.ip);
            }
        }
        if addresses.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Whether somebody has the port on the address, or on all of them.
    pub(crate) fn conflicts(&self, port: &HostPort) -> bool {
        let addresses = self.0.get(&(port.protocol.clone(), port.number));
        addresses.is_some_and(|addresses| {
            port.ip == ANY || addresses.contains_key(ANY) || addresses.contains_key(&port.ip)
        })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cluster, pod, refusals};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(taken: Value, wanted: Value, conflict: bool) {
        let why = "node(s) didn't have free ports for the requested pod ports";
        let expected = if conflict { why } else { "" };
        let running =
            json!([{"on": "a", "spec": {"containers": [{"name": "c", "ports": [taken]}]}}]);
        let snapshot = cluster(&json!({"a": {}}), &running);
        let with = |spec: Value| refusals(&snapshot, &pod(&json!({"name": "new", "spec": spec})));
        let container = json!({"name": "c", "ports": [wanted]});
        assert_eq!(with(json!({"containers": [container]})), [expected]);
        let mut init = container;
        assert_eq!(with(json!({"initContainers": [init]})), [""]);
        init["restartPolicy"] = json!("Always");
        assert_eq!(with(json!({"initContainers": [init]})), [expected]);
    }

    #[test]
    fn a_port_is_taken_on_an_address_or_on_all() {
        let on = |ip: &str| json!({"hostPort": 80, "hostIP": ip});
        check(json!({"hostPort": 80}), json!({"hostPort": 80}), true);
        check(json!({"hostPort": 80}), json!({"hostPort": 81}), false);
        check(json!({"hostPort": 80}), json!({"containerPort": 80}), false);
        check(
            json!({"hostPort": 80, "protocol": "UDP"}),
            json!({"hostPort": 80}),
            false,
        );
        check(on("127.0.0.1"), on("10.0.0.1"), false);
        check(on("127.0.0.1"), on("127.0.0.1"), true);
        check(on("127.0.0.1"), on("0.0.0.0"), true);
        check(on("127.0.0.1"), on(""), true);
        check(on("0.0.0.0"), on("127.0.0.1"), true);
        check(json!({"hostPort": 80}), on("127.0.0.1"), true);
    }

    #[test]
    fn nothing_is_kept_of_ports_that_are_given_back() {
        let port = HostPort {
            protocol: "TCP".to_string(),
            number: 80,
            ip: ANY.to_string(),
        };
        let mut taken = TakenPorts::default();
        taken.take(&port);
        taken.take(&port);
        taken.give_back(&port);
        assert!(taken.conflicts(&port));
        taken.give_back(&port);
        assert!(taken.is_empty());
    }
}
