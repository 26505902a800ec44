//! IPAddress objects: who holds which Service address, for everybody to see. They follow the Services.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use futures::future::try_join_all;
use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_store::{Expect, Op, RangeRequest, TxnError};
use serde_json::{Value, json};

use super::services::cluster_ip;
use crate::api::{Api, Result};
use crate::object::{Obj, Stored};
use crate::read::{find, prefix, range_failed_now};
use crate::respond::parse;
use crate::write::{store_own, txn_failed};

const MANAGED_BY: &str = "ipallocator.k8s.io";

fn row() -> Result<&'static Resource> {
    find_resource("networking.k8s.io", "v1", "ipaddresses").ok_or_else(Status::path_not_found)
}

/// Follows a Service from one version to the next. An address is free once its object is gone, and not before: that of
/// the next Service would be taken for it.
pub(super) async fn follow(api: &Api, old: Option<&Obj>, new: Option<&Obj>) {
    let (before, after) = (old.and_then(cluster_ip), new.and_then(cluster_ip));
    if before == after {
        return;
    }
    if let (Some(address), Some(service)) = (before, old) {
        match remove(api, address, service).await {
            Ok(true) => api.addresses.release([address], []),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%address, error = error.message, "an IPAddress could not be removed");
            }
        }
    }
    if let (Some(address), Some(service)) = (after, new)
        && let Err(error) = create(api, address, service).await
    {
        tracing::warn!(%address, error = error.message, "an IPAddress could not be created");
    }
}

async fn create(api: &Api, address: Ipv4Addr, service: &Obj) -> Result<()> {
    let value = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": address.to_string(), "labels": {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": MANAGED_BY,
        }},
        "spec": {"parentRef": {
            "group": "", "resource": "services", "namespace": service.namespace(), "name": service.name(),
        }},
    });
    match store_own(api, row()?, value).await {
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Removes the object of an address a Service held. Answers whether there is none then: it may be somebody else's.
async fn remove(api: &Api, address: Ipv4Addr, service: &Obj) -> Result<bool> {
    let (row, name) = (row()?, address.to_string());
    while let Some(found) = find(api, row, "", &name).await? {
        let value = parse(&found.object.raw)?;
        let parent = |field: &str| object::text(&value, &format!("spec.parentRef.{field}"));
        if (parent("namespace"), parent("name")) != (service.namespace(), service.name()) {
            return Ok(false);
        }
        let expect = Expect::Revision(found.revision);
        match api.store.txn(found.key.clone(), expect, Op::Delete).await {
            Ok(_) => break,
            Err(TxnError::Conflict { .. }) => {}
            Err(error) => return Err(txn_failed(error)),
        }
    }
    Ok(true)
}

/// An address somebody wrote down counts as taken. One whose object goes while a Service still holds it gets its object
/// back; else it is free.
pub(super) async fn written(api: &Api, old: Option<&Obj>, new: Option<&Obj>) {
    let Some(address) = old
        .or(new)
        .and_then(|object| object.name().parse::<Ipv4Addr>().ok())
    else {
        return;
    };
    if new.is_some() {
        api.addresses.restore([address], []);
        return;
    }
    match holder(api, old, address).await {
        Ok(true) => {}
        Ok(false) => api.addresses.release([address], []),
        Err(error) => {
            tracing::warn!(%address, error = error.message, "the holder of an address is not known")
        }
    }
}

/// Whether the Service an IPAddress names still has that address. If so, the object is made anew.
async fn holder(api: &Api, object: Option<&Obj>, address: Ipv4Addr) -> Result<bool> {
    let Some(object) = object else {
        return Ok(false);
    };
    let value: Value = parse(&object.raw)?;
    let parent = |field: &str| object::text(&value, &format!("spec.parentRef.{field}"));
    let services = find_resource("", "v1", "services").ok_or_else(Status::path_not_found)?;
    let Some(service) = find(api, services, parent("namespace"), parent("name")).await? else {
        return Ok(false);
    };
    if cluster_ip(&service.object) != Some(address) {
        return Ok(false);
    }
    create(api, address, &service.object).await?;
    Ok(true)
}

/// Removes the objects of ours whose Service does not have the address: the process ended between the Service's commit
/// and theirs. Returns the others.
pub(super) async fn sweep(
    api: &Api,
    services: &[Stored],
    addresses: Vec<Stored>,
) -> Result<Vec<Stored>> {
    let held: HashSet<(&str, &str, Ipv4Addr)> = services
        .iter()
        .filter_map(|service| {
            let object = &service.object;
            Some((object.namespace(), object.name(), cluster_ip(object)?))
        })
        .collect();
    let mut rest = Vec::with_capacity(addresses.len());
    for entry in addresses {
        let value = parse(&entry.object.raw)?;
        let parent = |field: &str| object::text(&value, &format!("spec.parentRef.{field}"));
        let ours = object::label(&value, "ipaddress.kubernetes.io/managed-by") == Some(MANAGED_BY);
        let address = entry.object.name().parse::<Ipv4Addr>();
        let is_held = address
            .is_ok_and(|address| held.contains(&(parent("namespace"), parent("name"), address)));
        if !ours || is_held {
            rest.push(entry);
            continue;
        }
        tracing::info!(address = %entry.object.name(), "an IPAddress without its Service is removed");
        let (key, expect) = (entry.key.clone(), Expect::Revision(entry.revision));
        match api.store.txn(key, expect, Op::Delete).await {
            Ok(_) | Err(TxnError::Conflict { .. }) => {}
            Err(error) => return Err(txn_failed(error)),
        }
    }
    Ok(rest)
}

/// Makes the objects that are missing for Services there are.
pub(super) async fn repair(api: &Api) -> Result<()> {
    let services = find_resource("", "v1", "services").ok_or_else(Status::path_not_found)?;
    let page = api
        .store
        .range(RangeRequest::all(prefix(services, "")))
        .await;
    let page = page.map_err(range_failed_now)?;
    let held = page
        .entries
        .iter()
        .filter_map(|service| Some((cluster_ip(&service.object)?, service)));
    try_join_all(held.map(|(address, service)| async move {
        match find(api, row()?, "", &address.to_string()).await? {
            Some(_) => Ok(()),
            None => create(api, address, &service.object).await,
        }
    }))
    .await
    .map(drop)
}
