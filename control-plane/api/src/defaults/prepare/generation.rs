//! What `metadata.generation` counts: changes of what is wanted, so that a controller can tell
//! which of them it has seen.

use serde_json::{Map, Value};

use crate::object::get;
use crate::resource::Resource;
use crate::validate::semantic::normal;

/// Whether an update gives the object another generation: for most kinds when the spec changes, for
/// those that have none when anything does beside metadata and status.
pub fn bumps_generation(resource: &Resource, new: &Value, old: &Value) -> bool {
    if resource.is_custom() {
        // Without a subresource of its own, the status is a field like any other.
        let status_counts = !resource.has_status();
        return differ(new, old) || status_counts && get(new, "status") != get(old, "status");
    }
    // The number of a priority class never moves.
    if !resource.generation || resource.kind == "PriorityClass" {
        return false;
    }
    // ReplicaSets get the annotations of their Deployment; mirrors of slices follow their labels.
    let watched = match resource.kind {
        "Deployment" => "metadata.annotations",
        "EndpointSlice" => "metadata.labels",
        _ => "",
    };
    if !watched.is_empty() && get(new, watched) != get(old, watched) {
        return true;
    }
    differ(new, old)
        && differ(
            &normal(new, resource.type_name),
            &normal(old, resource.type_name),
        )
}

fn differ(new: &Value, old: &Value) -> bool {
    let (Value::Object(new), Value::Object(old)) = (new, old) else {
        return false;
    };
    let counts = |field: &str| !matches!(field, "apiVersion" | "kind" | "metadata" | "status");
    let more = |a: &Map<String, Value>, b: &Map<String, Value>| {
        a.iter()
            .any(|(field, value)| counts(field) && b.get(field) != Some(value))
    };
    more(new, old) || more(old, new)
}
