//! OpenAPI: what the API offers, for `kubectl explain`, `apply`, `diff`, and for validation.
//!
//! Version 3 is a document per group and version; version 2 is one document of everything, as
//! JSON and as the protobuf message older clients read. A document holds the schemas its resources
//! lead to, and the paths of the resources with the operations that are served. Documents are
//! written once, when the first client asks, and kept compressed: an idle server should not hold
//! megabytes of prose for a request a day.
//!
//! Version 2 is version 3 rewritten, and the message is version 2 encoded, piece by piece: one walk
//! over the registry says everything.

mod document;
mod gnostic;
mod operations;
mod own;
mod parameters;
mod paths;
mod shapes;
mod swagger;
mod types;

use std::sync::OnceLock;

use serde_json::Value;

pub use document::Document;

use crate::resource::{Resource, resources};
use crate::schema::{Descriptions, schemas};

/// The version of the API that is described.
const VERSION: &str = "v1.36.2";

/// A resource to describe.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// What is served.
    pub resource: &'a Resource,
    /// The schema of its kind in the form of the document it is for; absent for kinds of the registry.
    pub schema: Option<&'a Value>,
}

/// A document of version 3 about built-in resources, and where it is.
#[derive(Debug)]
pub struct GroupVersion {
    /// `api/v1`, `apis/apps/v1`.
    pub path: String,
    /// The document.
    pub document: Document,
}

/// Version 3 for the built-in resources, a document per group and version.
pub fn built_in() -> &'static [GroupVersion] {
    static DOCUMENTS: OnceLock<Vec<GroupVersion>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        let descriptions = Descriptions::load(schemas());
        let mut groups: Vec<Vec<Described>> = Vec::new();
        for row in registered() {
            match groups.iter_mut().find(|rows| same_group(rows, &row)) {
                Some(rows) => rows.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
            .iter()
            .map(|rows| GroupVersion {
                path: rows.first().map(path).unwrap_or_default(),
                document: document::v3(rows, &descriptions),
            })
            .collect()
    })
}

/// Version 3 for resources of one group and version.
pub fn v3(rows: &[Described]) -> Document {
    document::v3(rows, &Descriptions::load(schemas()))
}

/// Version 2, as JSON, for the built-in resources and others.
pub fn v2(others: &[Described]) -> Document {
    document::v2(&everything(others), &Descriptions::load(schemas()))
}

/// The same as a message `openapi.v2.Document` in protobuf.
pub fn v2_protobuf(others: &[Described]) -> Document {
    document::v2_protobuf(&everything(others), &Descriptions::load(schemas()))
}

/// Where the document of version 3 about a resource is.
pub fn path(row: &Described) -> String {
    match row.resource.group {
        "" => format!("api/{}", row.resource.version),
        group => format!("apis/{group}/{}", row.resource.version),
    }
}

fn registered<'a>() -> impl Iterator<Item = Described<'a>> {
    let described = |resource| Described {
        resource,
        schema: None,
    };
    resources().iter().map(described)
}

fn everything<'a>(others: &[Described<'a>]) -> Vec<Described<'a>> {
    registered().chain(others.iter().copied()).collect()
}

fn same_group(rows: &[Described], row: &Described) -> bool {
    let of = |row: &Described| (row.resource.group, row.resource.version);
    rows.iter().all(|other| of(other) == of(row))
}

#[cfg(test)]
mod tests;
