//! Bindings: a pod is given its node, once.

use http::StatusCode;
use jiff::Timestamp;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_api::{object, time, validate};
use serde_json::{Value, json};

use crate::api::{Answer, Api, Call, Result};
use crate::content::{Expected, Offer, negotiate, read_object};
use crate::object::Stored;
use crate::read::{find, key};
use crate::request::ResourceTarget;
use crate::respond;
use crate::strategy::pods::{add_labels, topology};
use crate::write::{Attempts, WriteOptions, check_namespace, replace};

const TYPE: &str = "io.k8s.api.core.v1.Binding";

/// POST of a Binding, to the pod or to the collection.
pub(crate) async fn bind(mut call: Call, target: ResourceTarget) -> Answer {
    let options = WriteOptions::parse(&call, "CreateOptions")?;
    let output = negotiate(&call, Offer::Plain)?;
    let expected = Expected {
        group: "",
        version: "v1",
        kind: "Binding",
        type_name: TYPE,
        row: None,
    };
    let input = read_object(&mut call, expected).await?;
    let mut binding = input.value;
    check_namespace(&mut binding, &target.namespace)?;
    let said = object::name(&binding);
    if !said.is_empty() && !target.name.is_empty() && said != target.name {
        return Err(Status::bad_request(format!(
            "name in URL does not match name in Binding object: {said}"
        )));
    }
    if said.is_empty() {
        object::set(&mut binding, "metadata.name", target.name.as_str());
    }
    let name = object::name(&binding);
    // Upstream answers 500; the fault is the client's all the same.
    let row = find_resource("", "v1", "bindings").ok_or_else(Status::path_not_found)?;
    let errors = validate::create(row, &binding);
    if !errors.is_empty() {
        return Err(Status::invalid_kind("", "Binding", name, errors));
    }
    // As upstream: not by way of the collection, and not to what is no node by its own word.
    if !target.name.is_empty() && object::text(&binding, "target.kind") == "Node" {
        let labels = topology(&call.api, object::text(&binding, "target.name")).await?;
        add_labels(&mut binding, labels);
    }
    let name = object::name(&binding);
    let node = object::text(&binding, "target.name");
    let pods = find_resource("", "v1", "pods").ok_or_else(Status::path_not_found)?;
    let mut attempts = Attempts::new(&call.api, key(pods, &target.namespace, name));
    loop {
        attempts.next().await?;
        let current = find(&call.api, pods, &target.namespace, name)
            .await?
            .ok_or_else(|| Status::not_found(pods, name))?;
        let pod = bound(pods, &current, &binding, node)?;
        if options.dry_run || store(&call.api, pods, &current, pod).await? {
            return respond::success(StatusCode::CREATED, &Status::created(), &output);
        }
    }
}

async fn store(api: &Api, pods: &'static Resource, current: &Stored, pod: Value) -> Result<bool> {
    Ok(replace(api, pods, current, pod).await?.is_some())
}

/// The pod on its node, or why it cannot go there.
fn bound(pods: &Resource, current: &Stored, binding: &Value, node: &str) -> Result<Value> {
    let name = current.object.name();
    let conflict = |why: String| {
        let binding = format!("{}/binding", pods.plural);
        Status::conflict_named((pods.group, &binding), name, &why)
    };
    let uid = object::uid(binding);
    if !uid.is_empty() && uid != current.object.uid() {
        let found = current.object.uid();
        return Err(conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
        )));
    }
    let version = object::resource_version(binding);
    if !version.is_empty() && version != current.object.revision() {
        return Err(Status::conflict_modified(pods, name));
    }
    let mut pod = respond::parse(&current.object.raw)?;
    if object::deletion_timestamp(&pod).is_some() {
        return Err(conflict(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        )));
    }
    let assigned = object::text(&pod, "spec.nodeName");
    if !assigned.is_empty() {
        return Err(conflict(format!(
            "pod {name} is already assigned to node \"{assigned}\""
        )));
    }
    if !object::is_empty(&pod, "spec.schedulingGates") {
        return Err(conflict(format!(
            "pod {name} has non-empty .spec.schedulingGates"
        )));
    }
    object::set(&mut pod, "spec.nodeName", node);
    // It waits for no room any more.
    object::remove(&mut pod, "status.nominatedNodeName");
    if let Some(annotations) = object::annotations(binding) {
        let mut merged = object::annotations(&pod).cloned().unwrap_or_default();
        merged.extend(annotations.clone());
        object::set(&mut pod, "metadata.annotations", merged);
    }
    add_labels(
        &mut pod,
        object::labels(binding).cloned().unwrap_or_default(),
    );
    scheduled(&mut pod);
    Ok(pod)
}

fn scheduled(pod: &mut Value) {
    let condition = json!({
        "type": "PodScheduled", "status": "True",
        "lastTransitionTime": time::seconds(Timestamp::now()),
    });
    let mut conditions: Vec<Value> = object::items(pod, "status.conditions").to_vec();
    conditions.retain(|condition| object::text(condition, "type") != "PodScheduled");
    conditions.push(condition);
    object::set(pod, "status.conditions", conditions);
}
