//! Updates: from a current version and a wanted one to what happens in the store.

use axum::response::Response;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{convert, defaults, object};
use sampan_store::{Durability, Expect, Op, TxnError};
use serde_json::{Map, Value};

use super::create::{to_storage, unstored};
use super::managers::{self, Managers};
use super::meta::bump_generation;
use super::stored::stored_bytes;
use crate::api::{Api, Result};
use crate::content::Output;
use crate::object::{Obj, Stored};
use crate::request::ResourceTarget;
use crate::user::UserInfo;
use crate::{part, respond, strategy};

/// What an update came to.
pub(crate) enum Updated {
    /// A new version, or the old one when nothing changed.
    Stored(Stored),
    /// It was the last thing a deletion waited for: what the object would have been.
    Removed(Box<Obj>),
    /// Nothing was stored.
    Dry(Box<Obj>),
}

impl Updated {
    fn object(&self) -> &Obj {
        match self {
            Updated::Stored(entry) => &entry.object,
            Updated::Removed(object) | Updated::Dry(object) => object,
        }
    }

    pub(super) fn response(&self, target: &ResourceTarget, output: &Output) -> Result<Response> {
        part::respond(target, self.object(), output)
    }
}

/// Whether an update happened.
pub(crate) enum Outcome {
    Done(Updated),
    /// Somebody else wrote in between. Whether to try again is the caller's.
    Lost,
}

/// An update of one version of one object.
pub(crate) struct Change<'a> {
    pub(crate) resource: &'static Resource,
    pub(crate) subresource: &'a str,
    pub(crate) user: &'a UserInfo,
    pub(crate) current: &'a Stored,
    /// In the version of `resource`.
    pub(crate) old: &'a Value,
    pub(crate) managers: Managers<'a>,
    pub(crate) dry_run: bool,
    /// What is odd about the new version is added here, once it is known to be valid.
    pub(crate) warnings: &'a mut Vec<String>,
}

/// The current version as a value in the API version of `resource`.
pub(crate) fn current_value(resource: &'static Resource, current: &Stored) -> Result<Value> {
    let value = respond::parse(&current.object.raw)?;
    if let Some(custom) = resource.custom() {
        return Ok(custom.read(value));
    }
    Ok(convert::into_version(value, &resource.api_version()))
}

/// Replaces the current version by `new`, under the rules of the resource.
pub(crate) async fn apply_update(api: &Api, change: Change<'_>, mut new: Value) -> Result<Outcome> {
    let Change {
        resource,
        subresource,
        user,
        current,
        old,
        managers,
        dry_run,
        warnings,
    } = change;
    check_uid(resource, current, &new)?;
    strategy::fill_in(resource, &mut new)?;
    object::remove(&mut new, "metadata.selfLink");
    // Settled before anything but the client has its say.
    let list = managers.settle(Some(old), &mut new);
    strategy::prepare_update(resource, subresource, &mut new, old);
    strategy::admit_update(api, user, resource, subresource, &mut new, old).await?;
    strategy::complete(resource, &mut new, Some(old));
    if subresource != "status" && defaults::bumps_generation(resource, &new, old) {
        bump_generation(&mut new, resource);
    }
    managers::put(&mut new, list);
    let errors = strategy::check_update(resource, subresource, &new, old);
    if !errors.is_empty() {
        return Err(Status::invalid(resource, current.object.name(), errors));
    }
    warnings.extend(strategy::update_warnings(resource, subresource, &new, old));
    strategy::confirm(api, resource, subresource, &new, Some(old)).await?;
    let reservation =
        strategy::reserve(api, resource, subresource, &mut new, Some(old), dry_run).await?;
    if strategy::removed_by_update(resource, &new, old) {
        if dry_run {
            let last = unstored(resource, new, current.revision)?;
            return Ok(Outcome::Done(Updated::Dry(Box::new(last))));
        }
        let Some(entry) = remove(api, current).await? else {
            return Ok(Outcome::Lost);
        };
        let last = unstored(resource, new, entry.revision)?;
        return Ok(Outcome::Done(Updated::Removed(Box::new(last))));
    }
    if unchanged(resource, &new, old, current)? {
        return Ok(Outcome::Done(Updated::Stored(current.clone())));
    }
    if dry_run {
        return Ok(Outcome::Done(Updated::Dry(Box::new(unstored(
            resource,
            new,
            current.revision,
        )?))));
    }
    let outcome = put(api, resource, current, new).await?;
    if outcome.is_some() {
        reservation.keep();
    }
    Ok(outcome.map_or(Outcome::Lost, |entry| Outcome::Done(Updated::Stored(entry))))
}

