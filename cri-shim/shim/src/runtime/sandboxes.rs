//! Making, ending and showing sandboxes.

use std::collections::BTreeMap;

use futures::future::join_all;
use sampan_proto::{COMPILING, Code, CriError, WAITING_TO_COMPILE, v1};

use super::info::RUNTIME_HANDLERS;
use crate::filter;
use crate::id::{self, Id};
use crate::limits::{MAX_ANNOTATION_BYTES, MAX_LABEL_BYTES, MAX_NAME_BYTES};
use crate::resources;
use crate::sandbox::{Network, Sandbox, wants_host_network};
use crate::shim::Shim;
use crate::time::now_nanos;

impl Shim {
    pub(super) fn run_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Result<v1::RunPodSandboxResponse, CriError> {
        let config = request
            .config
            .ok_or_else(|| CriError::invalid_argument("config is missing"))?;
        check_config(&config)?;
        check_handler(&request.runtime_handler)?;
        let network = self.allocate(&config)?;
        let id = id::new();
        let added = self.pods.add_sandbox(Sandbox {
            id: id.clone(),
            group: resources::group(config.linux.as_ref()),
            config,
            runtime_handler: request.runtime_handler,
            created_at: now_nanos(),
            ready: true,
            network,
            containers: Vec::new(),
        });
        if let (Err(_), Network::Pod(address)) = (&added, network) {
            self.network.release(address);
        }
        added.map(|()| v1::RunPodSandboxResponse {
            pod_sandbox_id: id.to_string(),
        })
    }

    fn allocate(&self, config: &v1::PodSandboxConfig) -> Result<Network, CriError> {
        if wants_host_network(config) {
            return Ok(Network::Host);
        }
        let address = self.network.allocate();
        address
            .map(Network::Pod)
            .map_err(|error| CriError::new(Code::ResourceExhausted, error.to_string()))
    }

    /// Kills what runs in a sandbox, then gives its address back. Returns its full id, or None if
    /// there is no such sandbox. May be called again after it failed or was given up.
    pub(super) async fn stop_sandbox(&self, id: &str) -> Result<Option<Id>, CriError> {
        let Some((id, containers)) = self.pods.stop_sandbox(id) else {
            return Ok(None);
        };
        let killed = join_all(containers.iter().map(|container| self.kill(container))).await;
        killed.into_iter().collect::<Result<(), CriError>>()?;
        // Only now: before, a guest could still listen on it.
        if let Some(address) = self.pods.take_address(&id) {
            self.network.release(address);
        }
        Ok(Some(id))
    }

    /// Takes effect at once. What the sandbox takes beside its containers is nothing here.
    pub(super) fn update_sandbox(
        &self,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Result<(), CriError> {
        let update = request.resources.unwrap_or_default();
        self.pods
            .change_sandbox(&request.pod_sandbox_id, |sandbox| {
                sandbox.change_resources(update);
            })
    }

    pub(super) fn sandbox_status(
        &self,
        request: &v1::PodSandboxStatusRequest,
    ) -> Result<v1::PodSandboxStatusResponse, CriError> {
        self.pods.sandbox(&request.pod_sandbox_id, |sandbox| {
            v1::PodSandboxStatusResponse {
                status: Some(sandbox.status()),
                info: match request.verbose {
                    true => self.sandbox_info(&sandbox.id),
                    false => BTreeMap::new(),
                },
                containers_statuses: sandbox
                    .containers
                    .iter()
                    .map(|container| container.status())
                    .collect(),
                timestamp: now_nanos(),
            }
        })
    }

    fn sandbox_info(&self, id: &str) -> BTreeMap<String, String> {
        let loads = self.loading.of(id);
        let compiling = loads
            .iter()
            .find_map(|digest| self.engine.compiling(digest));
        let waits = |digest: &&String| self.engine.waits_to_compile(digest);
        let waiting = || loads.iter().filter(waits).count();
        let told = match compiling {
            Some(compiling) => Some((COMPILING, compiling.module_bytes.to_string())),
            // What is read, hashed or linked needs no place at the compiler.
            None => match waiting() {
                0 => None,
                waiting => Some((WAITING_TO_COMPILE, waiting.to_string())),
            },
        };
        let told = told.map(|(key, value)| (key.to_owned(), value));
        told.into_iter().collect()
    }

    pub(super) fn list_sandboxes(
        &self,
        filter: Option<&v1::PodSandboxFilter>,
    ) -> v1::ListPodSandboxResponse {
        let mut items = self.pods.sandboxes();
        items.retain(|item| filter::sandbox(filter, item));
        v1::ListPodSandboxResponse { items }
    }
}

fn check_handler(handler: &str) -> Result<(), CriError> {
    if RUNTIME_HANDLERS.contains(&handler) {
        return Ok(());
    }
    let message =
        format!("unknown runtime handler {handler:?}: this runtime offers \"\" and \"wasm\"");
    Err(CriError::invalid_argument(message))
}

fn check_config(config: &v1::PodSandboxConfig) -> Result<(), CriError> {
    let metadata = config
        .metadata
        .as_ref()
        .ok_or_else(|| CriError::invalid_argument("config.metadata is missing"))?;
    if metadata.name.is_empty() {
        return Err(CriError::invalid_argument("config.metadata.name is empty"));
    }
    for name in [
        &metadata.name,
        &metadata.uid,
        &metadata.namespace,
        &config.hostname,
    ] {
        check_name(name)?;
    }
    check_maps(&config.labels, &config.annotations)
}

pub(super) fn check_name(name: &str) -> Result<(), CriError> {
    match name.len() <= MAX_NAME_BYTES {
        true => Ok(()),
        false => Err(CriError::invalid_argument(format!(
            "a name has {} bytes, at most {MAX_NAME_BYTES} are allowed",
            name.len()
        ))),
    }
}

pub(super) fn check_maps(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Result<(), CriError> {
    for (what, map, limit) in [
        ("labels", labels, MAX_LABEL_BYTES),
        ("annotations", annotations, MAX_ANNOTATION_BYTES),
    ] {
        let bytes: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > limit {
            return Err(CriError::invalid_argument(format!(
                "{what} take {bytes} bytes, at most {limit} are allowed"
            )));
        }
    }
    Ok(())
}
