//! ServiceAccount admission: every pod runs as one that exists, and finds in a volume what it takes to ask the server:
//! a token, the authority's certificate, and its namespace.

use std::time::Duration;

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::node_restriction::holds;
use crate::api::{Api, Result};
use crate::object::Stored;
use crate::read::{find, prefix};
use crate::respond::parse;
use crate::tokens::PROJECTED_SECONDS;
use crate::write::generated_name;

const DEFAULT: &str = "default";
const VOLUME: &str = "kube-api-access-";
/// Where every client library looks for it.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
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
    // A mirror pod stands for one that runs already, and gets nothing by that.
    if object::annotation(pod, "kubernetes.io/config.mirror").is_some() {
        return match reference(object::part(pod, "spec")) {
            None => Ok(()),
            Some(why) => {
                let why = format!("a mirror pod may not {why}");
                Err(Status::forbidden(resource, object::name(pod), &why))
            }
        };
    }
    let Some(account) = account(api, &namespace, &name).await? else {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(Status::forbidden(resource, object::name(pod), &why));
    };
    object::set(pod, "spec.serviceAccountName", name);
    let account = parse(&account.object.raw)?;
    if object::is_empty(pod, "spec.imagePullSecrets")
        && let Some(secrets) = object::get(&account, "imagePullSecrets")
    {
        object::set(pod, "spec.imagePullSecrets", secrets.clone());
    }
    let mounts = object::get(pod, "spec.automountServiceAccountToken")
        .or_else(|| object::get(&account, "automountServiceAccountToken"))
        .and_then(Value::as_bool)
        .unwrap_or(true);
    if mounts {
        mount(pod);
    }
    Ok(())
}

/// What a mirror pod would do that it may not.
fn reference(spec: &Value) -> Option<&'static str> {
    const SECRETS: [&str; 4] = [
        "secretKeyRef",
        "secretRef",
        "secretName",
        "nodePublishSecretRef",
    ];
    if !object::is_empty(spec, "serviceAccountName") {
        return Some("reference service accounts");
    }
    let projected = |kind: &str| {
        let volumes = object::items(spec, "volumes").iter();
        let mut sources = volumes.flat_map(|volume| object::items(volume, "projected.sources"));
        sources.any(|source| object::get(source, kind).is_some())
    };
    if !object::is_empty(spec, "imagePullSecrets") || holds(spec, &SECRETS) || projected("secret") {
        return Some("reference secrets");
    }
    projected("serviceAccountToken").then_some("use ServiceAccountToken volume projections")
}

/// Gives every container that has nothing there yet the volume with the token.
fn mount(pod: &mut Value) {
    let known = object::items(pod, "spec.volumes")
        .iter()
        .find(|volume| {
            object::text(volume, "name").starts_with(VOLUME)
                && object::get(volume, "projected").is_some()
        })
        .map(|volume| object::text(volume, "name").to_owned());
    let name = known.clone().unwrap_or_else(|| generated_name(VOLUME));
    let mut needed = false;
    for list in ["spec.initContainers", "spec.containers"] {
        for container in object::items_mut(pod, list) {
            let mut mounts = object::items(container, "volumeMounts").to_vec();
            if mounts
                .iter()
                .any(|mount| object::text(mount, "mountPath") == MOUNT_PATH)
            {
                continue;
            }
            mounts.push(json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}));
            object::set(container, "volumeMounts", mounts);
            needed = true;
        }
    }
    if !needed || known.is_some() {
        return;
    }
    let mut volumes = object::items(pod, "spec.volumes").to_vec();
    volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": PROJECTED_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}));
    object::set(pod, "spec.volumes", volumes);
}

async fn account(api: &Api, namespace: &str, name: &str) -> Result<Option<Stored>> {
    let accounts = find_resource("", "v1", "serviceaccounts").ok_or_else(Status::path_not_found)?;
    // Watched before it is looked for, so that nothing falls in between.
    let from = api.store.current_revision();
    let found = find(api, accounts, namespace, name).await?;
    if found.is_some() || name != DEFAULT {
        return Ok(found);
    }
    let Ok(mut watch) = api.store.watch(prefix(accounts, namespace), from).await else {
        return Ok(None);
    };
    let appeared = async {
        while let Ok(events) = watch.next().await {
            if events
                .iter()
                .any(|event| *event.entry.object.name() == *name)
            {
                return;
            }
        }
    };
    if timeout(WAIT, appeared).await.is_err() {
        return Ok(None);
    }
    find(api, accounts, namespace, name).await
}
