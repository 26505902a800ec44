//! Discovery documents: which groups, versions and resources are served.
//!
//! Both forms are built from the resource table: the classic one, a document per group and per
//! version, and the aggregated one, all in a single document. Nothing is cached, because a whole
//! document costs less than a list of pods; the server puts an ETag on it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::custom::{Cell, Served};
use crate::resource::{Resource, Subresource, resources};

/// The type of the aggregated document.
const AGGREGATED: &str = "apidiscovery.k8s.io/v2";

/// `/api`, without the addresses, which the server knows.
pub fn api_versions(served: &Served) -> Value {
    json!({ "kind": "APIVersions", "versions": versions(served, "") })
}

/// `/apis`
pub fn group_list(served: &Served) -> Value {
    let groups = groups(served).into_iter();
    let groups: Vec<Value> = groups.map(|group| group_entry(served, group)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/{name}`
pub fn group(served: &Served, name: &str) -> Option<Value> {
    let name = groups(served).into_iter().find(|group| *group == name)?;
    let Value::Object(entry) = group_entry(served, name) else {
        return None;
    };
    let mut document = json!({ "kind": "APIGroup", "apiVersion": "v1" });
    document.as_object_mut()?.extend(entry);
    Some(document)
}

/// `/api/v1`, `/apis/{group}/{version}`
pub fn resource_list(served: &Served, group_version: &str) -> Option<Value> {
    let mut rows: Vec<_> = served
        .rows()
        .filter(|row| row.api_version() == group_version)
        .collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by_key(|row| row.plural);
    let entries: Vec<Value> = rows
        .into_iter()
        .flat_map(|row| {
            let parts = row.subresources.iter().map(|part| list_part(row, part));
            std::iter::once(list_entry(row)).chain(parts)
        })
        .collect();
    let mut list = json!({ "kind": "APIResourceList" });
    // The core group's list has none, and clients compare.
    if group_version.contains('/') {
        list["apiVersion"] = "v1".into();
    }
    list["groupVersion"] = group_version.into();
    list["resources"] = entries.into();
    Some(list)
}

/// The aggregated form of `/api` (the core group) or of `/apis` (all others).
pub fn aggregated(served: &Served, core: bool) -> Value {
    let groups = if core { vec![""] } else { groups(served) };
    let items = groups.into_iter();
    let items: Vec<Value> = items.map(|group| aggregated_group(served, group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": AGGREGATED,
        "metadata": {},
        "items": items,
    })
}

/// The named groups, in the order of the table.
fn groups(served: &Served) -> Vec<&'static str> {
    distinct(
        served
            .rows()
            .map(|row| row.group)
            .filter(|group| !group.is_empty()),
    )
}

/// The versions of a group, most preferred first.
fn versions(served: &Served, group: &str) -> Vec<&'static str> {
    distinct(
        served
            .rows()
            .filter(|row| row.group == group)
            .map(|row| row.version),
    )
}

fn distinct(items: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn group_entry(served: &Served, group: &str) -> Value {
    let version = |version: &&str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    let versions: Vec<Value> = versions(served, group).iter().map(version).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions.first() })
}

fn list_entry(row: &Resource) -> Value {
    let mut entry = json!({
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": verbs(row),
    });
    if !row.short_names.is_empty() {
        entry["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        entry["categories"] = json!(row.categories);
    }
    if !row.bucket.is_empty() {
        entry["storageVersionHash"] = storage_version_hash(row).into();
    }
    entry
}

/// What can be done: of a definition that is going, nothing new is made.
fn verbs(row: &Resource) -> Vec<&'static str> {
    const LEFT: [&str; 5] = ["delete", "deletecollection", "get", "list", "watch"];
    let terminating = row.cell.is_some_and(Cell::is_terminating);
    let allowed = |verb: &&str| !terminating || LEFT.contains(verb);
    row.verbs.iter().copied().filter(allowed).collect()
}

fn list_part(row: &Resource, part: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", row.plural, part.name),
        "singularName": "",
        "namespaced": row.namespaced,
    });
    if is_foreign(row, part) {
        entry["group"] = part.group.into();
        entry["version"] = part.version.into();
    }
    entry["kind"] = part.kind.into();
    entry["verbs"] = json!(part.verbs);
    entry
}

/// Whether the subresource speaks a kind of another group or version than its resource.
fn is_foreign(row: &Resource, part: &Subresource) -> bool {
    (part.group, part.version) != (row.group, row.version)
}

/// Names the version in which objects are stored, so that a client can tell when it changes.
fn storage_version_hash(row: &Resource) -> String {
    let name = match row.custom() {
        Some(custom) => {
            let storage = &custom.definition().storage().name;
            format!("{}/{storage}/{}", row.group, row.kind)
        }
        None => {
            let mut rows = resources().iter();
            let stored = rows.find(|other| other.bucket == row.bucket).unwrap_or(row);
            format!("{}/{}/{}", stored.group, stored.version, stored.kind)
        }
    };
    BASE64_STANDARD.encode(&Sha256::digest(name)[..8])
}

fn aggregated_group(served: &Served, group: &str) -> Value {
    let versions: Vec<Value> = versions(served, group)
        .into_iter()
        .map(|version| {
            let mut rows: Vec<_> = served
                .rows()
                .filter(|row| row.group == group && row.version == version)
                .collect();
            rows.sort_by_key(|row| row.plural);
            let resources: Vec<Value> = rows.into_iter().map(aggregated_resource).collect();
            json!({ "version": version, "resources": resources, "freshness": "Current" })
        })
        .collect();
    let metadata = if group.is_empty() {
        json!({})
    } else {
        json!({ "name": group })
    };
    json!({ "metadata": metadata, "versions": versions })
}

fn aggregated_resource(row: &Resource) -> Value {
    let mut entry = json!({
        "resource": row.plural,
        // An empty group and version mean those of the document's entry.
        "responseKind": { "group": "", "version": "", "kind": row.kind },
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": verbs(row),
    });
    if !row.short_names.is_empty() {
        entry["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        entry["categories"] = json!(row.categories);
    }
    if !row.subresources.is_empty() {
        let part = |part: &Subresource| {
            let (group, version) = match is_foreign(row, part) {
                true => (part.group, part.version),
                false => ("", ""),
            };
            json!({
                "subresource": part.name,
                "responseKind": { "group": group, "version": version, "kind": part.kind },
                "verbs": part.verbs,
            })
        };
        entry["subresources"] = row.subresources.iter().map(part).collect();
    }
    entry
}

#[cfg(test)]
mod tests;
