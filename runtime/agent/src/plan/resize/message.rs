//! What events say of a resize.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use serde::Serialize;

use crate::plan::{init_containers, main_containers};

/// The message of an event about a resize, with what the specification asks for, as upstream writes it: it says nothing of
/// the pod as a whole.
pub(crate) fn resize_message(
    begin: &str,
    pod: &Pod,
    generation: Option<i64>,
    error: Option<&str>,
) -> String {
    #[derive(Serialize)]
    struct Share<'a> {
        name: &'a str,
        resources: ResourceRequirements,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Summary<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        init_containers: Vec<Share<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        containers: Vec<Share<'a>>,
        generation: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    fn share(container: &Container) -> Share<'_> {
        Share {
            name: &container.name,
            resources: container.resources.clone().unwrap_or_default(),
        }
    }
    let summary = Summary {
        init_containers: init_containers(pod).iter().map(share).collect(),
        containers: main_containers(pod).iter().map(share).collect(),
        generation: generation.unwrap_or(0),
        error,
    };
    match serde_json::to_string(&summary) {
        Ok(text) => format!("{begin}: {text}"),
        Err(_) => begin.to_owned(),
    }
}
