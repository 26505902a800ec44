//! Claims of volumes name what they are filled from twice, in an old field and in a newer one.

use serde_json::Value;

use crate::object::{get, is_empty, remove, set, text};

const OLD: &str = "spec.dataSource";
const NEW: &str = "spec.dataSourceRef";

/// Makes the two fields say the same. What the old one may not name is dropped from it.
pub(super) fn sources(claim: &mut Value, old: Option<&Value>) {
    // Filling a volume from another namespace needs more than a name to be allowed.
    if !is_empty(claim, "spec.dataSourceRef.namespace")
        && old.is_none_or(|old| get(old, NEW).is_none())
    {
        remove(claim, NEW);
    }
    let kept = old.is_some_and(|old| get(old, OLD).is_some()) || get(claim, NEW).is_some();
    if !kept && !get(claim, OLD).is_some_and(fillable) {
        remove(claim, OLD);
    }
    match (get(claim, OLD).cloned(), get(claim, NEW).cloned()) {
        (Some(source), None) => set(claim, NEW, source),
        (None, Some(source)) if is_empty(&source, "namespace") => set(claim, OLD, source),
        _ => {}
    }
}

fn fillable(source: &Value) -> bool {
    matches!(
        (text(source, "apiGroup"), text(source, "kind")),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}
