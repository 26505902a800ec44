//! OpenAPI v3: a document per group and version, for `kubectl explain`, `apply`, `diff` and for
//! the server-side validation of `create`.
//!
//! A document holds the schemas its resources lead to, and the paths of the resources with the
//! operations that are served. The documents are generated once, when the first client asks, and
//! kept compressed: an idle server should not hold megabytes of prose for a request a day.
//!
//! Not here: OpenAPI v2, which clients of these versions ask for only as protobuf.

mod operations;
mod parameters;
mod paths;
mod types;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::resource::{Resource, resources};
use crate::schema::{Descriptions, schemas};

/// The version of the API that is described.
const VERSION: &str = "v1.36.2";

/// Compression is paid once; a higher level would only delay the first answer.
const ZSTD_LEVEL: i32 = 3;

struct Document {
    /// `api/v1`, `apis/apps/v1`.
    path: String,
    hash: String,
    length: usize,
    packed: Vec<u8>,
}

/// The documents there are, each with a hash of its content.
pub fn index() -> Vec<(String, String)> {
    documents()
        .iter()
        .map(|document| (document.path.clone(), document.hash.clone()))
        .collect()
}

/// The document of a path of the index, as JSON.
pub fn document(path: &str) -> Option<Bytes> {
    let document = documents().iter().find(|document| document.path == path)?;
    let plain = zstd::bulk::decompress(&document.packed, document.length).ok()?;
    Some(Bytes::from(plain))
}

fn documents() -> &'static [Document] {
    static DOCUMENTS: OnceLock<Vec<Document>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        let descriptions = Descriptions::load(schemas());
        let mut groups: Vec<Vec<&'static Resource>> = Vec::new();
        for row in resources() {
            let same = |rows: &&mut Vec<&Resource>| {
                rows.iter()
                    .all(|other| (other.group, other.version) == (row.group, row.version))
            };
            match groups.iter_mut().find(same) {
                Some(rows) => rows.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
            .iter()
            .map(|rows| generate(rows, &descriptions))
            .collect()
    })
}

/// The document of the resources of one group and version.
fn generate(rows: &[&'static Resource], descriptions: &Descriptions) -> Document {
    let (group, version) = rows
        .first()
        .map_or(("", ""), |row| (row.group, row.version));
    let path = match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    };
    let plain = assemble(rows, (group, version), descriptions);
    let packed = zstd::bulk::compress(&plain, ZSTD_LEVEL)
        .expect("compressing into memory fails only without memory");
    let hash = Sha256::digest(&plain)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    Document {
        path,
        hash,
        length: plain.len(),
        packed,
    }
}

/// Writes piece by piece, so that no tree of the whole document is ever in memory.
fn assemble(
    rows: &[&'static Resource],
    (group, version): (&str, &str),
    descriptions: &Descriptions,
) -> Vec<u8> {
    let mut out = Vec::new();
    let info = json!({ "title": "Kubernetes", "version": VERSION });
    out.extend_from_slice(format!(r#"{{"openapi":"3.0.0","info":{info},"paths":{{"#).as_bytes());
    let paths = rows.iter().flat_map(|row| paths::of(row));
    entries(&mut out, paths);
    out.extend_from_slice(br#"},"components":{"schemas":{"#);
    entries(&mut out, types::of(rows, (group, version), descriptions));
    out.extend_from_slice(b"}}}");
    out
}

fn entries(out: &mut Vec<u8>, entries: impl Iterator<Item = (String, serde_json::Value)>) {
    for (at, (name, value)) in entries.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("{}:{value}", json!(name)).as_bytes());
    }
}

#[cfg(test)]
mod tests;
