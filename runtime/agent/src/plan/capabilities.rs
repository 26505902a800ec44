//! What the containers of a pod can reach, as one annotation: `main=http-server,stdio;init=none`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::state::PodState;
use super::{all_containers, ephemeral_containers};

/// The annotation of a pod.
pub(crate) const CAPABILITIES: &str = "sampan.dev/capabilities";

/// The annotation's value on a pod; empty without one.
pub(crate) fn known_capabilities(pod: &Pod) -> &str {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(CAPABILITIES))
        .map(String::as_str)
        .unwrap_or_default()
}

/// The value the annotation is to have, with the pod's containers in order. `known` fills in for
/// containers that have not run since this worker began.
pub(crate) fn capabilities(pod: &Pod, state: &PodState, known: &str) -> String {
    let known: BTreeMap<&str, &str> = known
        .split(';')
        .filter_map(|part| part.split_once('='))
        .collect();
    let names = all_containers(pod).map(|(container, _)| container.name.clone());
    let names = names.chain(ephemeral_containers(pod).map(|container| container.name));
    let told = names.filter_map(|name| {
        let name = name.as_str();
        let track = state.containers.get(name);
        let own = track
            .and_then(|track| track.instance.as_ref())
            .and_then(|instance| instance.capabilities.as_deref());
        let own = own.map(|own| if own.is_empty() { "none" } else { own });
        let value = own.or_else(|| known.get(name).copied())?;
        Some(format!("{name}={value}"))
    });
    told.collect::<Vec<_>>().join(";")
}
