//! Certificate signing requests: the verdict on one is not given through its status.

use serde_json::Value;

use crate::object::{items, items_mut, remove, text};

/// Who asks is what the server knows, not what the request says.
pub(super) fn create(request: &mut Value) {
    for field in ["username", "uid", "groups", "extra"] {
        remove(request, &format!("spec.{field}"));
    }
}

pub(super) fn status_update(new: &mut Value, old: &Value) {
    for verdict in ["Approved", "Denied"] {
        let is_it = |condition: &&Value| text(condition, "type") == verdict;
        let before: Vec<&Value> = items(old, "status.conditions")
            .iter()
            .filter(is_it)
            .collect();
        let now = items(new, "status.conditions").iter().filter(is_it).count();
        // Another number of them is a change, and validation refuses it.
        if now != before.len() {
            continue;
        }
        let kept = items_mut(new, "status.conditions")
            .iter_mut()
            .filter(|condition| text(condition, "type") == verdict);
        for (condition, before) in kept.zip(before) {
            condition.clone_from(before);
        }
    }
}
