//! DeleteOptions: how to delete, and under which preconditions.

use sampan_api::object;
use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use serde_json::{Value, json};

use crate::api::Result;
use crate::object::Obj;
use crate::request::Query;

/// What happens to what the object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(super) grace: Option<i64>,
    pub(super) propagation: Option<Propagation>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Out of the query and the body; what the body says wins.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<DeleteOptions> {
        let empty = json!({});
        let body = body.unwrap_or(&empty);
        let text = |path: &str, name: &str| match object::text(body, path) {
            "" => query.get(name).map(str::to_owned),
            text => Some(text.to_owned()),
        };
        let propagation = match text("propagationPolicy", "propagationPolicy").as_deref() {
            None => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                return Err(invalid(FieldError::not_supported(
                    "propagationPolicy",
                    other,
                    &supported,
                )));
            }
        };
        let orphan = object::get(body, "orphanDependents")
            .and_then(Value::as_bool)
            .or_else(|| query.boolean("orphanDependents"));
        if orphan.is_some()
            && let Some(policy) = text("propagationPolicy", "propagationPolicy")
        {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid(FieldError::invalid(
                "propagationPolicy",
                policy,
                why,
            )));
        }
        let legacy = orphan.map(|orphan| {
            if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            }
        });
        let grace = match object::int(body, "gracePeriodSeconds") {
            Some(grace) => Some(grace),
            None => match query.get("gracePeriodSeconds").map(str::parse) {
                None => None,
                Some(Ok(grace)) => Some(grace),
                Some(Err(_)) => {
                    return Err(Status::bad_request("gracePeriodSeconds must be a number"));
                }
            },
        };
        let dry = object::items(body, "dryRun");
        if dry.iter().any(|value| value != "All") {
            return Err(invalid(FieldError::not_supported(
                "dryRun",
                json!(dry),
                &["All"],
            )));
        }
        Ok(DeleteOptions {
            dry_run: !dry.is_empty(),
            grace,
            propagation: propagation.or(legacy),
            uid: text("preconditions.uid", "preconditions.uid"),
            resource_version: text(
                "preconditions.resourceVersion",
                "preconditions.resourceVersion",
            ),
        })
    }

    /// What a client should know about what it did not say.
    pub(crate) fn warnings(&self, resource: &Resource) -> Vec<String> {
        const JOBS: &str = "child pods are preserved by default when jobs are deleted; set \
            propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";
        let jobs = (resource.group, resource.kind) == ("batch", "Job");
        (jobs && self.propagation.is_none())
            .then(|| JOBS.to_owned())
            .into_iter()
            .collect()
    }

    pub(super) fn check(&self, resource: &Resource, object: &Obj) -> Result<()> {
        if let Some(uid) = self.uid.as_deref().filter(|uid| **uid != *object.uid()) {
            return Err(Status::uid_precondition(
                resource,
                object.name(),
                uid,
                object.uid(),
            ));
        }
        let version = self.resource_version.as_deref();
        if let Some(version) = version.filter(|version| *version != object.revision()) {
            return Err(Status::version_precondition(
                resource,
                object.name(),
                version,
                object.revision(),
            ));
        }
        Ok(())
    }
}

fn invalid(error: FieldError) -> Status {
    Status::invalid_kind("meta.k8s.io", "DeleteOptions", "", vec![error])
}
