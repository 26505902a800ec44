//! PATCH with a configuration: server-side apply.

use bytes::Bytes;
use sampan_api::apply::MANAGED_FIELDS;
use sampan_api::status::Status;
use sampan_api::{decode, object};
use serde_json::Value;

use super::commit::{Change, Outcome, apply_update, current_value};
use super::create::new_object;
use super::managers::{self, Managers};
use super::meta::{asked_version, check_identity};
use super::{Attempts, WriteOptions};
use crate::api::{Answer, Call, Result};
use crate::authz::authorize_creation;
use crate::content::{Output, conform};
use crate::read::{find, key};
use crate::request::ResourceTarget;
use crate::{part, respond, strategy};

/// Applies a configuration to an object or a part of it, and creates the object when there is none.
pub(super) async fn apply(
    call: &Call,
    target: &ResourceTarget,
    body: Bytes,
    options: &WriteOptions,
    output: &Output,
) -> Answer {
    let expected = part::spoken(target);
    let decoded = match expected.row {
        Some(_) => decode::custom_configuration(&body),
        None => decode::configuration(&body, expected.type_name),
    };
    let config =
        decoded.map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    let mut warnings = Vec::new();
    let answer = merge(call, target, &config, options, output, &mut warnings).await;
    respond::warned(answer, &warnings, output)
}

/// Whatever comes of it, the warnings are to be told.
async fn merge(
    call: &Call,
    target: &ResourceTarget,
    config: &decode::Decoded,
    options: &WriteOptions,
    output: &Output,
    warnings: &mut Vec<String>,
) -> Answer {
    let key = key(target.resource, &target.namespace, &target.name);
    let mut attempts = Attempts::new(&call.api, key);
    loop {
        attempts.next().await?;
        let current = find(&call.api, target.resource, &target.namespace, &target.name).await?;
        let Some(current) = current else {
            if !target.subresource.is_empty() {
                return Err(Status::not_found(target.resource, &target.name));
            }
            attempts.leave();
            let mut value = configured(call, target, None, config, options, warnings)?;
            let list = object::remove(&mut value, MANAGED_FIELDS);
            let answer = create(call, target, value, list, options, output, warnings).await;
            match answer {
                // Somebody else was quicker: then it is applied to what there is now.
                Err(status) if status.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        };
        let row = part::row(target.resource);
        let old = current_value(row, &current)?;
        let shown = managers::shown(target, &old)?;
        let mut new = configured(call, target, Some(&shown), config, options, warnings)?;
        let version = asked_version(&new);
        if !version.is_empty() && version != current.object.revision() {
            return Err(Status::conflict_modified(target.resource, &target.name));
        }
        let list = object::remove(&mut new, MANAGED_FIELDS);
        let list = managers::of_whole(target, &old, list);
        let change = Change {
            resource: row,
            user: &call.user,
            subresource: &target.subresource,
            current: &current,
            old: &old,
            managers: Managers::Settled(list),
            dry_run: options.dry_run,
            warnings,
        };
        let new = part::merged(target, new, &old)?;
        if let Outcome::Done(updated) = apply_update(&call.api, change, new).await? {
            return updated.response(target, output);
        }
    }
}

/// The object after the configuration was applied, in the form of every other body.
fn configured(
    call: &Call,
    target: &ResourceTarget,
    live: Option<&Value>,
    config: &decode::Decoded,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<Value> {
    let applied =
        managers::configured(target, &options.manager, live, &config.value, options.force)?;
    // A conflict is told before what is wrong with the text.
    *warnings = match call.query.get("fieldValidation") {
        Some("Ignore") => Vec::new(),
        Some("Strict") if !config.warnings.is_empty() => {
            let list = config.warnings.join("\n  ");
            return Err(Status::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {list}"
            )));
        }
        _ => config.warnings.clone(),
    };
    let mut value = conform(part::spoken(target), applied)?.value;
    check_identity(&mut value, &target.namespace, &target.name)?;
    Ok(value)
}

async fn create(
    call: &Call,
    target: &ResourceTarget,
    mut value: Value,
    list: Option<Value>,
    options: &WriteOptions,
    output: &Output,
    warnings: &mut Vec<String>,
) -> Answer {
    let (resource, name) = (target.resource, target.name.as_str());
    authorize_creation(&call.api, &call.user, target).await?;
    strategy::agent_may_create(&call.api, &call.user, resource, &value).await?;
    let uid = object::uid(&value);
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    // It names no version of anything.
    object::remove(&mut value, "metadata.resourceVersion");
    let managers = Managers::Settled(list);
    new_object(call, resource, value, managers, options, output, warnings).await
}
