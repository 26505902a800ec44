//! A pod that has its node is resized as the node can do it: upstream's NodeDeclaredFeatureValidator, of whose features
//! the others concern what a pod here cannot change, and PodResizeValidator.

use sampan_api::amounts;
use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::{Cause, Status};
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::find;
use crate::respond::parse;

/// What a node declares that can resize pods as a whole. Where one cannot, what it gave to a pod would stay as it was, while
/// the scheduler counts what the pod asks for.
const OF_WHOLE: &str = "InPlacePodLevelResourcesVerticalScaling";

const OS: &str = "kubernetes.io/os";

/// Refuses what the node of the pod has not declared, and what it will never have.
pub(super) async fn admit(api: &Api, resource: &Resource, new: &Value, old: &Value) -> Result<()> {
    let node_name = object::text(old, "spec.nodeName");
    if node_name.is_empty() || new["spec"] == old["spec"] {
        return Ok(());
    }
    let name = object::name(old);
    let nodes = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let Some(node) = find(api, nodes, "", node_name).await? else {
        let why = format!("node {node_name:?} not found");
        return Err(Status::forbidden(resource, name, &why));
    };
    let node = parse(&node.object.raw)?;
    let [asked, before] = [new, old].map(|pod| object::get(pod, "spec.resources"));
    let declared = object::items(&node, "status.declaredFeatures");
    if asked != before && !declared.iter().any(|feature| feature == OF_WHOLE) {
        let why = format!(
            "pod update requires features {OF_WHOLE} which are not available on node {node_name:?}"
        );
        return Err(Status::forbidden(resource, name, &why));
    }
    let refusal = other_system(&node)
        .map(|why| ("UnsupportedPlatform", why))
        .or_else(|| too_much(new, &node).map(|why| ("NodeCapacity", why)));
    match refusal {
        None => Ok(()),
        Some((reason, why)) => {
            let mut status = Status::forbidden(resource, name, &why);
            let details = status.details.get_or_insert_default();
            details.causes.push(Cause {
                reason: reason.to_owned(),
                ..Cause::default()
            });
            Err(status)
        }
    }
}

fn other_system(node: &Value) -> Option<String> {
    let labels = object::entries(node, "metadata.labels");
    let mut systems = labels.filter_map(|(key, value)| (key == OS).then_some(value.as_str()?));
    let system = systems.next().filter(|system| *system != "linux")?;
    let name = object::name(node);
    Some(format!(
        "pod resize is only supported on linux nodes, node {name:?} is {system:?}"
    ))
}

fn too_much(pod: &Value, node: &Value) -> Option<String> {
    let asked = amounts::of_pod_in_all(pod, "requests");
    let allocatable = amounts::at(node, "status.allocatable");
    let [asked, has] = [asked, allocatable]
        .map(|all| move |name: &str| all.get(name).copied().unwrap_or_default());
    let mut why = Vec::new();
    let (cpu, most) = (asked("cpu"), has("cpu"));
    if cpu > most {
        let (cpu, most) = (cpu.milli(), most.milli());
        why.push(format!("cpu, requested: {cpu}, allocatable: {most}"));
    }
    let (memory, most) = (asked("memory"), has("memory"));
    if memory > most {
        let (memory, most) = (memory.units(), most.units());
        why.push(format!("memory, requested: {memory}, allocatable: {most}"));
    }
    let why = why.join("; ");
    (!why.is_empty()).then(|| format!("node didn't have enough allocatable resources: {why}"))
}
