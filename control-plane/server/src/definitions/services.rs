//! The APIService of each group and version that definitions want to be served, as upstream's autoregistration keeps it:
//! made when it is missing, put right when it says something else, removed with the last definition. One whose label
//! somebody took away is theirs.

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_store::{Prefix, RangeRequest};
use serde_json::{Value, json};

use super::{ATTEMPTS, Definitions, Known};
use crate::api::{Api, Result};
use crate::read::{find, range_failed_now};
use crate::user::UserInfo;
use crate::{respond, write};

/// Where APIServices are stored.
pub(super) const BUCKET: &str = "apiservices";
/// Says who keeps it, and how long.
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";

fn row() -> Result<&'static Resource> {
    find_resource("apiregistration.k8s.io", "v1", BUCKET).ok_or_else(Status::path_not_found)
}

fn is_managed(service: &Value) -> bool {
    object::labels(service)
        .and_then(|labels| labels.get(LABEL))
        .is_some_and(|how| how == "true")
}

/// The names of those that are kept.
pub(super) async fn managed(api: &Api) -> Result<Vec<String>> {
    let all = RangeRequest::all(Prefix::bucket(BUCKET));
    let page = api.store.range(all).await.map_err(range_failed_now)?;
    let mut names = Vec::new();
    for entry in &page.entries {
        if is_managed(&respond::parse(&entry.object.raw)?) {
            names.push(entry.object.name().to_owned());
        }
    }
    Ok(names)
}

impl Known {
    /// The names of its APIServices.
    pub(super) fn services(&self) -> impl Iterator<Item = String> {
        let versions = self.versions.iter();
        versions.map(|version| format!("{version}.{}", self.group))
    }
}

impl Definitions {
    /// Brings the APIServices that may have changed in line with the definitions.
    pub(super) async fn register(&mut self) -> Result<()> {
        while let Some(name) = self.services.first().cloned() {
            let wanted = name.split_once('.').filter(|(version, group)| {
                let mut known = self.known.values();
                known.any(|it| it.group == *group && it.versions.iter().any(|it| it == version))
            });
            let wanted = wanted.map(|(version, group)| {
                json!({
                    "group": group, "version": version,
                    // Behind the built-in groups.
                    "groupPriorityMinimum": 1000, "versionPriority": 100,
                })
            });
            put_right(&self.api, &name, wanted).await?;
            self.services.remove(&name);
        }
        Ok(())
    }
}

/// Gives an APIService the spec it is to have, or removes it.
async fn put_right(api: &Api, name: &str, wanted: Option<Value>) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let stored = match (find(api, row()?, "", name).await?, &wanted) {
            (None, None) => return Ok(()),
            (None, Some(spec)) => create(api, name, spec).await?,
            (Some(entry), wanted) => {
                let mut service = respond::parse(&entry.object.raw)?;
                if !is_managed(&service) {
                    return Ok(());
                }
                let Some(spec) = wanted else {
                    return delete(api, entry).await;
                };
                if service.get("spec") == Some(spec) {
                    return Ok(());
                }
                object::set(&mut service, "spec", spec.clone());
                let replaced = write::replace(api, row()?, &entry, service).await?;
                replaced.is_some()
            }
        };
        if stored {
            return Ok(());
        }
    }
    // Who was faster so often wrote what is told next.
    Ok(())
}

/// Whether it was there first.
async fn create(api: &Api, name: &str, spec: &Value) -> Result<bool> {
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": name, "labels": {LABEL: "true"}},
        "spec": spec,
    });
    match write::store_own(api, row()?, service).await {
        Err(status) if status.reason == "AlreadyExists" => Ok(false),
        outcome => outcome.map(|_| true),
    }
}

async fn delete(api: &Api, entry: crate::object::Stored) -> Result<()> {
    let (user, options) = (UserInfo::server(), write::DeleteOptions::default());
    match write::delete_one(api, &user, row()?, entry, &options).await {
        // Somebody else was faster.
        Err(status) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop),
    }
}
