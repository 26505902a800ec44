//! The table of services.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{entries, int, items, text};

use super::{AGE, Column, NAME, NONE, UNKNOWN, age, column, name, or, wide};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "How the service is reached."),
    column("Cluster-IP", "Address of the service inside the cluster."),
    column(
        "External-IP",
        "Addresses of the service outside the cluster.",
    ),
    column(
        "Port(s)",
        "Ports of the service, with node ports and protocols.",
    ),
    AGE,
    wide("Selector", "Labels of the pods behind the service."),
];

pub(super) fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(service),
        json!(text(service, "spec.type")),
        or(text(service, "spec.clusterIP"), NONE),
        json!(external(service)),
        or(&ports(service), NONE),
        age(service, now),
        or(&selector(service), NONE),
    ]
}

fn external(service: &Value) -> String {
    let given: Vec<&str> = items(service, "spec.externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" if given.is_empty() => NONE.to_owned(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let ingresses = items(service, "status.loadBalancer.ingress").iter();
            let balanced: BTreeSet<&str> = ingresses
                .map(|ingress| match text(ingress, "ip") {
                    "" => text(ingress, "hostname"),
                    ip => ip,
                })
                .filter(|address| !address.is_empty())
                .collect();
            let all: Vec<&str> = balanced.into_iter().chain(given).collect();
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let shown = items(service, "spec.ports").iter().map(|port| {
        let (number, protocol) = (int(port, "port").unwrap_or(0), text(port, "protocol"));
        match int(port, "nodePort").unwrap_or(0) {
            0 => format!("{number}/{protocol}"),
            node => format!("{number}:{node}/{protocol}"),
        }
    });
    shown.collect::<Vec<_>>().join(",")
}

fn selector(service: &Value) -> String {
    let pairs: BTreeSet<String> = entries(service, "spec.selector")
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    pairs.into_iter().collect::<Vec<_>>().join(",")
}
