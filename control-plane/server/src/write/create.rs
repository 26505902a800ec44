//! POST: a new object.

use bytes::Bytes;
use http::StatusCode;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{convert, defaults, object, validate};
use sampan_store::{Codec, Expect, Op, Revision, TxnError};
use serde_json::Value;

use super::WriteOptions;
use super::commit::{durability, txn_failed};
use super::managers::{self, Managers};
use super::meta::{check_namespace, generated_name, stamp_new};
use super::stored::stored_bytes;
use crate::api::{Answer, Api, Call, Result};
use crate::content::{Expected, Form, Offer, Output, negotiate_for, read_object};
use crate::metrics::Phase;
use crate::object::{Obj, ObjCodec, Stored, storage_row};
use crate::read::{find, key};
use crate::request::ResourceTarget;
use crate::user::UserInfo;
use crate::{part, respond, strategy};

/// Attempts to find a free name for `generateName`.
const NAME_ATTEMPTS: usize = 8;

/// POST to a collection.
pub(crate) async fn create(mut call: Call, target: ResourceTarget) -> Answer {
    let options = WriteOptions::parse(&call, "CreateOptions")?;
    let output = negotiate_for(&call, Offer::Object, Some(target.resource))?;
    let mut lap = call.api.metrics.creation();
    let input = read_object(&mut call, Expected::of(target.resource)).await?;
    lap.was(Phase::Decode);
    let mut value = input.value;
    check_namespace(&mut value, &target.namespace)?;
    strategy::agent_may_create(&call.api, &call.user, target.resource, &value).await?;
    let mut warnings = input.warnings;
    let managers = Managers::Writer {
        name: &options.manager,
        seen: target.resource,
        subresource: "",
    };
    let resource = target.resource;
    let answer = new_object(
        &call,
        resource,
        value,
        managers,
        &options,
        &output,
        &mut warnings,
    );
    let answer = answer.await;
    respond::warned(answer, &warnings, &output)
}

/// Creates an object and answers with it. What is odd about it is added to the warnings, once it is known to be valid.
pub(super) async fn new_object(
    call: &Call,
    resource: &'static Resource,
    value: Value,
    managers: Managers<'_>,
    options: &WriteOptions,
    output: &Output,
    warnings: &mut Vec<String>,
) -> Answer {
    let (row, value) = (part::row(resource), part::received(resource, value));
    if options.dry_run {
        return dry_run(call, resource, value, managers, output, warnings).await;
    }
    let stored = store_new(&call.api, &call.user, row, value, managers, warnings).await?;
    let mut lap = call.api.metrics.creation();
    let answer = respond::object(StatusCode::CREATED, resource, &stored.object, output);
    lap.was(Phase::Respond);
    answer
}

async fn dry_run(
    call: &Call,
    resource: &'static Resource,
    value: Value,
    managers: Managers<'_>,
    output: &Output,
    warnings: &mut Vec<String>,
) -> Answer {
    let row = part::row(resource);
    let (api, user) = (&call.api, &call.user);
    let prepared = prepare(api, user, row, value, managers, warnings, true).await;
    let (mut value, _reservation) = prepared?;
    let (namespace, name) = (object::namespace(&value), object::name(&value));
    if find(&call.api, row, namespace, name).await?.is_some() {
        return Err(taken(&call.api, row, namespace, name).await?);
    }
    if output.form == Form::Whole && std::ptr::eq(row, resource) {
        object::remove(&mut value, "metadata.resourceVersion");
        return respond::value(StatusCode::CREATED, &value, output);
    }
    let object = unstored(row, value, Revision(0))?;
    respond::object(StatusCode::CREATED, resource, &object, output)
}

/// An object that rests nowhere, for answers to dry runs.
pub(super) fn unstored(
    resource: &'static Resource,
    value: Value,
    revision: Revision,
) -> Result<Obj> {
    let key = key(resource, object::namespace(&value), object::name(&value));
    let bytes = stored_bytes(&to_storage(resource, value))?;
    ObjCodec
        .decode(&key, revision, &bytes)
        .map_err(|error| Status::internal(error.to_string()))
}

/// The value in the version its bucket stores.
pub(super) fn to_storage(resource: &'static Resource, value: Value) -> Value {
    if let Some(custom) = resource.custom() {
        return custom.store(value);
    }
    let stored = storage_row(resource).api_version();
    convert::into_version(value, &stored)
}

/// Gives a new object its name, its metadata and its defaults.
fn complete(resource: &'static Resource, value: &mut Value) -> Result<()> {
    if object::name(value).is_empty() && !object::generate_name(value).is_empty() {
        let name = generated_name(object::generate_name(value));
        object::set(value, "metadata.name", name);
    }
    stamp_new(resource, value)?;
    strategy::fill_in(resource, value)
}

/// Gives a new object its managers and its first status. What it is given from here on is nobody's.
fn own(resource: &'static Resource, value: &mut Value, managers: Managers<'_>) {
    let list = managers.settle(None, value);
    managers::put(value, list);
    defaults::prepare_create(resource, value);
}

