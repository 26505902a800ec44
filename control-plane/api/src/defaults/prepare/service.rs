//! What an update of a service keeps of what the service was given, and what goes when its type changes.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::object::{self, get, is_empty, items, items_mut, remove, set, text};

use super::carry;

/// A client that replaces a service need not know what it was given, and one that changes its type need not take away
/// what the old type was given. What it changed itself stays, for validation to judge.
pub(super) fn update(new: &mut Value, old: &Value) {
    addresses(new, old);
    if has_node_ports(new) && has_node_ports(old) {
        keep_node_ports(new, old);
    }
    if checks_health(new) && checks_health(old) && is_empty(new, "spec.healthCheckNodePort") {
        carry(new, old, "spec.healthCheckNodePort");
    }
    drop_by_type(new, old);
}

/// The two spellings of the address follow each other, the singular one first.
fn addresses(new: &mut Value, old: &Value) {
    const SINGULAR: &str = "spec.clusterIP";
    const PLURAL: &str = "spec.clusterIPs";
    if !has_address(new) || !has_address(old) {
        return;
    }
    if is_empty(new, SINGULAR) {
        carry(new, old, SINGULAR);
        if is_empty(new, PLURAL) {
            carry(new, old, PLURAL);
        }
    } else if text(new, SINGULAR) != text(old, SINGULAR) && get(new, PLURAL) == get(old, PLURAL) {
        let only = json!([text(new, SINGULAR)]);
        set(new, PLURAL, only);
    }
}

/// Ports are known by their names; the only port of a service may have none.
fn keep_node_ports(new: &mut Value, old: &Value) {
    let before: HashMap<&str, i64> = items(old, "spec.ports")
        .iter()
        .map(|port| (text(port, "name"), node_port(port)))
        .collect();
    let mut taken: HashSet<i64> = items(new, "spec.ports").iter().map(node_port).collect();
    for port in items_mut(new, "spec.ports") {
        let number = before.get(text(port, "name")).copied().unwrap_or(0);
        if node_port(port) == 0 && number != 0 && taken.insert(number) {
            set(port, "nodePort", number);
        }
    }
}

fn drop_by_type(new: &mut Value, old: &Value) {
    let node_ports = |service: &Value| -> HashSet<i64> {
        let numbers = items(service, "spec.ports").iter().map(node_port);
        numbers.filter(|number| *number != 0).collect()
    };
    let only_given = node_ports(new).is_subset(&node_ports(old));
    if has_node_ports(old) && !has_node_ports(new) && only_given {
        for port in items_mut(new, "spec.ports") {
            remove(port, "nodePort");
        }
    }
    let was = |judge: fn(&Value) -> bool| judge(old) && !judge(new);
    let gone = [
        ("spec.healthCheckNodePort", was(checks_health)),
        ("spec.allocateLoadBalancerNodePorts", was(is_balanced)),
        ("spec.loadBalancerClass", was(is_balanced)),
        ("spec.externalTrafficPolicy", was(is_external)),
    ];
    for (field, goes) in gone {
        if goes && get(new, field) == get(old, field) {
            remove(new, field);
        }
    }
    if !is_balanced(new) {
        set(new, "status.loadBalancer", json!({}));
    }
}

fn node_port(port: &Value) -> i64 {
    object::int(port, "nodePort").unwrap_or(0)
}

fn has_address(service: &Value) -> bool {
    has_node_ports(service) || text(service, "spec.type") == "ClusterIP"
}

fn has_node_ports(service: &Value) -> bool {
    is_balanced(service) || text(service, "spec.type") == "NodePort"
}

fn is_balanced(service: &Value) -> bool {
    text(service, "spec.type") == "LoadBalancer"
}

/// Whether load balancers ask each node if it has a pod of the service.
pub fn checks_health(service: &Value) -> bool {
    is_balanced(service) && text(service, "spec.externalTrafficPolicy") == "Local"
}

/// Whether it is reached from outside the cluster.
fn is_external(service: &Value) -> bool {
    has_node_ports(service)
        || text(service, "spec.type") == "ClusterIP" && !is_empty(service, "spec.externalIPs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_type_was_given_goes_with_it() {
        let service = |spec: Value| json!({"spec": spec, "status": {"loadBalancer": {}}});
        let old = service(
            json!({"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "externalTrafficPolicy": "Cluster", "ports": [{"port": 80, "nodePort": 30000}]}),
        );
        let mut new = old.clone();
        set(&mut new, "spec.type", "ClusterIP");
        update(&mut new, &old);
        let expected = service(json!({"type": "ClusterIP", "clusterIP": "10.0.0.1",
            "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80}]}));
        assert_eq!(new, expected);
        // Nor need it know all that was given.
        let mut new = old.clone();
        set(&mut new, "spec.type", "ClusterIP");
        set(
            &mut new,
            "spec.ports",
            json!([{"port": 80, "nodePort": 30000}, {"port": 81}]),
        );
        update(&mut new, &old);
        assert_eq!(new["spec"]["ports"], json!([{"port": 80}, {"port": 81}]));
        // What the client asks for itself is not forgotten in silence.
        let mut new = old.clone();
        set(&mut new, "spec.type", "ClusterIP");
        set(
            &mut new,
            "spec.ports",
            json!([{"port": 80, "nodePort": 30001}]),
        );
        update(&mut new, &old);
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30001);
    }

    #[test]
    fn a_port_keeps_its_node_port_by_name() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30000}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 81}]}});
        update(&mut new, &old);
        assert_eq!(
            new["spec"]["ports"],
            json!([{"port": 81, "nodePort": 30000}])
        );
        assert_eq!(new["spec"]["clusterIP"], "10.0.0.1");
    }

    #[test]
    fn the_spellings_of_the_address_follow_each_other() {
        let old = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}});
        let mut new = old.clone();
        set(&mut new, "spec.clusterIP", "10.0.0.2");
        update(&mut new, &old);
        assert_eq!(new["spec"]["clusterIPs"], json!(["10.0.0.2"]));
    }
}
