//! What the runtime has when the agent starts: pods that kept running while it was away.

use std::collections::{BTreeMap, BTreeSet};

use sampan_proto::{CriError, RuntimeService, v1};

use super::names;
use super::observe::observe;
use crate::ends::Ends;
use crate::plan::Found;

/// By pod UID: what the runtime has of it, and all of its sandboxes.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) pods: BTreeMap<String, Found>,
    /// Every sandbox id with the UID of its pod, also those that are not ready.
    pub(crate) sandboxes: Vec<(String, String)>,
    /// Those of them that workers go on with.
    pub(crate) adopted: BTreeSet<String>,
}

/// Asks the runtime for everything it has. Called once at start, not in a loop. `ends` are of containers it has no more,
/// by pod UID.
pub(crate) async fn inventory(
    runtime: &dyn RuntimeService,
    ends: BTreeMap<String, Ends>,
) -> Result<Inventory, CriError> {
    let mut inventory = Inventory::default();
    for (uid, ends) in ends {
        inventory.pods.entry(uid).or_default().ends = ends;
    }
    let sandboxes = runtime
        .list_pod_sandbox(v1::ListPodSandboxRequest::default())
        .await?
        .items;
    let mut number = BTreeMap::new();
    for sandbox in sandboxes {
        let metadata = sandbox.metadata.clone().unwrap_or_default();
        inventory
            .sandboxes
            .push((sandbox.id.clone(), metadata.uid.clone()));
        number.insert(sandbox.id.clone(), (metadata.uid.clone(), metadata.attempt));
        let found = inventory.pods.entry(metadata.uid).or_default();
        let newest = found
            .sandbox
            .as_ref()
            .is_none_or(|(_, attempt, _)| *attempt < metadata.attempt);
        if sandbox.state() == v1::PodSandboxState::SandboxReady && newest {
            let ips = sandbox_ips(runtime, &sandbox.id).await?;
            found.sandbox = Some((sandbox.id, metadata.attempt, ips));
        }
    }
    let adopted = inventory
        .pods
        .values()
        .filter_map(|found| found.sandbox.as_ref());
    inventory.adopted = adopted.map(|(id, ..)| id.clone()).collect();
    let mut containers = runtime
        .list_containers(v1::ListContainersRequest::default())
        .await?
        .containers;
    containers.sort_by_key(|container| container.created_at);
    for container in containers {
        let Some((uid, attempt)) = number.get(&container.pod_sandbox_id) else {
            continue;
        };
        if !container.labels.contains_key(names::CONTAINER_NAME) {
            continue;
        }
        let request = v1::ContainerStatusRequest {
            container_id: container.id,
            verbose: false,
        };
        let status = match runtime.container_status(request).await {
            Ok(response) => response.status.unwrap_or_default(),
            // It went away between the two calls.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        let observed = observe(&status);
        let name = observed.name.clone();
        if let Some(instance) = observed.instance(*attempt) {
            inventory
                .pods
                .entry(uid.clone())
                .or_default()
                .containers
                .push((name, instance));
        }
    }
    Ok(inventory)
}

/// The IPs of a ready sandbox.
pub(crate) async fn sandbox_ips(
    runtime: &dyn RuntimeService,
    id: &str,
) -> Result<Vec<String>, CriError> {
    let request = v1::PodSandboxStatusRequest {
        pod_sandbox_id: id.to_owned(),
        verbose: false,
    };
    let status = runtime
        .pod_sandbox_status(request)
        .await?
        .status
        .unwrap_or_default();
    let network = status.network.unwrap_or_default();
    let more = network.additional_ips.into_iter().map(|ip| ip.ip);
    Ok(std::iter::once(network.ip)
        .chain(more)
        .filter(|ip| !ip.is_empty())
        .collect())
}
