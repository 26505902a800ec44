//! Containers that join a pod while it runs (`kubectl debug`). They start once, whatever the init containers do, and
//! neither run again nor count for the pod's phase.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

use super::all_containers;

/// The pod's ephemeral containers, as what they are made like.
pub(crate) fn ephemeral_containers(pod: &Pod) -> impl Iterator<Item = Container> {
    specified(pod).iter().map(as_container)
}

/// The container of this name, whichever list of the pod it stands in.
pub(crate) fn container_named<'a>(pod: &'a Pod, name: &str) -> Option<Cow<'a, Container>> {
    let common = all_containers(pod).find(|(container, _)| container.name == name);
    let common = common.map(|(container, _)| Cow::Borrowed(container));
    let ephemeral = || specified(pod).iter().find(|one| one.name == name);
    common.or_else(|| ephemeral().map(|one| Cow::Owned(as_container(one))))
}

fn specified(pod: &Pod) -> &[EphemeralContainer] {
    let spec = pod.spec.as_ref();
    let list = spec.and_then(|spec| spec.ephemeral_containers.as_deref());
    list.unwrap_or_default()
}

/// Without what the API does not let an ephemeral container have: hooks, ports, probes, resources, restarts. Its target
/// means nothing here: there are no processes to be seen.
fn as_container(one: &EphemeralContainer) -> Container {
    Container {
        args: one.args.clone(),
        command: one.command.clone(),
        env: one.env.clone(),
        env_from: one.env_from.clone(),
        image: one.image.clone(),
        image_pull_policy: one.image_pull_policy.clone(),
        name: one.name.clone(),
        security_context: one.security_context.clone(),
        stdin: one.stdin,
        stdin_once: one.stdin_once,
        termination_message_path: one.termination_message_path.clone(),
        termination_message_policy: one.termination_message_policy.clone(),
        tty: one.tty,
        volume_devices: one.volume_devices.clone(),
        volume_mounts: one.volume_mounts.clone(),
        working_dir: one.working_dir.clone(),
        ..Container::default()
    }
}
