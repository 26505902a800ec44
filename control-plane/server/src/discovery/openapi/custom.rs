//! The documents that tell of custom resources: written when somebody asks, kept until a definition changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sampan_api::custom::{Custom, Served};
use sampan_api::openapi::{self, Described, Document, GroupVersion};
use sampan_api::resource::Resource;
use serde_json::Value;

/// What was written last.
#[derive(Default)]
pub(crate) struct Documents(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    v3: BTreeMap<String, (Contents, Arc<GroupVersion>)>,
    json: Option<(Contents, Arc<Document>)>,
    protobuf: Option<(Contents, Arc<Document>)>,
}

/// What a document is about: rows, by their address, and the state of their definitions.
type Contents = Vec<(usize, u64)>;

type Row = (&'static Resource, Custom);

impl Documents {
    /// Version 3: a document per group and version of custom resources.
    pub(super) fn v3(&self, served: &Served) -> Vec<Arc<GroupVersion>> {
        let rows = rows(served);
        if rows.is_empty() {
            return Vec::new();
        }
        let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let path = format!("apis/{}", row.0.api_version());
            groups.entry(path).or_default().push(row);
        }
        let mut kept = self.0.lock();
        let mut before = std::mem::take(&mut kept.v3);
        for (path, rows) in groups {
            let contents = contents(&rows);
            let known = before.remove(&path);
            let known = known.filter(|(about, _)| *about == contents);
            let entry = known.unwrap_or_else(|| {
                let document = described(&rows, |custom| custom.openapi_v3(), openapi::v3);
                let path = path.clone();
                (contents, Arc::new(GroupVersion { path, document }))
            });
            kept.v3.insert(path, entry);
        }
        kept.v3
            .values()
            .map(|(_, document)| document.clone())
            .collect()
    }

    /// Version 2, in one of its forms; `None` when there are no custom resources.
    pub(super) fn v2(&self, served: &Served, protobuf: bool) -> Option<Arc<Document>> {
        let rows = rows(served);
        if rows.is_empty() {
            return None;
        }
        let contents = contents(&rows);
        let mut kept = self.0.lock();
        let place = match protobuf {
            false => &mut kept.json,
            true => &mut kept.protobuf,
        };
        if let Some((about, document)) = place
            && *about == contents
        {
            return Some(document.clone());
        }
        let write = match protobuf {
            false => openapi::v2,
            true => openapi::v2_protobuf,
        };
        let document = Arc::new(described(&rows, |custom| custom.openapi_v2(), write));
        *place = Some((contents, document.clone()));
        Some(document)
    }
}

fn rows(served: &Served) -> Vec<Row> {
    let rows = served.custom().iter();
    rows.filter_map(|row| Some((*row, row.custom()?))).collect()
}

fn contents(rows: &[Row]) -> Contents {
    rows.iter()
        .map(|(row, custom)| (std::ptr::from_ref(*row) as usize, custom.stamp().0))
        .collect()
}

fn described(
    rows: &[Row],
    schema: fn(&Custom) -> Value,
    write: fn(&[Described]) -> Document,
) -> Document {
    let schemas: Vec<Value> = rows.iter().map(|(_, custom)| schema(custom)).collect();
    let rows: Vec<Described> = rows
        .iter()
        .zip(&schemas)
        .map(|((resource, _), schema)| Described {
            resource,
            schema: Some(schema),
        })
        .collect();
    write(&rows)
}
