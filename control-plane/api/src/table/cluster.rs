//! Tables of leases, priorities and runtimes, and of how requests are prioritised.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, flag, get, items, text};

use super::{AGE, NAME, NONE, PLAIN, Printer, age, boolean, column, count, integer, name, shown};

pub(super) const LEASE: Printer = Printer {
    columns: &[NAME, column("Holder", "Who holds the lease."), AGE],
    cells: |value, now| {
        vec![
            name(value),
            shown(value, "spec.holderIdentity"),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) const RUNTIME_CLASS: Printer = Printer {
    columns: &[
        NAME,
        column("Handler", "Runtime that runs pods of this class."),
        AGE,
    ],
    cells: |value, now| vec![name(value), shown(value, "handler"), age(value, now)],
    ..PLAIN
};

pub(super) const PRIORITY_CLASS: Printer = Printer {
    columns: &[
        NAME,
        integer("Value", "Priority of pods of this class."),
        boolean(
            "Global-Default",
            "Whether pods that name no class are of this one.",
        ),
        AGE,
        column(
            "PreemptionPolicy",
            "Whether pods of this class may push others off a node.",
        ),
    ],
    cells: |value, now| {
        vec![
            name(value),
            count(value, "value"),
            json!(flag(value, "globalDefault")),
            age(value, now),
            shown(value, "preemptionPolicy"),
        ]
    },
    ..PLAIN
};

pub(super) const FLOW_SCHEMA: Printer = Printer {
    columns: &[
        NAME,
        column("PriorityLevel", "Level the requests are given."),
        column(
            "MatchingPrecedence",
            "Which schema is asked first: the smallest.",
        ),
        column(
            "DistinguisherMethod",
            "What requests are told apart into flows by.",
        ),
        AGE,
        column("MissingPL", "Whether the priority level does not exist."),
    ],
    cells: flow_schema,
    // In the order in which they are asked.
    rank: Some(precedence),
    ..PLAIN
};

pub(super) const PRIORITY_LEVEL: Printer = Printer {
    columns: &[
        NAME,
        column("Type", "Whether requests of the level are limited."),
        column(
            "NominalConcurrencyShares",
            "The level's part of the requests served at a time.",
        ),
        column("Queues", "Number of queues."),
        column("HandSize", "Number of queues one flow may use."),
        column("QueueLengthLimit", "Number of requests in one queue."),
        AGE,
    ],
    cells: priority_level,
    ..PLAIN
};

fn precedence(schema: &Value) -> i64 {
    object::int(schema, "spec.matchingPrecedence").unwrap_or(0)
}

fn flow_schema(schema: &Value, now: Timestamp) -> Vec<Value> {
    let mut conditions = items(schema, "status.conditions").iter();
    let dangling = conditions.find(|one| text(one, "type") == "Dangling");
    let method = get(schema, "spec.distinguisherMethod");
    vec![
        name(schema),
        shown(schema, "spec.priorityLevelConfiguration.name"),
        json!(precedence(schema)),
        method.map_or_else(|| json!(NONE), |method| shown(method, "type")),
        age(schema, now),
        dangling.map_or_else(|| json!("?"), |condition| shown(condition, "status")),
    ]
}

fn priority_level(level: &Value, now: Timestamp) -> Vec<Value> {
    let number = |part: Option<&Value>, field: &str| {
        part.map_or_else(|| json!(NONE), |part| count(part, field))
    };
    let limited = get(level, "spec.limited");
    let queuing = limited.and_then(|limited| get(limited, "limitResponse.queuing"));
    vec![
        name(level),
        shown(level, "spec.type"),
        number(limited, "nominalConcurrencyShares"),
        number(queuing, "queues"),
        number(queuing, "handSize"),
        number(queuing, "queueLengthLimit"),
        age(level, now),
    ]
}
