//! PUT: an object replaces its current version.

use sampan_api::object;
use sampan_api::status::{FieldError, Status};
use serde_json::Value;

use super::commit::{Change, Outcome, apply_update, current_value};
use super::create::new_object;
use super::managers::Managers;
use super::meta::{asked_version, check_identity};
use super::{Attempts, WriteOptions};
use crate::api::{Answer, Call, Result};
use crate::authz::authorize_creation;
use crate::content::{Offer, Output, negotiate_for, read_object};
use crate::object::Stored;
use crate::part;
use crate::read::{find, key};
use crate::request::ResourceTarget;
use crate::respond;

/// PUT of an object or of a part of it.
pub(crate) async fn update(mut call: Call, target: ResourceTarget) -> Answer {
    let options = WriteOptions::parse(&call, "UpdateOptions")?;
    let output = negotiate_for(&call, Offer::Object, Some(target.resource))?;
    let input = read_object(&mut call, part::spoken(&target)).await?;
    let mut warnings = input.warnings;
    let answer = replace(
        &call,
        &target,
        &options,
        &output,
        input.value,
        &mut warnings,
    );
    let answer = answer.await;
    respond::warned(answer, &warnings, &output)
}

/// Whatever comes of it, the warnings are to be told.
async fn replace(
    call: &Call,
    target: &ResourceTarget,
    options: &WriteOptions,
    output: &Output,
    mut value: Value,
    warnings: &mut Vec<String>,
) -> Answer {
    let resource = target.resource;
    check_identity(&mut value, &target.namespace, &target.name)?;
    let of_text = warnings.len();
    let key = key(resource, &target.namespace, &target.name);
    let named = !asked_version(&value).is_empty();
    let mut attempts = Attempts::new(&call.api, key).of_version(named);
    loop {
        attempts.next().await?;
        warnings.truncate(of_text);
        let Some(current) = find(&call.api, resource, &target.namespace, &target.name).await?
        else {
            if !resource.create_on_update || !target.subresource.is_empty() {
                return Err(Status::not_found(resource, &target.name));
            }
            if !asked_version(&value).is_empty() {
                return Err(Status::conflict_modified(resource, &target.name));
            }
            attempts.leave();
            authorize_creation(&call.api, &call.user, target).await?;
            let managers = Managers::Writer {
                name: &options.manager,
                seen: resource,
                subresource: "",
            };
            let new = value.clone();
            let answer = new_object(call, resource, new, managers, options, output, warnings);
            match answer.await {
                // Somebody else was quicker: then it is an update.
                Err(status) if status.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        };
        check_version(target, &current, &value)?;
        let row = part::row(resource);
        let old = current_value(row, &current)?;
        let managers = Managers::after(target, &options.manager, &old, &value)?;
        let mut sent = value.clone();
        if part::is_scale(target) {
            // Without a version it is put into whatever there is.
            object::set(
                &mut sent,
                "metadata.resourceVersion",
                current.object.revision(),
            );
        }
        let new = part::merged(target, sent, &old)?;
        let change = Change {
            resource: row,
            user: &call.user,
            subresource: &target.subresource,
            current: &current,
            old: &old,
            managers,
            dry_run: options.dry_run,
            warnings,
        };
        if let Outcome::Done(updated) = apply_update(&call.api, change, new).await? {
            return updated.response(target, output);
        }
    }
}

/// The version a client started from must be the current one. Without one, most kinds are overwritten.
fn check_version(target: &ResourceTarget, current: &Stored, value: &Value) -> Result<()> {
    let (resource, wanted) = (target.resource, asked_version(value));
    if wanted.is_empty() {
        if resource.unconditional_update || part::is_scale(target) {
            return Ok(());
        }
        let why = "must be specified for an update";
        let error = FieldError::invalid("metadata.resourceVersion", 0, why);
        // Here upstream names the resource and not its kind.
        let (group, plural) = (resource.group, resource.plural);
        let name = current.object.name();
        return Err(Status::invalid_kind(group, plural, name, vec![error]));
    }
    if wanted == current.object.revision() {
        return Ok(());
    }
    Err(Status::conflict_modified(resource, current.object.name()))
}