/// Stores a new version on top of the current one; `None` when that is not current any more.
pub(crate) async fn put(
    api: &Api,
    resource: &'static Resource,
    current: &Stored,
    new: Value,
) -> Result<Option<Stored>> {
    let value = stored_bytes(&to_storage(resource, new))?;
    let op = Op::Put {
        value,
        durability: durability(resource, current.object.namespace()),
    };
    match api
        .store
        .txn(current.key.clone(), Expect::Revision(current.revision), op)
        .await
    {
        Ok(committed) => {
            let entry = committed.entry;
            entry.object.conforms(resource);
            strategy::changed(api, Some(&current.object), Some(&entry.object)).await;
            Ok(Some(entry))
        }
        Err(TxnError::Conflict { .. }) => Ok(None),
        Err(error) => Err(txn_failed(error)),
    }
}

/// Removes the current version; `None` when it is not current any more.
pub(crate) async fn remove(api: &Api, current: &Stored) -> Result<Option<Stored>> {
    match api
        .store
        .txn(
            current.key.clone(),
            Expect::Revision(current.revision),
            Op::Delete,
        )
        .await
    {
        Ok(committed) => {
            strategy::changed(api, Some(&current.object), None).await;
            Ok(Some(committed.entry))
        }
        Err(TxnError::Conflict { .. }) => Ok(None),
        Err(error) => Err(txn_failed(error)),
    }
}

fn check_uid(resource: &Resource, current: &Stored, new: &Value) -> Result<()> {
    let (wanted, found) = (object::uid(new), current.object.uid());
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let why =
        format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
    Err(Status::conflict(resource, current.object.name(), &why))
}

/// Whether an update would store what is stored already. A custom object in an old version, or without defaults that
/// came since, is stored anew even if its reader sees no difference.
fn unchanged(
    resource: &'static Resource,
    new: &Value,
    old: &Value,
    current: &Stored,
) -> Result<bool> {
    if !resource.is_custom() {
        return Ok(same(new, old));
    }
    let (stored, new) = (
        respond::parse(&current.object.raw)?,
        to_storage(resource, new.clone()),
    );
    let (Value::Object(new), Value::Object(stored)) = (&new, &stored) else {
        return Ok(false);
    };
    let content =
        |map: &Map<String, Value>| map.iter().filter(|(key, _)| *key != "metadata").count();
    let alike = new
        .iter()
        .all(|(key, value)| key == "metadata" || stored.get(key) == Some(value));
    Ok(alike && content(new) == content(stored) && same_metadata(new, stored))
}

/// Whether two versions say the same. An empty map or list and none at all are the same thing at the top and in the
/// metadata, where clients differ in how they write them.
fn same(new: &Value, old: &Value) -> bool {
    let (Value::Object(new), Value::Object(old)) = (new, old) else {
        return false;
    };
    covers(new, old, "metadata") && covers(old, new, "metadata") && same_metadata(new, old)
}

fn same_metadata(new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
    let metadata = |map: &Map<String, Value>| match map.get("metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => Map::new(),
    };
    let (mut new_metadata, mut old_metadata) = (metadata(new), metadata(old));
    let [new_list, old_list] =
        [&mut new_metadata, &mut old_metadata].map(|metadata| metadata.remove("managedFields"));
    covers(&new_metadata, &old_metadata, "resourceVersion")
        && covers(&old_metadata, &new_metadata, "resourceVersion")
        && managers::same(new_list.as_ref(), old_list.as_ref())
}

/// Whether `b` says everything `a` says, one field aside.
fn covers(a: &Map<String, Value>, b: &Map<String, Value>, aside: &str) -> bool {
    let says = |value: &Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    a.iter()
        .filter(|(key, value)| *key != aside && says(value))
        .all(|(key, value)| b.get(key) == Some(value))
}

/// Heartbeats and events may be lost in a crash; everything else is on disk before it is acknowledged.
pub(super) fn durability(resource: &Resource, namespace: &str) -> Durability {
    match resource.bucket {
        "events" => Durability::Lazy,
        "leases" if namespace == "kube-node-lease" => Durability::Lazy,
        _ => Durability::Durable,
    }
}

/// What a failed transaction means to a client, conflicts aside.
pub(crate) fn txn_failed(error: TxnError<Obj>) -> Status {
    match error {
        TxnError::Store(error) => crate::read::store_failed(error),
        TxnError::Decode(error) => Status::internal(error.to_string()),
        TxnError::Conflict { .. } => Status::internal("a conflict was not handled"),
    }
}
