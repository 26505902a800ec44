//! Server-side apply: a client says what it wants of an object, and owns what it says.

use serde_json::Value;

use super::check::check;
use super::kind::Kind;
use super::last_applied;
use super::managed::{Operation, decode, encode};
use super::ownership::{Applied, Refusal, apply as apply_owned, difference};
use super::track::{MANAGED_FIELDS, Writer, owned};
use super::{conflict, managed::Entry};
use crate::object;
use crate::schema::EMPTY;
use crate::status::Status;

/// Who owns what an object had before anybody applied to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The object after a configuration was applied to it, with its managers. `live` is the version
/// before; none when there is no object yet. The result may hold nulls, and has no defaults in
/// what the configuration brought.
pub fn apply(
    kind: &Kind<'_>,
    writer: Writer<'_>,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Value, Status> {
    check_type(kind, config)?;
    if object::get(config, MANAGED_FIELDS).is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    check(config, kind.place()).map_err(|why| {
        Status::bad_request(format!(
            "failed to create typed patch object ({}): {why}",
            named(kind, config)
        ))
    })?;
    let live = live.unwrap_or(&EMPTY);
    let managers = owners(kind, writer, live).map_err(|why| {
        Status::bad_request(format!(
            "failed to create typed live object ({}): {why}",
            named(kind, live)
        ))
    })?;
    let mine = writer.entry(kind, Operation::Apply, owned(Default::default()));
    let attempt = |force| apply_owned(kind, live, config, managers.clone(), mine.manager, force);
    let outcome = match attempt(force) {
        Err(Refusal::Conflicts(conflicts)) if last_applied::concerns(writer.manager) => {
            match last_applied::unexcused(kind, live, conflicts) {
                conflicts if conflicts.is_empty() => attempt(true),
                conflicts => Err(Refusal::Conflicts(conflicts)),
            }
        }
        outcome => outcome,
    };
    let Applied {
        object: changed,
        mut managers,
    } = outcome.map_err(|refusal| match refusal {
        Refusal::Conflicts(conflicts) => conflict::status(conflicts),
        Refusal::Malformed(why) => Status::bad_request(why),
    })?;
    for entry in managers.iter_mut().filter(|entry| entry.is_same(&mine)) {
        entry.set = owned(std::mem::take(&mut entry.set));
        if changed.is_some() {
            entry.time = Some(writer.now);
        }
    }
    managers.retain(|entry| !entry.set.is_empty());
    let list = encode(managers);
    let mut object = changed.unwrap_or_else(|| live.clone());
    match list {
        Some(list) => object::set(&mut object, MANAGED_FIELDS, list),
        None => {
            object::remove(&mut object, MANAGED_FIELDS);
        }
    }
    if last_applied::concerns(writer.manager) {
        last_applied::update(&mut object, config);
    }
    Ok(object)
}

/// The managers of the live object. One that has none was written before anybody cared.
fn owners<'a>(
    kind: &Kind<'a>,
    writer: Writer<'a>,
    live: &'a Value,
) -> Result<Vec<Entry<'a>>, String> {
    let mut managers = decode(object::get(live, MANAGED_FIELDS))
        .map_err(|why| format!("failed to decode managed fields: {why}"))?;
    if managers.is_empty() {
        let changes = difference(kind, None, live)?.map(owned);
        let set = changes.modified.union(&changes.added);
        if !set.is_empty() {
            let writer = Writer {
                manager: BEFORE_FIRST_APPLY,
                ..writer
            };
            managers.push(writer.entry(kind, Operation::Update, set));
        }
    }
    Ok(managers)
}

/// An object as messages about its type name it.
fn named(kind: &Kind<'_>, object: &Value) -> String {
    let (namespace, name) = (object::namespace(object), object::name(object));
    format!("{namespace}/{name}; {}", kind.name())
}

fn check_type(kind: &Kind<'_>, config: &Value) -> Result<(), Status> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or("");
    if (text("apiVersion"), text("kind")) == (kind.api_version, kind.kind) {
        return Ok(());
    }
    let group_version = match text("apiVersion") {
        version if version.contains('/') => version.to_owned(),
        version => format!("/{version}"),
    };
    Err(Status::bad_request(format!(
        "invalid object type: {group_version}, Kind={}",
        text("kind")
    )))
}
