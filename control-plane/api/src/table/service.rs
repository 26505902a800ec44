//! The table of services.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{int, items, text};

use super::format::{balancers, labels, strings};
use super::{AGE, Column, NAME, NONE, PLAIN, Printer, UNKNOWN, age, column, name, or, shown, wide};

pub(super) const SERVICE: Printer = Printer {
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
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

fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(service),
        shown(service, "spec.type"),
        or(text(service, "spec.clusterIP"), NONE),
        json!(external(service)),
        or(&ports(service), NONE),
        age(service, now),
        or(&labels(service, "spec.selector"), NONE),
    ]
}

fn external(service: &Value) -> String {
    let given = strings(service, "spec.externalIPs");
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" if given.is_empty() => NONE.to_owned(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let mut all = given;
            let balanced = balancers(service);
            if !balanced.is_empty() {
                all.insert(0, &balanced);
            }
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
