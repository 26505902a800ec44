//! Tables of kinds with little to show.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, entries, get, items, text};

use super::format::amount;
use super::{AGE, Column, NAME, PLAIN, Printer, age, column, name, shown};

pub(super) const NAMESPACE: Printer = Printer {
    columns: &[
        NAME,
        column(
            "Status",
            "Whether the namespace is in use or being deleted.",
        ),
        AGE,
    ],
    cells: |value, now| vec![name(value), shown(value, "status.phase"), age(value, now)],
    ..PLAIN
};

pub(super) const CONFIG_MAP: Printer = Printer {
    columns: &[NAME, column("Data", "Number of keys."), AGE],
    cells: |value, now| {
        let keys = entries(value, "data").count() + entries(value, "binaryData").count();
        vec![name(value), json!(keys), age(value, now)]
    },
    ..PLAIN
};

pub(super) const SECRET: Printer = Printer {
    columns: &[
        NAME,
        column("Type", "What the secret is for."),
        column("Data", "Number of keys."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            shown(value, "type"),
            json!(entries(value, "data").count()),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) const NAME_AND_AGE: Printer = Printer {
    columns: &[NAME, AGE],
    cells: |value, now| vec![name(value), age(value, now)],
    ..PLAIN
};

pub(super) const RESOURCE_QUOTA: Printer = Printer {
    columns: &[
        NAME,
        column("Request", "What is used of what may be requested."),
        column("Limit", "What is used of what limits may add up to."),
        AGE,
    ],
    cells: resource_quota,
    ..PLAIN
};

pub(super) const COMPONENT_STATUS: Printer = Printer {
    columns: &[
        NAME,
        column("Status", "Whether the component is well."),
        column("Message", "What the component says."),
        column("Error", "Why it could not be asked."),
    ],
    cells: |value, _| {
        let healthy = condition(value, "conditions", "Healthy");
        let part = |field| healthy.map_or("", |condition| text(condition, field));
        let status = match healthy.map(|condition| text(condition, "status")) {
            Some("True") => "Healthy",
            Some(_) => "Unhealthy",
            None => "Unknown",
        };
        vec![
            name(value),
            json!(status),
            json!(part("message")),
            json!(part("error")),
        ]
    },
    ..PLAIN
};

pub(super) const API_SERVICE: Printer = Printer {
    columns: &[
        NAME,
        column("Service", "Who serves the group and version."),
        column("Available", "Whether it is served."),
        AGE,
    ],
    cells: api_service,
    ..PLAIN
};

/// Kinds without a printer of their own.
pub(super) const OTHER: Printer = Printer {
    columns: &[
        NAME,
        Column {
            kind: "date",
            ..column("Created At", "When the object was created.")
        },
    ],
    cells: |value, _| vec![name(value), json!(object::creation_timestamp(value))],
    ..PLAIN
};

fn api_service(value: &Value, now: Timestamp) -> Vec<Value> {
    let service = get(value, "spec.service")
        .map(|service| format!("{}/{}", text(service, "namespace"), text(service, "name")));
    let available = condition(value, "status.conditions", "Available").map(|condition| {
        match (text(condition, "status"), text(condition, "reason")) {
            (status @ "True", _) | (status, "") => status.to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        }
    });
    vec![
        name(value),
        json!(service.unwrap_or_else(|| "Local".to_owned())),
        json!(available.unwrap_or_else(|| "Unknown".to_owned())),
        age(value, now),
    ]
}

fn condition<'a>(value: &'a Value, path: &str, kind: &str) -> Option<&'a Value> {
    let mut conditions = items(value, path).iter();
    conditions.find(|one| text(one, "type") == kind)
}

fn resource_quota(quota: &Value, now: Timestamp) -> Vec<Value> {
    let used = object::get(quota, "status.used");
    let mut hard: Vec<(&str, &Value)> = entries(quota, "status.hard").collect();
    hard.sort_unstable_by_key(|(resource, _)| *resource);
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in hard {
        let used = amount(used.and_then(|used| used.get(resource)));
        let shown = format!("{resource}: {used}/{}", amount(Some(hard)));
        if resource.starts_with("limits.") {
            limits.push(shown);
        } else {
            requests.push(shown);
        }
    }
    vec![
        name(quota),
        json!(requests.join(", ")),
        json!(limits.join(", ")),
        age(quota, now),
    ]
}
