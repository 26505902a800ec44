//! Tables of what controllers turn into pods, and of what guards them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, get, int, text};

use super::format::{containers, labels, scalar, selector, selector_cell};
use super::{AGE, Column, NAME, NONE, PLAIN, Printer, age, column, count, integer, name, or, wide};

const DESIRED: Column = integer("Desired", "Number of pods there should be.");
const CURRENT: Column = integer("Current", "Number of pods there are.");
const READY: Column = integer("Ready", "Number of pods that are ready.");
const READY_OF: Column = column("Ready", "Number of pods that are ready, of those wanted.");
pub(super) const CONTAINERS: Column = wide("Containers", "Names of the template's containers.");
pub(super) const IMAGES: Column = wide("Images", "Images of the template's containers.");
pub(super) const SELECTOR: Column = wide("Selector", "Labels by which pods are found.");

const TEMPLATE: &str = "spec.template.spec.containers";

pub(super) const POD_TEMPLATE: Printer = Printer {
    columns: &[
        NAME,
        Column {
            priority: 0,
            ..CONTAINERS
        },
        Column {
            priority: 0,
            ..IMAGES
        },
        column("Pod Labels", "Labels of the template's pods."),
    ],
    cells: |value, _| {
        let mut cells = vec![name(value)];
        cells.extend(containers(value, "template.spec.containers"));
        cells.push(or(&labels(value, "template.metadata.labels"), NONE));
        cells
    },
    ..PLAIN
};

pub(super) const REPLICATION_CONTROLLER: Printer = Printer {
    columns: REPLICAS,
    cells: |value, now| {
        let mut cells = replicas(value, now);
        cells.push(or(&labels(value, "spec.selector"), NONE));
        cells
    },
    ..PLAIN
};

pub(super) const REPLICA_SET: Printer = Printer {
    columns: REPLICAS,
    cells: |value, now| {
        let mut cells = replicas(value, now);
        cells.push(selector_cell(value, "spec.selector"));
        cells
    },
    ..PLAIN
};

const REPLICAS: &[Column] = &[
    NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR,
];

pub(super) const DEPLOYMENT: Printer = Printer {
    columns: &[
        NAME,
        READY_OF,
        column("Up-to-date", "Number of pods of the newest template."),
        column(
            "Available",
            "Number of pods that have been ready long enough.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: deployment,
    ..PLAIN
};

pub(super) const STATEFUL_SET: Printer = Printer {
    columns: &[NAME, READY_OF, AGE, CONTAINERS, IMAGES],
    cells: |value, now| {
        let mut cells = vec![name(value), ready_of(value), age(value, now)];
        cells.extend(containers(value, TEMPLATE));
        cells
    },
    ..PLAIN
};

pub(super) const DAEMON_SET: Printer = Printer {
    columns: &[
        NAME,
        integer("Desired", "Number of nodes that should run the pod."),
        integer("Current", "Number of those nodes that run it."),
        READY,
        integer("Up-to-date", "Number of pods of the newest template."),
        integer(
            "Available",
            "Number of pods that have been ready long enough.",
        ),
        column(
            "Node Selector",
            "Labels of the nodes that should run the pod.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: daemon_set,
    ..PLAIN
};

pub(super) const CONTROLLER_REVISION: Printer = Printer {
    columns: &[
        NAME,
        column("Controller", "What the revision is one of."),
        column("Revision", "Number of the revision."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            json!(controller(value)),
            count(value, "revision"),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) const POD_DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        NAME,
        column("Min Available", "How many pods must stay."),
        column("Max Unavailable", "How many pods may be missing."),
        integer("Allowed Disruptions", "How many pods may be evicted now."),
        AGE,
    ],
    cells: |value, now| {
        let bound = |path| get(value, path).map_or_else(|| "N/A".to_owned(), scalar);
        vec![
            name(value),
            json!(bound("spec.minAvailable")),
            json!(bound("spec.maxUnavailable")),
            count(value, "status.disruptionsAllowed"),
            age(value, now),
        ]
    },
    ..PLAIN
};

/// Everything but the selector, which replication controllers write in another form.
fn replicas(value: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        name(value),
        count(value, "spec.replicas"),
        count(value, "status.replicas"),
        count(value, "status.readyReplicas"),
        age(value, now),
    ];
    cells.extend(containers(value, TEMPLATE));
    cells
}

fn deployment(value: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        name(value),
        ready_of(value),
        count(value, "status.updatedReplicas"),
        count(value, "status.availableReplicas"),
        age(value, now),
    ];
    cells.extend(containers(value, TEMPLATE));
    // Unlike the others, a selector of everything is shown as nothing.
    let words = selector(value, "spec.selector");
    cells.push(words.map_or_else(|| json!("<invalid>"), Value::from));
    cells
}

fn daemon_set(value: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        name(value),
        count(value, "status.desiredNumberScheduled"),
        count(value, "status.currentNumberScheduled"),
        count(value, "status.numberReady"),
        count(value, "status.updatedNumberScheduled"),
        count(value, "status.numberAvailable"),
        or(&labels(value, "spec.template.spec.nodeSelector"), NONE),
        age(value, now),
    ];
    cells.extend(containers(value, TEMPLATE));
    cells.push(selector_cell(value, "spec.selector"));
    cells
}

fn ready_of(value: &Value) -> Value {
    let number = |path| int(value, path).unwrap_or(0);
    let (ready, wanted) = (number("status.readyReplicas"), number("spec.replicas"));
    json!(format!("{ready}/{wanted}"))
}

/// `statefulset.apps/web`
fn controller(value: &Value) -> String {
    let Some(owner) = object::controller_of(value) else {
        return NONE.to_owned();
    };
    let kind = text(owner, "kind").to_lowercase();
    let name = text(owner, "name");
    match text(owner, "apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}
