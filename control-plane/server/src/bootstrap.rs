//! Objects that exist from the first start on: the system namespaces, the Service `default/kubernetes`, and the roles by
//! which requests are authorized.

mod policy;

use std::net::Ipv4Addr;

use futures::future::try_join_all;
use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource, find_kind};
use sampan_api::status::Status;
use sampan_store::RangeRequest;
use serde_json::{Value, json};

use crate::api::{Api, Result};
use crate::read::{prefix, store_failed};
use crate::strategy;
use crate::user::UserInfo;
use crate::write::store_new;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Brings memory in line with the store, and the store in line with what must be there.
pub(crate) async fn run(api: &Api, service_ip: Ipv4Addr) -> Result<()> {
    let services = row("services")?;
    let page = api
        .store
        .range(RangeRequest::all(prefix(services, "")))
        .await
        .map_err(|error| match error {
            sampan_store::RangeError::Store(error) => store_failed(error),
            other => Status::internal(other.to_string()),
        })?;
    strategy::restore(api, &page.entries);
    for name in NAMESPACES {
        ensure(
            api,
            row("namespaces")?,
            json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            }),
        )
        .await?;
    }
    // At once: they share a few commits.
    let policy = policy::objects().into_iter().map(|value| async move {
        let (group, version) = object::text(&value, "apiVersion")
            .split_once('/')
            .unwrap_or_default();
        let resource = find_kind(group, version, object::text(&value, "kind"));
        ensure(api, resource.ok_or_else(Status::path_not_found)?, value).await
    });
    try_join_all(policy).await?;
    ensure(api, services, json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": service_ip.to_string(),
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": api.advertised.port()}],
        },
    }))
    .await
}

fn row(plural: &str) -> Result<&'static Resource> {
    find_resource("", "v1", plural).ok_or_else(Status::path_not_found)
}

async fn ensure(api: &Api, resource: &'static Resource, value: Value) -> Result<()> {
    let name = object::name(&value).to_owned();
    let namespace = object::namespace(&value).to_owned();
    if crate::read::find(api, resource, &namespace, &name)
        .await?
        .is_some()
    {
        return Ok(());
    }
    match store_new(api, &UserInfo::server(), resource, value).await {
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        outcome => outcome.map(drop),
    }
}
