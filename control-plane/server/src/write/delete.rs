//! DELETE: at once, gracefully, or when the last finalizer is gone.

mod evict;
mod options;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::Value;

pub(crate) use evict::evict;
pub(crate) use options::DeleteOptions;
use options::Propagation;

use super::Attempts;
use super::commit::{put, remove};
use super::create::unstored;
use super::meta::mark_deleted;
use crate::api::{Answer, Api, Call, Result};
use crate::content::{Offer, Output, delete_options, negotiate_for};
use crate::object::{Obj, Stored, storage_row};
use crate::read::{existing, find};
use crate::request::ResourceTarget;
use crate::strategy::Deletion;
use crate::user::UserInfo;
use crate::{respond, strategy};

/// The garbage collector's finalizers.
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion came to.
pub(crate) enum Deleted {
    /// It is gone; its last state.
    Gone(Stored),
    /// It waits for its finalizers or its grace period.
    Pending(Stored),
    /// Nothing was stored; what would be, and whether it would be gone.
    Dry(Box<Obj>, bool),
}

/// DELETE of one object.
pub(crate) async fn delete(mut call: Call, target: ResourceTarget) -> Answer {
    let output = negotiate_for(&call, Offer::Object, Some(target.resource))?;
    let body = delete_options(&mut call).await?;
    let options = DeleteOptions::parse(&call.query, body.as_ref())?;
    let current = existing(&call.api, &target).await?;
    let resource = target.resource;
    let deleted = delete_one(&call.api, &call.user, resource, current, &options).await?;
    let warnings = options.warnings(resource);
    let answer = deleted_answer(resource, &deleted, &output);
    respond::warned(answer, &warnings, &output)
}

fn deleted_answer(resource: &'static Resource, deleted: &Deleted, output: &Output) -> Answer {
    let (object, gone) = match deleted {
        Deleted::Gone(entry) => (&entry.object, true),
        Deleted::Pending(entry) => (&entry.object, false),
        Deleted::Dry(object, gone) => (&**object, *gone),
    };
    if gone && !resource.answers_deleted {
        let status = Status::deleted(resource, object.name(), object.uid());
        return respond::success(StatusCode::OK, &status, output);
    }
    respond::object(StatusCode::OK, resource, object, output)
}

/// Deletes one object, whoever else writes to it meanwhile.
pub(crate) async fn delete_one(
    api: &Api,
    user: &UserInfo,
    resource: &'static Resource,
    mut current: Stored,
    options: &DeleteOptions,
) -> Result<Deleted> {
    strategy::may_delete(resource, &current.object)?;
    let named = options.resource_version.is_some();
    let mut attempts = Attempts::new(api, current.key.clone()).of_version(named);
    loop {
        attempts.next().await?;
        strategy::agent_may_delete(user, resource, &current.object, Deletion::Plain)?;
        options.check(resource, &current.object)?;
        if let Some(deleted) = attempt(api, resource, &current, options).await? {
            return Ok(deleted);
        }
        let name = current.object.name().to_owned();
        current = find(api, resource, current.object.namespace(), &name)
            .await?
            .ok_or_else(|| Status::not_found(resource, &name))?;
    }
}

/// One try; `None` when the version was not current any more.
async fn attempt(
    api: &Api,
    resource: &'static Resource,
    current: &Stored,
    options: &DeleteOptions,
) -> Result<Option<Deleted>> {
    let row = storage_row(resource);
    let value = respond::parse(&current.object.raw)?;
    let plan = plan(row, &value, options, Timestamp::now());
    if options.dry_run {
        let gone = matches!(plan, Plan::Remove);
        let object = match plan {
            Plan::Mark(marked) => unstored(row, *marked, current.revision)?,
            Plan::Nothing | Plan::Remove => current.object.at(current.revision),
        };
        return Ok(Some(Deleted::Dry(Box::new(object), gone)));
    }
    Ok(match plan {
        Plan::Nothing => Some(Deleted::Pending(current.clone())),
        Plan::Remove => remove(api, current).await?.map(Deleted::Gone),
        Plan::Mark(marked) => put(api, row, current, *marked).await?.map(Deleted::Pending),
    })
}

#[derive(Debug, PartialEq)]
enum Plan {
    /// It is on its way already.
    Nothing,
    Mark(Box<Value>),
    Remove,
}

/// What deleting an object means now.
fn plan(resource: &Resource, old: &Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let mut new = old.clone();
    let graceful = match strategy::grace(resource, old, options.grace) {
        None => false,
        Some(grace) => match begin_grace(resource, &mut new, options.grace, grace, now) {
            Grace::Pending => return Plan::Nothing,
            Grace::Over => false,
            Grace::Running => true,
        },
    };
    let mut finalizers = finalizers(resource, old, options.propagation);
    let own = strategy::finalizer(resource, old).map(str::to_owned);
    finalizers.extend(own.filter(|own| !finalizers.contains(own)));
    let waits = !finalizers.is_empty() || strategy::holds_content(resource, old);
    if finalizers.is_empty() {
        object::remove(&mut new, "metadata.finalizers");
    } else {
        object::set(&mut new, "metadata.finalizers", finalizers);
    }
    if !waits && !graceful {
        return Plan::Remove;
    }
    if waits && object::deletion_timestamp(&new).is_none() {
        mark_deleted(&mut new, resource, now, 0);
    }
    strategy::marked(resource, &mut new);
    if new == *old {
        Plan::Nothing
    } else {
        Plan::Mark(Box::new(new))
    }
}

enum Grace {
    /// Nothing to do: the deletion goes on as it is.
    Pending,
    /// No time left: it can be removed now.
    Over,
    /// It was given time, or less time than before.
    Running,
}

fn begin_grace(
    resource: &Resource,
    new: &mut Value,
    asked: Option<i64>,
    grace: i64,
    now: Timestamp,
) -> Grace {
    let after = |start: Timestamp, seconds: i64| {
        start
            .saturating_add(SignedDuration::from_secs(seconds))
            .unwrap_or(start)
    };
    let Some(since) = object::deletion_timestamp(new).and_then(time::parse) else {
        mark_deleted(new, resource, after(now, grace), grace);
        return if grace == 0 {
            Grace::Over
        } else {
            Grace::Running
        };
    };
    let Some(left) = object::int(new, "metadata.deletionGracePeriodSeconds") else {
        return Grace::Over;
    };
    // A second deletion can only shorten the first, whatever runs by now, and the generation counts the first.
    match asked.map(|asked| if asked < 0 { 1 } else { asked }) {
        Some(asked) if asked < left => {
            object::set(
                new,
                "metadata.deletionTimestamp",
                time::seconds(after(since, asked - left)),
            );
            object::set(new, "metadata.deletionGracePeriodSeconds", asked);
            if asked == 0 {
                Grace::Over
            } else {
                Grace::Running
            }
        }
        _ => Grace::Pending,
    }
}

/// The finalizers after the propagation policy had its say.
fn finalizers(resource: &Resource, old: &Value, propagation: Option<Propagation>) -> Vec<String> {
    let present: Vec<&str> = object::finalizers(old).collect();
    let wanted = match propagation {
        Some(Propagation::Background) => None,
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
        None if present.contains(&ORPHAN) => Some(ORPHAN),
        None if present.contains(&FOREGROUND) => Some(FOREGROUND),
        None if strategy::orphans(resource) => Some(ORPHAN),
        None => None,
    };
    let others = present
        .into_iter()
        .filter(|finalizer| ![ORPHAN, FOREGROUND].contains(finalizer));
    others.chain(wanted).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
