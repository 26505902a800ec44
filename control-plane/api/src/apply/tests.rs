//! Apply through its two entry points. Expected results are upstream's: those of its tests, or
//! printed by its code for the same steps.

mod many;
mod merges;
mod properties;
mod random;
mod refusals;
mod stories;
mod story;

use serde_json::Value;

use super::*;
use crate::schema::schemas;

/// Any kind of the registry, served or not.
fn kind(
    type_name: &'static str,
    api_version: &'static str,
    subresource: &'static str,
) -> Kind<'static> {
    let ty = schemas().by_name(type_name).expect(type_name);
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    Kind {
        schemas: schemas(),
        ty,
        group,
        version,
        api_version,
        kind: type_name.rsplit('.').next().expect("a name"),
        subresource,
        reach: match subresource {
            "" => Reach::AllBut(&[&["status"]]),
            "status" => Reach::AllBut(&[&["spec"]]),
            _ => Reach::ALL,
        },
        convert: crate::convert::to_version,
    }
}

/// Keeps track as the server does.
fn tracked(kind: &Kind<'_>, writer: Writer<'_>, live: Option<&Value>, new: &mut Value) {
    let sent = crate::object::remove(new, MANAGED_FIELDS);
    if let Some(list) = track(kind, writer, live, new, sent) {
        crate::object::set(new, MANAGED_FIELDS, list);
    }
}

fn writer(manager: &'static str) -> Writer<'static> {
    Writer {
        manager,
        now: "2026-01-01T00:00:00Z",
    }
}