/// Everything before the commit.
async fn prepare<'a>(
    api: &'a Api,
    user: &UserInfo,
    resource: &'static Resource,
    mut value: Value,
    managers: Managers<'_>,
    warnings: &mut Vec<String>,
    dry_run: bool,
) -> Result<(Value, strategy::Reservation<'a>)> {
    let mut lap = api.metrics.creation();
    let namespace = object::namespace(&value).to_owned();
    if resource.namespaced {
        strategy::namespace_accepts(api, resource, &namespace, object::name(&value)).await?;
    }
    lap.was(Phase::Admit);
    complete(resource, &mut value)?;
    lap.was(Phase::Default);
    own(resource, &mut value, managers);
    lap.was(Phase::Own);
    strategy::admit_new(api, user, resource, &mut value).await?;
    strategy::complete(resource, &mut value, None);
    lap.was(Phase::Admit);
    let errors = validate::create(resource, &value);
    lap.was(Phase::Validate);
    if !errors.is_empty() {
        return Err(Status::invalid(resource, object::name(&value), errors));
    }
    // Of a whole and valid object, as upstream: what it is given may be what it is not to be warned of.
    warnings.extend(strategy::warnings(resource, &value));
    strategy::confirm(api, resource, "", &value, None).await?;
    // Last, so that nothing is handed out for an object that is refused.
    let reservation = strategy::reserve(api, resource, "", &mut value, None, dry_run).await?;
    // Admission may have waited, for an account or in a line.
    if resource.namespaced {
        strategy::namespace_accepts(api, resource, &namespace, object::name(&value)).await?;
    }
    Ok((value, reservation))
}

/// Creates an object: the path of every creation, from clients and from the server itself.
pub(crate) async fn store_new(
    api: &Api,
    user: &UserInfo,
    resource: &'static Resource,
    value: Value,
    managers: Managers<'_>,
    warnings: &mut Vec<String>,
) -> Result<Stored> {
    let named = !object::name(&value).is_empty();
    let base = object::generate_name(&value).to_owned();
    let (value, reservation) =
        prepare(api, user, resource, value, managers, warnings, false).await?;
    let (namespace, mut name) = (
        object::namespace(&value).to_owned(),
        object::name(&value).to_owned(),
    );
    let mut lap = api.metrics.creation();
    let mut bytes = stored_bytes(&to_storage(resource, value))?;
    lap.was(Phase::Encode);
    for attempt in 1.. {
        let op = Op::Put {
            value: bytes.clone(),
            durability: durability(resource, &namespace),
        };
        match api
            .store
            .txn(key(resource, &namespace, &name), Expect::Absent, op)
            .await
        {
            Ok(committed) => {
                lap.was(Phase::Store);
                committed.entry.object.conforms(resource);
                reservation.keep();
                strategy::changed(api, None, Some(&committed.entry.object)).await;
                return Ok(committed.entry);
            }
            Err(TxnError::Conflict { .. }) if named => break,
            Err(TxnError::Conflict { .. }) if attempt >= NAME_ATTEMPTS => {
                return Err(Status::generate_name_conflict(resource, &name));
            }
            Err(TxnError::Conflict { .. }) => {
                name = generated_name(&base);
                bytes = renamed(&bytes, &name)?;
            }
            Err(error) => return Err(txn_failed(error)),
        }
    }
    Err(taken(api, resource, &namespace, &name).await?)
}

/// 409: the name is taken, for a while at least.
async fn taken(
    api: &Api,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
) -> Result<Status> {
    let mut status = Status::already_exists(resource, name);
    let there = find(api, resource, namespace, name).await?;
    if there.is_some_and(|there| there.object.deletion().is_some()) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    Ok(status)
}

/// Creates an object of the server's own: nobody is asked whether it may be, and a status it brings is kept.
pub(crate) async fn store_own(
    api: &Api,
    resource: &'static Resource,
    mut value: Value,
) -> Result<Stored> {
    let status = object::get(&value, "status").cloned();
    complete(resource, &mut value)?;
    own(resource, &mut value, Managers::server(resource));
    if let Some(status) = status {
        object::set(&mut value, "status", status);
    }
    strategy::admit_own(&mut value, resource);
    let (namespace, name) = (
        object::namespace(&value).to_owned(),
        object::name(&value).to_owned(),
    );
    let op = Op::Put {
        value: stored_bytes(&value)?,
        durability: durability(resource, &namespace),
    };
    let committed = api
        .store
        .txn(key(resource, &namespace, &name), Expect::Absent, op)
        .await;
    match committed {
        Ok(committed) => {
            strategy::changed(api, None, Some(&committed.entry.object)).await;
            Ok(committed.entry)
        }
        Err(TxnError::Conflict { .. }) => Err(Status::already_exists(resource, &name)),
        Err(error) => Err(txn_failed(error)),
    }
}

fn renamed(bytes: &Bytes, name: &str) -> Result<Bytes> {
    let mut value = respond::parse(bytes)?;
    object::set(&mut value, "metadata.name", name);
    stored_bytes(&value)
}
