//! RuntimeClass admission: the class must exist, and brings overhead, node selector and tolerations.

use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_api::{defaults, object};
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::find;
use crate::respond::parse;

/// Applies the class a pod names.
pub(super) async fn admit(api: &Api, resource: &Resource, pod: &mut Value) -> Result<()> {
    let class = object::text(pod, "spec.runtimeClassName").to_owned();
    let name = object::name(pod).to_owned();
    let forbidden = |why: &str| Status::forbidden(resource, &name, why);
    if class.is_empty() {
        if object::is_empty(pod, "spec.overhead") {
            return Ok(());
        }
        return Err(forbidden(
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ));
    }
    let classes =
        find_resource("node.k8s.io", "v1", "runtimeclasses").ok_or_else(Status::path_not_found)?;
    let Some(found) = find(api, classes, "", &class).await? else {
        return Err(forbidden(&format!(
            "pod rejected: RuntimeClass \"{class}\" not found"
        )));
    };
    let class = parse(&found.object.raw)?;
    let overhead = object::get(&class, "overhead.podFixed").cloned();
    let asked = object::get(pod, "spec.overhead").cloned();
    if asked.is_some() && asked != overhead {
        return Err(forbidden(
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ));
    }
    if let Some(scheduling) = object::get(&class, "scheduling") {
        defaults::class_scheduling(pod, scheduling).map_err(|label| {
            forbidden(&format!(
                "conflict: runtimeClass.scheduling.nodeSelector and pod.spec.nodeSelector differ in {label}"
            ))
        })?;
    }
    if let Some(overhead) = overhead {
        object::set(pod, "spec.overhead", overhead);
    }
    Ok(())
}
