//! The paths of a resource.

use serde_json::{Map, Value, json};

use super::operations::{self, Subject};
use super::{Described, parameters};
use crate::resource::Subresource;

/// All paths of a resource and its subresources.
pub(super) fn of(row: &Described) -> impl Iterator<Item = (String, Value)> + use<> {
    let built_in = row.schema.is_none();
    let row = row.resource;
    let base = match row.group {
        "" => format!("/api/{}", row.version),
        group => format!("/apis/{group}/{}", row.version),
    };
    let scope = if row.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{base}{scope}/{}", row.plural);
    let object = format!("{collection}/{{name}}");
    let subject = Subject {
        resource: row,
        built_in,
        subresource: "",
        group: row.group,
        version: row.version,
        kind: row.kind,
    };
    let served = |verbs: &[&'static str]| -> Vec<&'static str> {
        verbs
            .iter()
            .copied()
            .filter(|verb| row.verbs.contains(verb))
            .collect()
    };
    let mut paths = vec![
        (
            collection.clone(),
            item(
                subject,
                &served(&["list", "create", "deletecollection"]),
                false,
            ),
        ),
        (
            object.clone(),
            item(
                subject,
                &served(&["get", "update", "patch", "delete"]),
                true,
            ),
        ),
    ];
    if row.namespaced && row.verbs.contains(&"list") {
        paths.push((format!("{base}/{}", row.plural), everywhere(subject)));
    }
    for part in row.subresources {
        let Subresource {
            name,
            group,
            version,
            kind,
            verbs,
        } = part;
        let subject = Subject {
            resource: row,
            built_in,
            subresource: name,
            group,
            version,
            kind,
        };
        paths.push((format!("{object}/{name}"), item(subject, verbs, true)));
    }
    // A path without operations is no path.
    paths
        .into_iter()
        .filter(|(_, item)| item.as_object().is_some_and(|item| item.len() > 1))
}

/// Listing over all namespaces.
fn everywhere(subject: Subject) -> Value {
    let mut item = Map::new();
    item.extend(operation(subject, "list for all namespaces"));
    item.insert("parameters".to_owned(), json!([parameters::pretty()]));
    item.into()
}

fn item(subject: Subject, verbs: &[&str], named: bool) -> Value {
    let mut item: Map<String, Value> = verbs
        .iter()
        .filter_map(|verb| operation(subject, verb))
        .collect();
    let mut parameters = Vec::new();
    if named {
        parameters.push(parameters::name(subject.resource.kind));
    }
    if subject.resource.namespaced {
        parameters.push(parameters::namespace());
    }
    parameters.push(parameters::pretty());
    item.insert("parameters".to_owned(), parameters.into());
    item.into()
}

fn operation(subject: Subject, verb: &str) -> Option<(String, Value)> {
    operations::of(subject, verb).map(|(method, operation)| (method.to_owned(), operation))
}
