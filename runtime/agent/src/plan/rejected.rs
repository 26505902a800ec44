//! The end of a pod that this node does not take.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::room::Shortage;

/// The status of a pod that there is too little of something for: none of its containers is ever made. As upstream, it says
/// nothing of them.
pub(crate) fn rejected(pod: &Pod, shortage: &Shortage, now: Timestamp) -> PodStatus {
    let known = pod.status.clone().unwrap_or_default();
    PodStatus {
        observed_generation: pod.metadata.generation,
        phase: Some("Failed".to_owned()),
        reason: Some(shortage.reason()),
        message: Some(format!("Pod was rejected: {}", shortage.message())),
        start_time: Some(known.start_time.unwrap_or(Time(now))),
        conditions: known.conditions,
        qos_class: known.qos_class,
        nominated_node_name: known.nominated_node_name,
        resource_claim_statuses: known.resource_claim_statuses,
        ..PodStatus::default()
    }
}
