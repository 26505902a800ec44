//! Conditions of a CustomResourceDefinition: how far it has come, and why not further.

use serde_json::{Value, json};

use crate::object;

/// The finalizer by which a definition waits for its objects to go.
pub const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// A condition without its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Condition<'a> {
    /// `Established`
    pub kind: &'a str,
    /// Whether it holds.
    pub holds: bool,
    /// `InitialNamesAccepted`
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
}

/// It is marked for deletion, and nothing happened yet.
pub const DELETION_PENDING: Condition<'static> = Condition {
    kind: "Terminating",
    holds: true,
    reason: "InstanceDeletionPending",
    message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
};

/// Its objects are being deleted.
pub const DELETION_IN_PROGRESS: Condition<'static> = Condition {
    kind: "Terminating",
    holds: true,
    reason: "InstanceDeletionInProgress",
    message: "CustomResource deletion is in progress",
};

/// Its objects are gone.
pub const DELETION_COMPLETED: Condition<'static> = Condition {
    kind: "Terminating",
    holds: false,
    reason: "InstanceDeletionCompleted",
    message: "removed all instances",
};

/// There never were any.
pub const NEVER_ESTABLISHED: Condition<'static> = Condition {
    kind: "Terminating",
    holds: false,
    reason: "NeverEstablished",
    message: "resource was never established",
};

pub(super) const ESTABLISHED: Condition<'static> = Condition {
    kind: "Established",
    holds: true,
    reason: "InitialNamesAccepted",
    message: "the initial names have been accepted",
};

pub(super) const NOT_ACCEPTED: Condition<'static> = Condition {
    kind: "Established",
    holds: false,
    reason: "NotAccepted",
    message: "not all names are accepted",
};

pub(super) const NO_CONFLICTS: Condition<'static> = Condition {
    kind: "NamesAccepted",
    holds: true,
    reason: "NoConflicts",
    message: "no conflicts found",
};

/// Whether a condition of the definition holds.
pub fn holds(definition: &Value, kind: &str) -> bool {
    object::items(definition, "status.conditions")
        .iter()
        .any(|one| object::text(one, "type") == kind && object::text(one, "status") == "True")
}

/// Sets a condition; its time moves only when it begins or ceases to hold.
pub fn set(definition: &mut Value, condition: Condition<'_>, now: &str) {
    let status = if condition.holds { "True" } else { "False" };
    let mut conditions = object::items(definition, "status.conditions").to_vec();
    let known = conditions
        .iter_mut()
        .find(|one| object::text(one, "type") == condition.kind);
    match known {
        Some(known) => {
            let since = object::text(known, "lastTransitionTime");
            if object::text(known, "status") != status || since.is_empty() {
                object::set(known, "lastTransitionTime", now);
            }
            object::set(known, "status", status);
            object::set(known, "reason", condition.reason);
            object::set(known, "message", condition.message);
        }
        None => conditions.push(json!({
            "type": condition.kind, "status": status, "lastTransitionTime": now,
            "reason": condition.reason, "message": condition.message,
        })),
    }
    object::set(definition, "status.conditions", conditions);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_when_conditions_do() {
        let mut definition = json!({});
        set(&mut definition, NOT_ACCEPTED, "t1");
        assert!(!holds(&definition, "Established"));
        set(&mut definition, ESTABLISHED, "t2");
        set(&mut definition, ESTABLISHED, "t3");
        set(&mut definition, NO_CONFLICTS, "t3");
        assert!(holds(&definition, "Established") && holds(&definition, "NamesAccepted"));
        let conditions = object::items(&definition, "status.conditions");
        assert_eq!(conditions.len(), 2);
        assert_eq!(conditions[0]["lastTransitionTime"], "t2");
        assert_eq!(conditions[0]["reason"], "InitialNamesAccepted");
    }
}
