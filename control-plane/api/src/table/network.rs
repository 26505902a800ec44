//! Tables of how pods are reached.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{get, int, items, text};

use super::format::{balancers, default_name, first, selector_cell, strings};
use super::{AGE, NAME, NONE, PLAIN, Printer, UNSET, age, column, name, or, shown};

pub(super) const ENDPOINTS: Printer = Printer {
    columns: &[
        NAME,
        column("Endpoints", "Addresses and ports that answer."),
        AGE,
    ],
    cells: |value, now| vec![name(value), json!(endpoints(value)), age(value, now)],
    ..PLAIN
};

pub(super) const ENDPOINT_SLICE: Printer = Printer {
    columns: &[
        NAME,
        column("AddressType", "What kind of addresses these are."),
        column("Ports", "Ports of every endpoint."),
        column("Endpoints", "Addresses that answer."),
        AGE,
    ],
    cells: endpoint_slice,
    ..PLAIN
};

pub(super) const INGRESS: Printer = Printer {
    columns: &[
        NAME,
        column("Class", "Class of the ingress, which says who serves it."),
        column("Hosts", "Hosts the rules are for."),
        column("Address", "Addresses that clients connect to."),
        column("Ports", "Ports that clients connect to."),
        AGE,
    ],
    cells: ingress,
    ..PLAIN
};

pub(super) const INGRESS_CLASS: Printer = Printer {
    columns: &[
        NAME,
        column("Controller", "Who serves ingresses of this class."),
        column("Parameters", "Object with more settings."),
        AGE,
    ],
    cells: ingress_class,
    ..PLAIN
};

/// The age has no column; clients of the API see it all the same, as upstream's do.
pub(super) const IP_ADDRESS: Printer = Printer {
    columns: &[NAME, column("ParentRef", "What the address is used by.")],
    cells: |value, now| vec![name(value), json!(parent(value)), age(value, now)],
    ..PLAIN
};

pub(super) const NETWORK_POLICY: Printer = Printer {
    columns: &[
        NAME,
        column("Pod-Selector", "Labels of the pods it is about."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            selector_cell(value, "spec.podSelector"),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) const SERVICE_CIDR: Printer = Printer {
    columns: &[
        NAME,
        column("CIDRs", "Ranges that services get addresses from."),
        AGE,
    ],
    cells: |value, now| {
        let ranges = strings(value, "spec.cidrs").join(",");
        vec![name(value), json!(ranges), age(value, now)]
    },
    ..PLAIN
};

fn endpoints(value: &Value) -> String {
    let subsets = items(value, "subsets");
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = items(subset, "addresses").iter().map(|one| text(one, "ip"));
        let ports = items(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses.clone().map(str::to_owned));
        }
        for port in ports {
            let port = int(port, "port").unwrap_or(0);
            all.extend(addresses.clone().map(|ip| socket(ip, port)));
        }
    }
    first(&all, "")
}

fn socket(ip: &str, port: i64) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

fn endpoint_slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    let port = |port: &Value| match (int(port, "port"), get(port, "name")) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.as_str().unwrap_or("").to_owned(),
        (None, None) => "*".to_owned(),
    };
    let ports: Vec<String> = items(slice, "ports").iter().map(port).collect();
    let addresses: Vec<String> = items(slice, "endpoints")
        .iter()
        .flat_map(|endpoint| strings(endpoint, "addresses"))
        .map(str::to_owned)
        .collect();
    vec![
        name(slice),
        shown(slice, "addressType"),
        or(&first(&ports, UNSET), UNSET),
        or(&first(&addresses, UNSET), UNSET),
        age(slice, now),
    ]
}

fn ingress(value: &Value, now: Timestamp) -> Vec<Value> {
    let class = get(value, "spec.ingressClassName").and_then(Value::as_str);
    let encrypted = !items(value, "spec.tls").is_empty();
    vec![
        name(value),
        json!(class.unwrap_or(NONE)),
        json!(hosts(items(value, "spec.rules"))),
        json!(balancers(value)),
        json!(if encrypted { "80, 443" } else { "80" }),
        age(value, now),
    ]
}

/// Rules without a host are for all hosts, and are not counted once a host is named.
fn hosts(rules: &[Value]) -> String {
    const SHOWN: usize = 3;
    let named = |rule: &&Value| !text(rule, "host").is_empty();
    let mut rest = rules.iter();
    let hosts: Vec<&str> = rest
        .by_ref()
        .filter(named)
        .take(SHOWN)
        .map(|rule| text(rule, "host"))
        .collect();
    if hosts.is_empty() {
        return "*".to_owned();
    }
    let shown = hosts.join(",");
    if hosts.len() == SHOWN && rest.next().is_some() {
        format!("{shown} + {} more...", rules.len() - SHOWN)
    } else {
        shown
    }
}

fn ingress_class(class: &Value, now: Timestamp) -> Vec<Value> {
    const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
    let parameters = get(class, "spec.parameters").map(|parameters| {
        let (kind, name) = (text(parameters, "kind"), text(parameters, "name"));
        match get(parameters, "apiGroup").and_then(Value::as_str) {
            Some(group) => format!("{kind}.{group}/{name}"),
            None => format!("{kind}/{name}"),
        }
    });
    vec![
        default_name(class, &[DEFAULT]),
        shown(class, "spec.controller"),
        json!(parameters.unwrap_or_else(|| NONE.to_owned())),
        age(class, now),
    ]
}

/// `services/default/kubernetes`
fn parent(address: &Value) -> String {
    let Some(parent) = get(address, "spec.parentRef") else {
        return NONE.to_owned();
    };
    let mut shown = text(parent, "resource").to_lowercase();
    for (before, field) in [('.', "group"), ('/', "namespace"), ('/', "name")] {
        let part = text(parent, field);
        // Only the name is there always.
        if field == "name" || !part.is_empty() {
            shown.push(before);
            shown.push_str(&if field == "group" {
                part.to_lowercase()
            } else {
                part.to_owned()
            });
        }
    }
    shown
}
