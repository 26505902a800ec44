//! Fields of features that Kubernetes has switched off by default. What is sent for them is forgotten, unless the object
//! has some already.

use serde_json::{Map, Value};

use crate::object::{get, get_mut, items, items_mut, remove};
use crate::resource::Resource;

/// Leases whose holder is chosen among candidates.
const LEASE: [&str; 2] = ["spec.strategy", "spec.preferredHolder"];
const DRIVER: [&str; 1] = ["spec.preventPodSchedulingIfMissing"];
/// A device's attribute of several values.
const LISTS: [&str; 4] = ["ints", "bools", "strings", "versions"];

pub(super) fn forget(resource: &Resource, new: &mut Value, old: Option<&Value>) {
    match (resource.group, resource.kind) {
        ("coordination.k8s.io", "Lease") => fields(&LEASE, new, old),
        ("storage.k8s.io", "CSIDriver") => fields(&DRIVER, new, old),
        ("resource.k8s.io", "ResourceSlice") => lists(new, old),
        _ => {}
    }
}

fn fields(paths: &[&str], new: &mut Value, old: Option<&Value>) {
    for path in paths {
        if old.and_then(|old| get(old, path)).is_none() {
            remove(new, path);
        }
    }
}

fn lists(slice: &mut Value, old: Option<&Value>) {
    let lists = |device: &Value| {
        let attributes = get(device, "attributes").and_then(Value::as_object);
        let mut attributes = attributes.into_iter().flat_map(Map::values);
        attributes.any(|attribute| LISTS.iter().any(|list| get(attribute, list).is_some()))
    };
    if old.is_some_and(|old| items(old, "spec.devices").iter().any(lists)) {
        return;
    }
    for device in items_mut(slice, "spec.devices") {
        let attributes = get_mut(device, "attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flat_map(Map::values_mut) {
            for list in LISTS {
                remove(attribute, list);
            }
        }
    }
}
