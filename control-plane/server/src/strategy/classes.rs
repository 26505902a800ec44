//! Default classes of storage and of ingresses, and which claims may grow.

use sampan_api::object;
use sampan_api::quantity::Quantity;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::{all, find};
use crate::respond::parse;

const STORAGE: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];
const STORAGE_GROUP: &str = "storage.k8s.io";
/// By which claims named their class before they had a field for it.
const CLAIM_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const INGRESS: [&str; 1] = ["ingressclass.kubernetes.io/is-default-class"];
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";

/// Gives a claim that names no class the default one. An empty name is a name: no class at all.
pub(super) async fn claim(api: &Api, claim: &mut Value) -> Result<()> {
    let named = object::get(claim, "spec.storageClassName").is_some()
        || object::annotation(claim, CLAIM_CLASS).is_some();
    if !named && let Some(name) = default(api, STORAGE_GROUP, "storageclasses", &STORAGE).await? {
        object::set(claim, "spec.storageClassName", name);
    }
    Ok(())
}

/// Gives an ingress that names no class the default one.
pub(super) async fn ingress(api: &Api, ingress: &mut Value) -> Result<()> {
    let named = object::get(ingress, "spec.ingressClassName").is_some()
        || object::annotation(ingress, INGRESS_CLASS).is_some();
    let group = "networking.k8s.io";
    if !named && let Some(name) = default(api, group, "ingressclasses", &INGRESS).await? {
        object::set(ingress, "spec.ingressClassName", name);
    }
    Ok(())
}

/// The default class; of several the newest, and of those the first by name.
async fn default(api: &Api, group: &str, plural: &str, marks: &[&str]) -> Result<Option<String>> {
    let mut newest: Option<(String, String)> = None;
    for entry in all(api, group, plural, "").await? {
        let class = parse(&entry.object.raw)?;
        if !marks
            .iter()
            .any(|mark| object::annotation(&class, mark) == Some("true"))
        {
            continue;
        }
        let created = object::creation_timestamp(&class).to_owned();
        // They come in the order of their names.
        if newest.as_ref().is_none_or(|(known, _)| created > *known) {
            newest = Some((created, object::name(&class).to_owned()));
        }
    }
    Ok(newest.map(|(_, name)| name))
}

/// A claim grows only when it is bound and its class says that volumes can.
pub(super) async fn resize(api: &Api, resource: &Resource, new: &Value, old: &Value) -> Result<()> {
    let size = |claim: &Value| {
        let size = object::get(claim, "spec.resources.requests.storage");
        size.and_then(|size| Quantity::from_value(size).ok())
            .unwrap_or_default()
    };
    if size(new) <= size(old) {
        return Ok(());
    }
    let refuse = |why: &str| Err(Status::forbidden(resource, object::name(new), why));
    if object::text(old, "status.phase") != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    let class = object::text(new, "spec.storageClassName");
    let classes =
        find_resource(STORAGE_GROUP, "v1", "storageclasses").ok_or_else(Status::path_not_found)?;
    let same = !class.is_empty() && class == object::text(old, "spec.storageClassName");
    let found = if same {
        find(api, classes, "", class).await?
    } else {
        None
    };
    let grows = match found {
        Some(found) => object::flag(&parse(&found.object.raw)?, "allowVolumeExpansion"),
        None => false,
    };
    if grows {
        return Ok(());
    }
    refuse(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    )
}
