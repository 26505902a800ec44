//! ServiceAccount admission: every pod runs as one that exists.
//!
//! The token volume is not added yet: nothing here signs tokens.

use std::time::Duration;

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;
use tokio::time::timeout;

use crate::api::{Api, Result};
use crate::read::{find, prefix};

const DEFAULT: &str = "default";
/// A controller makes the default account of a new namespace; a pod created right after it waits this long.
const WAIT: Duration = Duration::from_secs(2);

/// Sets the account and checks that it is there.
pub(super) async fn admit(api: &Api, resource: &Resource, pod: &mut Value) -> Result<()> {
    let named = [
        object::text(pod, "spec.serviceAccountName"),
        object::text(pod, "spec.serviceAccount"),
    ];
    let name = named
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or(DEFAULT)
        .to_owned();
    let namespace = object::namespace(pod).to_owned();
    if !exists(api, &namespace, &name).await? {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(Status::forbidden(resource, object::name(pod), &why));
    }
    object::set(pod, "spec.serviceAccountName", name);
    Ok(())
}

async fn exists(api: &Api, namespace: &str, name: &str) -> Result<bool> {
    let accounts = find_resource("", "v1", "serviceaccounts").ok_or_else(Status::path_not_found)?;
    // Watched before it is looked for, so that nothing falls in between.
    let from = api.store.current_revision();
    if find(api, accounts, namespace, name).await?.is_some() {
        return Ok(true);
    }
    if name != DEFAULT {
        return Ok(false);
    }
    let Ok(mut watch) = api.store.watch(prefix(accounts, namespace), from).await else {
        return Ok(false);
    };
    let appeared = async {
        while let Ok(events) = watch.next().await {
            if events.iter().any(|event| *event.entry.object.name == *name) {
                return;
            }
        }
    };
    if timeout(WAIT, appeared).await.is_err() {
        return Ok(false);
    }
    Ok(find(api, accounts, namespace, name).await?.is_some())
}
