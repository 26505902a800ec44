//! The table of nodes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, flag, items, text};

use super::{AGE, Column, NAME, NONE, PLAIN, Printer, UNKNOWN, age, column, name, or, wide};

pub(super) const NODE: Printer = Printer {
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "Whether the node is ready and takes pods."),
    column("Roles", "Roles of the node, from its labels."),
    AGE,
    column("Version", "Version of the node's agent."),
    wide("Internal-IP", "Address of the node inside the cluster."),
    wide("External-IP", "Address of the node outside the cluster."),
    wide("OS-Image", "Operating system of the node."),
    wide("Kernel-Version", "Kernel of the node."),
    wide(
        "Container-Runtime",
        "Container runtime of the node and its version.",
    ),
];

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = |field: &str| text(node, &format!("status.nodeInfo.{field}")).to_owned();
    let shown = |field: &str| match info(field) {
        none if none.is_empty() => UNKNOWN.to_owned(),
        known => known,
    };
    let mut kernel = shown("kernelVersion");
    let architecture = info("architecture");
    if !architecture.is_empty() {
        kernel.push_str(&format!(" ({architecture})"));
    }
    vec![
        name(node),
        json!(status(node)),
        or(&roles(node), NONE),
        age(node, now),
        json!(info("kubeletVersion")),
        or(address(node, "InternalIP"), NONE),
        or(address(node, "ExternalIP"), NONE),
        json!(shown("osImage")),
        json!(kernel),
        json!(shown("containerRuntimeVersion")),
    ]
}

fn status(node: &Value) -> String {
    let mut conditions = items(node, "status.conditions").iter();
    let ready = conditions.find(|condition| text(condition, "type") == "Ready");
    let ready = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if flag(node, "spec.unschedulable") {
        format!("{ready},SchedulingDisabled")
    } else {
        ready.to_owned()
    }
}

fn roles(node: &Value) -> String {
    let labels = object::labels(node).into_iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None if key == ROLE_LABEL => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let mut addresses = items(node, "status.addresses").iter();
    addresses
        .find(|one| text(one, "type") == kind)
        .map_or("", |one| text(one, "address"))
}
