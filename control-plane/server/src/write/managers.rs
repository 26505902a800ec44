//! Who owns which field: how a write keeps `metadata.managedFields`.
//!
//! The rules are `sampan_api::apply`. Here is what they are given: the object in the version the client speaks, and for
//! a Scale the managers of its parent.

use std::borrow::Cow;

use jiff::Timestamp;
use sampan_api::apply::{self, Kind, MANAGED_FIELDS, Parent, Writer};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{convert, object, time};
use serde_json::Value;

use crate::api::Result;
use crate::content::Expected;
use crate::part;
use crate::request::ResourceTarget;

/// The manager the server itself is.
pub(crate) const SERVER: &str = "kube-apiserver";

/// Where the managers of a new version come from.
#[derive(Clone, Debug)]
pub(crate) enum Managers<'a> {
    /// This manager writes, through a resource or a part of it.
    Writer {
        name: &'a str,
        seen: &'static Resource,
        subresource: &'a str,
    },
    /// They are settled already.
    Settled(Option<Value>),
}

impl<'a> Managers<'a> {
    /// Those after the server wrote.
    pub(crate) fn server(resource: &'static Resource) -> Managers<'static> {
        Managers::Writer {
            name: SERVER,
            seen: resource,
            subresource: "",
        }
    }

    /// Those after a write to a target, of which `sent` is the body.
    pub(super) fn after(
        target: &'a ResourceTarget,
        name: &'a str,
        old: &Value,
        sent: &Value,
    ) -> Result<Managers<'a>> {
        if !part::is_scale(target) {
            return Ok(Managers::Writer {
                name,
                seen: target.resource,
                subresource: &target.subresource,
            });
        }
        let now = now();
        let writer = Writer {
            manager: name,
            now: &now,
        };
        let live = shown(target, old)?;
        let mut new = sent.clone();
        object::remove(&mut new, MANAGED_FIELDS);
        let expected = part::spoken(target);
        let version = expected.api_version();
        let kind = kind_of(expected, &version, &target.subresource)?;
        let list = apply::track(&kind, writer, Some(&live), &new, None);
        Ok(Managers::Settled(of_whole(target, old, list)))
    }

    /// The managers of the new version, which loses those it brings. Both versions are in the version they are
    /// written in.
    pub(super) fn settle(self, old: Option<&Value>, new: &mut Value) -> Option<Value> {
        let sent = object::remove(new, MANAGED_FIELDS);
        let (name, seen, subresource) = match self {
            Managers::Settled(list) => return list,
            Managers::Writer {
                name,
                seen,
                subresource,
            } => (name, seen, subresource),
        };
        let version = seen.api_version();
        let custom = seen.custom();
        let kind = match &custom {
            Some(custom) => Kind::custom(custom, seen, &version, subresource),
            None => Kind::of(seen, &version, subresource)?,
        };
        let now = now();
        let writer = Writer {
            manager: name,
            now: &now,
        };
        if std::ptr::eq(part::row(seen), seen) {
            return apply::track(&kind, writer, old, new, sent);
        }
        let as_seen = |value: &Value| convert::to_version(value, &version);
        let old = match old {
            Some(old) => Some(as_seen(old)?),
            None => None,
        };
        apply::track(&kind, writer, old.as_ref(), &as_seen(new)?, sent)
    }
}

/// Gives an object its managers.
pub(super) fn put(value: &mut Value, list: Option<Value>) {
    match list {
        Some(list) => object::set(value, MANAGED_FIELDS, list),
        None => {
            object::remove(value, MANAGED_FIELDS);
        }
    }
}

/// Whether two lists of managers say the same, whatever they say about times.
pub(super) fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let items = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let timeless = |list: Option<&Value>| {
        let mut items = items(list);
        for item in &mut items {
            object::remove(item, "time");
        }
        items
    };
    a == b || timeless(a) == timeless(b)
}

/// What a configuration is applied to: what clients see of the object, with the managers of what they see.
pub(super) fn shown<'a>(target: &ResourceTarget, old: &'a Value) -> Result<Cow<'a, Value>> {
    let mut shown = part::shown(target, old)?;
    if part::is_scale(target) {
        let held = object::get(old, MANAGED_FIELDS);
        let list = of_parent(target, |parent| parent.to_scale(held));
        put(shown.to_mut(), list);
    }
    Ok(shown)
}

/// The managers of the object after a write to a part of it left `list` there.
pub(super) fn of_whole(target: &ResourceTarget, old: &Value, list: Option<Value>) -> Option<Value> {
    if !part::is_scale(target) {
        return list;
    }
    let held = object::get(old, MANAGED_FIELDS);
    of_parent(target, |parent| parent.to_parent(held, list.as_ref()))
}

/// Applies a configuration to what clients see of an object; to nothing when there is none yet.
pub(super) fn configured(
    target: &ResourceTarget,
    name: &str,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Value> {
    let now = now();
    let writer = Writer {
        manager: name,
        now: &now,
    };
    if part::is_scale(target) {
        let expected = part::spoken(target);
        let version = expected.api_version();
        let kind = kind_of(expected, &version, &target.subresource)?;
        return apply::apply(&kind, writer, live, config, force);
    }
    let version = target.resource.api_version();
    if let Some(custom) = target.resource.custom() {
        let kind = Kind::custom(&custom, target.resource, &version, &target.subresource);
        return apply::apply(&kind, writer, live, config, force);
    }
    let kind = Kind::of(target.resource, &version, &target.subresource)
        .ok_or_else(|| Status::internal("the resource has no type"))?;
    apply::apply(&kind, writer, live, config, force)
}

/// Gives its managers to an answer that is no stored object.
pub(crate) fn settle_answer(
    expected: Expected<'_>,
    subresource: &str,
    name: &str,
    value: &mut Value,
) -> Result<()> {
    let sent = object::remove(value, MANAGED_FIELDS);
    let version = expected.api_version();
    let kind = kind_of(expected, &version, subresource)?;
    let now = now();
    let writer = Writer {
        manager: name,
        now: &now,
    };
    let list = apply::track(&kind, writer, None, value, sent);
    put(value, list);
    Ok(())
}

fn kind_of<'a>(
    expected: Expected<'a>,
    api_version: &'a str,
    subresource: &'a str,
) -> Result<Kind<'a>> {
    let Expected {
        group,
        version,
        kind,
        type_name,
        ..
    } = expected;
    Kind::spoken(type_name, (group, version, kind), api_version, subresource)
        .ok_or_else(|| Status::internal(format!("{kind} has no type")))
}

/// Asks the parent of a Scale. Every built-in kind that scales keeps its replicas in one place.
fn of_parent<T>(target: &ResourceTarget, ask: impl FnOnce(Parent<'_>) -> T) -> T {
    let api_version = target.resource.api_version();
    let custom = target.resource.custom();
    let path = match &custom {
        Some(custom) => custom.replicas_path(),
        None => vec!["spec", "replicas"],
    };
    ask(Parent {
        api_version: &api_version,
        replicas: &path,
    })
}

fn now() -> String {
    time::seconds(Timestamp::now())
}
