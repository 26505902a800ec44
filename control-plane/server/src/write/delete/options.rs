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
    /// Out of the body. Only where there is none, the query counts.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<DeleteOptions> {
        match body {
            Some(body) => DeleteOptions::read(body),
            None => DeleteOptions::read(&of_query(query)?),
        }
    }

    fn read(said: &Value) -> Result<DeleteOptions> {
        let text = |path: &str| {
            let text = object::text(said, path);
            (!text.is_empty()).then(|| text.to_owned())
        };
        let propagation = match text("propagationPolicy").as_deref() {
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
        let orphan = object::get(said, "orphanDependents").and_then(Value::as_bool);
        if orphan.is_some()
            && let Some(policy) = text("propagationPolicy")
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
        let dry = object::items(said, "dryRun");
        if dry.iter().any(|value| value != "All") {
            return Err(invalid(FieldError::not_supported(
                "dryRun",
                json!(dry),
                &["All"],
            )));
        }
        Ok(DeleteOptions {
            dry_run: !dry.is_empty(),
            grace: object::int(said, "gracePeriodSeconds"),
            propagation: propagation.or(legacy),
            uid: text("preconditions.uid"),
            resource_version: text("preconditions.resourceVersion"),
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

/// What a query says, as a body would say it.
fn of_query(query: &Query) -> Result<Value> {
    let mut said = json!({});
    for (name, path) in [
        ("propagationPolicy", "propagationPolicy"),
        ("uid", "preconditions.uid"),
        ("resourceVersion", "preconditions.resourceVersion"),
    ] {
        if let Some(text) = query.get(name) {
            object::set(&mut said, path, text);
        }
    }
    if let Some(orphan) = query.boolean("orphanDependents") {
        object::set(&mut said, "orphanDependents", orphan);
    }
    if let Some(grace) = query.get("gracePeriodSeconds") {
        let grace: i64 = grace
            .parse()
            .map_err(|_| Status::bad_request("gracePeriodSeconds must be a number"))?;
        object::set(&mut said, "gracePeriodSeconds", grace);
    }
    let dry = query.all("dryRun").filter(|value| !value.is_empty());
    object::set(&mut said, "dryRun", dry.collect::<Vec<_>>());
    Ok(said)
}

fn invalid(error: FieldError) -> Status {
    Status::invalid_kind("meta.k8s.io", "DeleteOptions", "", vec![error])
}
