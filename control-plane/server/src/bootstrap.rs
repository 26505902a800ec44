//! Objects that exist from the first start on, and those that are brought back whenever somebody changes them (`kept`).

mod api_services;
mod flow;
mod kept;
mod policy;

use std::net::Ipv4Addr;

use futures::future::try_join_all;
use sampan_api::object;
use sampan_api::resource::{Resource, find_kind};
use sampan_api::status::Status;
use serde_json::{Value, json};

pub(crate) use kept::keep;

use crate::api::{Api, Result};
use crate::read::{all, find};
use crate::strategy;
use crate::write::store_own;

/// What this server knows about the cluster before it reads a single object.
pub(crate) struct Facts {
    /// The first Service address: `kubernetes.default`.
    pub(crate) service_ip: Ipv4Addr,
    /// Service addresses, as `10.96.0.0/16`.
    pub(crate) service_cidr: String,
    /// The authority clients' certificates come from.
    pub(crate) ca_pem: String,
}

/// Brings memory in line with the store, and the store in line with what must be there.
pub(crate) async fn run(api: &Api) -> Result<()> {
    let services = all(api, "", "services", "").await?;
    let addresses = strategy::sweep(
        api,
        &services,
        all(api, "networking.k8s.io", "ipaddresses", "").await?,
    );
    strategy::restore(api, &services, &addresses.await?);
    for kept in kept::objects(api)? {
        // What is in its way, a quota for instance, is for people to clear, and for that they need the server. It is
        // tried again and again.
        if let Err(error) = kept.ensure(api).await {
            tracing::warn!(
                error = error.message,
                "an object of the system could not be brought back"
            );
        }
    }
    // Together: they share a few commits.
    let objects = policy::objects()
        .into_iter()
        .chain(flow::objects())
        .chain(api_services::objects())
        .chain(priority_classes());
    try_join_all(objects.map(|value| ensure(api, value))).await?;
    strategy::repair(api).await
}

fn priority_classes() -> [Value; 2] {
    let class = |name: &str, value: i64, description: &str| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
        })
    };
    [
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ]
}

/// The row of an object.
fn row(value: &Value) -> Result<&'static Resource> {
    let api_version = object::text(value, "apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    find_kind(group, version, object::text(value, "kind")).ok_or_else(Status::path_not_found)
}

/// Creates what is not there.
async fn ensure(api: &Api, value: Value) -> Result<()> {
    let resource = row(&value)?;
    let (namespace, name) = (object::namespace(&value), object::name(&value));
    if find(api, resource, namespace, name).await?.is_some() {
        return Ok(());
    }
    match store_own(api, resource, value).await {
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        outcome => outcome.map(drop),
    }
}
