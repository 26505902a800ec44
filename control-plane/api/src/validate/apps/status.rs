//! What controllers say of the pods they keep: counts that fit together.

use serde_json::Value;

use crate::object::{int, part};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, not_negative};

const OF_ALL: &str = "cannot be greater than status.replicas";
/// Kinds with replicas: counts, then those that are at most the count of all.
const COUNTS: [&str; 12] = [
    "observedGeneration",
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
    "numberAvailable",
    "numberUnavailable",
];
const PARTS: [&str; 5] = [
    "fullyLabeledReplicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
];
const DAEMONS: [&str; 5] = [
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
];

pub(in super::super) fn update(kind: &str, new: &Value, old: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(new, "status"));
    for field in DAEMONS.iter().chain(&COUNTS) {
        not_negative(out, status, &path, field);
    }
    let count = |field: &str| int(status, field).unwrap_or(0);
    for field in PARTS {
        if count(field) > count("replicas") {
            out.push(|| FieldError::invalid(path.child(field), count(field), OF_ALL));
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let why = if kind == "StatefulSet" {
            "cannot be greater than status.readyReplicas"
        } else {
            "cannot be greater than readyReplicas"
        };
        let at = path.child("availableReplicas");
        out.push(|| FieldError::invalid(at, count("availableReplicas"), why));
    }
    let before = int(old, "status.collisionCount").unwrap_or(0);
    if count("collisionCount") < before {
        let at = path.child("collisionCount");
        out.push(|| FieldError::invalid(at, count("collisionCount"), "cannot be decremented"));
    }
}
