//! PriorityClasses.

use serde_json::Value;

use crate::object::{self, flag, int};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::path::{Path, required_choice};

const SYSTEM_PREFIX: &str = "system-";
const SYSTEM: [(&str, i64); 2] = [
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];
/// What is above is the system's own.
const HIGHEST: i64 = 1_000_000_000;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (name, priority) = (object::name(value), int(value, "value").unwrap_or(0));
    if name.starts_with(SYSTEM_PREFIX) {
        if let Some(error) = not_system(name, priority, flag(value, "globalDefault")) {
            let why = format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use \
                 only. error: {error}"
            );
            out.push(|| FieldError::forbidden("metadata.name", why));
        }
    } else if priority > HIGHEST {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        out.push(|| FieldError::forbidden("value", why));
    }
    let policies = ["PreemptLowerPriority", "Never"];
    required_choice(out, value, &Path::new(""), "preemptionPolicy", &policies);
}

/// How a class with a name of the system's differs from the system's class.
fn not_system(name: &str, priority: i64, default: bool) -> Option<String> {
    let Some((_, wanted)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if priority != *wanted {
        return Some(format!("value of {name} PriorityClass must be {wanted}"));
    }
    default.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let change = Change::of(resource, new, old);
    if change.differs("value") {
        let why = "may not be changed in an update.";
        out.push(|| FieldError::forbidden("value", why));
    }
    change.immutable(out, "preemptionPolicy");
}
