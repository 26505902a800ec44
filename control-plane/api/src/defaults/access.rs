//! Defaults of role bindings.

use serde_json::Value;

use crate::object::{is_empty, set, text};

use super::{default_text, each};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn binding(value: &mut Value) {
    default_text(value, "roleRef.apiGroup", GROUP);
    each(value, "subjects", |subject| {
        // A ServiceAccount is of the core group, whose name is empty.
        if matches!(text(subject, "kind"), "User" | "Group") && is_empty(subject, "apiGroup") {
            set(subject, "apiGroup", GROUP);
        }
    });
}
