//! Events that follow from a change of status, not from an action.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::phase::{DEADLINE_MESSAGE, DEADLINE_REASON};
use super::{ephemeral_containers, init_containers};

/// An event about to be recorded on the pod or one of its containers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// `spec.containers{name}`; empty for the pod itself.
    pub(crate) field_path: String,
}

/// The events of the step from `before` to `after`.
pub(crate) fn notes(pod: &Pod, before: &PodStatus, after: &PodStatus) -> Vec<Note> {
    let mut notes = Vec::new();
    if after.reason.as_deref() == Some(DEADLINE_REASON) && before.reason != after.reason {
        notes.push(Note {
            warning: false,
            reason: DEADLINE_REASON,
            message: DEADLINE_MESSAGE.into(),
            field_path: String::new(),
        });
    }
    for (list_before, list_after) in [
        (
            &before.init_container_statuses,
            &after.init_container_statuses,
        ),
        (&before.container_statuses, &after.container_statuses),
        (
            &before.ephemeral_container_statuses,
            &after.ephemeral_container_statuses,
        ),
    ] {
        let before = list_before.iter().flatten();
        let before: HashMap<&str, &ContainerStatus> =
            before.map(|s| (s.name.as_str(), s)).collect();
        for status in list_after.iter().flatten() {
            let earlier = before.get(status.name.as_str());
            if earlier.and_then(|earlier| waiting_reason(earlier)) != waiting_reason(status) {
                container_notes(pod, status, &mut notes);
            }
        }
    }
    notes
}

fn container_notes(pod: &Pod, status: &ContainerStatus, notes: &mut Vec<Note>) {
    let field_path = || field_path(pod, &status.name);
    match waiting_reason(status) {
        Some("CrashLoopBackOff") => notes.push(Note {
            warning: true,
            reason: "BackOff",
            message: format!(
                "Back-off restarting failed container {} in pod {}",
                status.name,
                pod_text(pod)
            ),
            field_path: field_path(),
        }),
        Some("ImagePullBackOff") => {
            let message = status
                .state
                .as_ref()
                .and_then(|s| s.waiting.as_ref()?.message.clone());
            notes.push(Note {
                warning: false,
                reason: "BackOff",
                message: message.unwrap_or_default(),
                field_path: field_path(),
            });
            notes.push(Note {
                warning: true,
                reason: "Failed",
                message: "Error: ImagePullBackOff".into(),
                field_path: field_path(),
            });
        }
        _ => {}
    }
}

fn waiting_reason(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

/// Where a container stands in its pod, as events name it.
pub(crate) fn field_path(pod: &Pod, container: &str) -> String {
    let is_init = init_containers(pod)
        .iter()
        .any(|init| init.name == container);
    let list = match is_init {
        true => "initContainers",
        false if ephemeral_containers(pod).any(|one| one.name == container) => {
            "ephemeralContainers"
        }
        false => "containers",
    };
    format!("spec.{list}{{{container}}}")
}

/// `NAME_NAMESPACE(UID)`, as upstream names pods in messages.
pub(crate) fn pod_text(pod: &Pod) -> String {
    format!(
        "{}_{}({})",
        pod.metadata.name.as_deref().unwrap_or_default(),
        pod.metadata.namespace.as_deref().unwrap_or_default(),
        pod.metadata.uid.as_deref().unwrap_or_default()
    )
}
