//! Whole documents, written piece by piece into a compressor, so that no tree and no text of a
//! whole document is in memory before a client asks for it.

use std::io::Write;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zstd::stream::write::Encoder;

use super::{Described, VERSION, gnostic, paths, swagger, types};
use crate::schema::Descriptions;

/// Compression is paid once; a higher level would only delay the first answer.
const ZSTD_LEVEL: i32 = 3;

/// A document at rest.
#[derive(Debug)]
pub struct Document {
    hash: String,
    length: usize,
    packed: Vec<u8>,
}

impl Document {
    /// A hash of the content: a client's copy is never stale, and never needlessly dropped.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The content.
    pub fn bytes(&self) -> Bytes {
        zstd::bulk::decompress(&self.packed, self.length)
            .expect("the document was packed here, and its length noted")
            .into()
    }
}

pub(super) fn v3(rows: &[Described], descriptions: &Descriptions) -> Document {
    let mut out = Packer::new();
    let info = info();
    out.text(&format!(r#"{{"openapi":"3.0.0","info":{info},"paths":{{"#));
    out.members(rows.iter().flat_map(paths::of));
    out.text(r#"},"components":{"schemas":{"#);
    out.members(types::of(rows, descriptions));
    out.text(r#"},"securitySchemes":{"BearerToken":"#);
    out.text(&bearer_token().to_string());
    out.text("}}}");
    out.finish()
}

pub(super) fn v2(rows: &[Described], descriptions: &Descriptions) -> Document {
    let mut out = Packer::new();
    let info = info();
    out.text(&format!(r#"{{"swagger":"2.0","info":{info},"paths":{{"#));
    let paths = rows.iter().flat_map(paths::of);
    out.members(paths.map(|(path, item)| (path, swagger::path_item(item))));
    out.text(r#"},"definitions":{"#);
    let types = types::of(rows, descriptions);
    out.members(types.map(|(name, schema)| swagger::definition(name, schema)));
    out.text(r#"},"securityDefinitions":{"BearerToken":"#);
    out.text(&bearer_token().to_string());
    out.text(r#"},"security":[{"BearerToken":[]}]}"#);
    out.finish()
}

pub(super) fn v2_protobuf(rows: &[Described], descriptions: &Descriptions) -> Document {
    let mut out = Packer::new();
    out.bytes(&gnostic::head(&info(), &bearer_token()));
    let paths = rows.iter().flat_map(paths::of);
    for (path, item) in paths {
        out.bytes(&gnostic::path(&path, &swagger::path_item(item)));
    }
    for (name, schema) in types::of(rows, descriptions) {
        let (name, schema) = swagger::definition(name, schema);
        out.bytes(&gnostic::definition(&name, &schema));
    }
    out.finish()
}

fn info() -> Value {
    json!({ "title": "Kubernetes", "version": VERSION })
}

fn bearer_token() -> Value {
    json!({
        "description": "A token in the header `authorization: Bearer TOKEN`.",
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
    })
}

/// Compresses, counts and hashes what is written.
struct Packer {
    encoder: Encoder<'static, Vec<u8>>,
    hash: Sha256,
    length: usize,
}

impl Packer {
    fn new() -> Self {
        let encoder = Encoder::new(Vec::new(), ZSTD_LEVEL);
        Self {
            encoder: encoder.expect("the level is one zstd has"),
            hash: Sha256::new(),
            length: 0,
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.hash.update(bytes);
        self.encoder
            .write_all(bytes)
            .expect("writing into memory fails only without memory");
    }

    fn members(&mut self, members: impl Iterator<Item = (String, Value)>) {
        for (at, (name, value)) in members.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            self.text(&format!("{comma}{}:{value}", json!(name)));
        }
    }

    fn finish(self) -> Document {
        let hash = self.hash.finalize();
        Document {
            hash: hash.iter().map(|byte| format!("{byte:02X}")).collect(),
            length: self.length,
            packed: self
                .encoder
                .finish()
                .expect("writing into memory fails only without memory"),
        }
    }
}
