//! Tables of devices and of claims to them.

use serde_json::{Value, json};

use crate::object::{self, get, items};

use super::small::NAME_AND_AGE;
use super::{AGE, NAME, PLAIN, Printer, age, column, name, shown};

const CLAIM: Printer = Printer {
    columns: &[
        NAME,
        column("State", "Whether the claim has its devices."),
        AGE,
    ],
    cells: |value, now| vec![name(value), json!(state(value)), age(value, now)],
    ..PLAIN
};

const SLICE: Printer = Printer {
    columns: &[
        NAME,
        column("Node", "Node the devices belong to."),
        column("Driver", "Driver of the devices."),
        column("Pool", "Pool the devices belong to."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            shown(value, "spec.nodeName"),
            shown(value, "spec.driver"),
            shown(value, "spec.pool.name"),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) fn printer(kind: &str) -> &'static Printer {
    match kind {
        "ResourceClaim" => &CLAIM,
        "ResourceSlice" => &SLICE,
        _ => &NAME_AND_AGE,
    }
}

fn state(claim: &Value) -> String {
    let deleted = object::deletion_timestamp(claim).is_some();
    let allocated = get(claim, "status.allocation").is_some();
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if allocated {
        states.push("allocated");
        if !items(claim, "status.reservedFor").is_empty() {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    states.join(",")
}
