//! A pod that has its node is resized as the node can do it.
//!
//! Of upstream's NodeDeclaredFeatureValidator, which knows more features: the others concern what a pod here cannot change.

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::find;
use crate::respond::parse;

/// What a node declares that can resize pods as a whole. Our agent cannot: what it gave to a pod would stay as it was,
/// while the scheduler counts what the pod asks for.
const OF_WHOLE: &str = "InPlacePodLevelResourcesVerticalScaling";

/// Refuses what the node of the pod has not declared.
pub(super) async fn admit(api: &Api, resource: &Resource, new: &Value, old: &Value) -> Result<()> {
    let name = object::text(old, "spec.nodeName");
    let [asked, before] = [new, old].map(|pod| object::get(pod, "spec.resources"));
    if name.is_empty() || asked == before {
        return Ok(());
    }
    let refuse = |why: &str| Err(Status::forbidden(resource, object::name(old), why));
    let nodes = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let Some(node) = find(api, nodes, "", name).await? else {
        return refuse(&format!("node {name:?} not found"));
    };
    let node = parse(&node.object.raw)?;
    let declared = object::items(&node, "status.declaredFeatures");
    if declared.iter().any(|feature| feature == OF_WHOLE) {
        return Ok(());
    }
    refuse(&format!(
        "pod update requires features {OF_WHOLE} which are not available on node {name:?}"
    ))
}
