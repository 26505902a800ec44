//! PATCH: the change is applied to the newest version, again whenever somebody else was faster.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use sampan_api::custom::decode::duplicates;
use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use sampan_api::{object, patch as rules};
use serde_json::Value;

use super::apply::apply;
use super::commit::{Change, Outcome, apply_update, current_value};
use super::managers::Managers;
use super::meta::{asked_version, check_identity};
use super::{Attempts, WriteOptions};
use crate::api::{Answer, Call, Result};
use crate::content::{Offer, Output, conform_patched, misfit, negotiate_for, read_body};
use crate::part;
use crate::read::{existing, key};
use crate::request::ResourceTarget;
use crate::respond;

/// The types of patches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    fn of(call: &Call) -> Result<PatchType> {
        let content_type = call
            .parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        match content_type.split(';').next().unwrap_or("").trim() {
            "application/json-patch+json" => Ok(PatchType::Json),
            "application/merge-patch+json" => Ok(PatchType::Merge),
            "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
            "application/apply-patch+yaml" => Ok(PatchType::Apply),
            _ => Err(Status::unsupported_patch_type()),
        }
    }
}

/// A patch, parsed as far as its type allows.
enum Patch {
    Json(Bytes),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    fn apply(&self, original: &Value, type_name: &str) -> Result<Value> {
        Ok(match self {
            Patch::Json(operations) => rules::json_patch(original, operations)?,
            Patch::Merge(patch) => rules::merge_patch(original, patch),
            Patch::Strategic(patch) => rules::strategic(original, patch, type_name)?,
        })
    }
}

/// What a client sent.
struct Sent {
    body: Bytes,
    patch: Patch,
    /// Fields that its text names twice.
    twice: Vec<String>,
}

/// PATCH of an object or of a part of it.
pub(crate) async fn patch(mut call: Call, target: ResourceTarget) -> Answer {
    let patch_type = PatchType::of(&call)?;
    // Without built-in types nobody knows how such a patch merges lists.
    if target.resource.is_custom() && patch_type == PatchType::Strategic {
        return Err(Status::patch_of_custom());
    }
    let options = WriteOptions::of_patch(&call, patch_type == PatchType::Apply)?;
    let output = negotiate_for(&call, Offer::Object, Some(target.resource))?;
    let body = call.take_body();
    let body = read_body(body, call.api.limits.body_bytes).await?;
    let patch = match patch_type {
        PatchType::Json => Patch::Json(body.clone()),
        PatchType::Merge => Patch::Merge(rules::read_merge(&body)?),
        PatchType::Strategic => Patch::Strategic(rules::read_strategic(&body)?),
        PatchType::Apply => return apply(&call, &target, body, &options, &output).await,
    };
    let mut twice = match call.query.get("fieldValidation") {
        Some("Ignore") => Vec::new(),
        _ => duplicates(&body),
    };
    if matches!(patch, Patch::Json(_)) {
        twice
            .iter_mut()
            .for_each(|one| one.insert_str(0, "json patch "));
    }
    let sent = Sent { body, patch, twice };
    let mut warnings = Vec::new();
    let answer = change(&call, &target, &options, &output, &sent, &mut warnings).await;
    respond::warned(answer, &warnings, &output)
}

/// Whatever comes of it, the warnings are to be told.
async fn change(
    call: &Call,
    target: &ResourceTarget,
    options: &WriteOptions,
    output: &Output,
    sent: &Sent,
    warnings: &mut Vec<String>,
) -> Answer {
    let text = || String::from_utf8_lossy(&sent.body).into_owned();
    let resource = target.resource;
    let key = key(resource, &target.namespace, &target.name);
    let mut attempts = Attempts::new(&call.api, key);
    loop {
        attempts.next().await?;
        let current = existing(&call.api, target).await?;
        let row = part::row(resource);
        let old = current_value(row, &current)?;
        let expected = part::spoken(target);
        let shown = part::shown(target, &old)?;
        let patched = sent.patch.apply(&shown, expected.type_name)?;
        check_kind(&patched, &shown).map_err(|why| misfit(text(), why))?;
        let decoded = conform_patched(call, expected, patched, &sent.twice, text)?;
        *warnings = decoded.warnings;
        let mut new = decoded.value;
        check_uid(resource, &target.name, &new, &shown)?;
        check_identity(&mut new, &target.namespace, &target.name)?;
        let version = asked_version(&new);
        if !version.is_empty() && version != current.object.revision() {
            return Err(Status::conflict_modified(resource, &target.name));
        }
        let managers = Managers::after(target, &options.manager, &old, &new)?;
        let new = part::merged(target, new, &old)?;
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

/// A patch may not turn an object into another kind.
fn check_kind(new: &Value, old: &Value) -> std::result::Result<(), String> {
    for field in ["apiVersion", "kind"] {
        let (new, old) = (object::text(new, field), object::text(old, field));
        if new != old {
            return Err(format!(
                "a patch may not change {field} from {old:?} to {new:?}"
            ));
        }
    }
    Ok(())
}

/// A uid in a patch is a change, where in an update it is a precondition.
fn check_uid(resource: &Resource, name: &str, new: &Value, old: &Value) -> Result<()> {
    let uid = object::uid(new);
    if uid.is_empty() || uid == object::uid(old) {
        return Ok(());
    }
    let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
    Err(Status::invalid(resource, name, vec![error]))
}
