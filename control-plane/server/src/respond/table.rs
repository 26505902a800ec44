//! Tables: what `kubectl get` shows, rendered here.

use bytes::Bytes;
use jiff::Timestamp;
use sampan_api::resource::Resource;
use sampan_api::table as cells;
use serde_json::Value;

use super::{ListMeta, parse};
use crate::api::Result;
use crate::content::Include;
use crate::object::Obj;

/// A Table under construction.
pub(crate) struct Table<'a> {
    resource: &'a Resource,
    include: Include,
    now: Timestamp,
    rows: String,
}

impl<'a> Table<'a> {
    pub(crate) fn new(resource: &'a Resource, include: Include) -> Table<'a> {
        Table {
            resource,
            include,
            now: Timestamp::now(),
            rows: String::new(),
        }
    }

    /// Adds an object's row.
    pub(crate) fn push(&mut self, object: &Obj) -> Result<()> {
        let raw = object.raw_as(self.resource);
        let value = parse(&raw)?;
        let cells = Value::Array(cells::cells(self.resource, &value, self.now)).to_string();
        let object = match self.include {
            Include::None => Bytes::from_static(b"null"),
            Include::Metadata => object.partial(),
            Include::Object => raw,
        };
        self.push_row(&cells, &String::from_utf8_lossy(&object));
        Ok(())
    }

    /// Adds a row without cells, which carries a bookmark.
    pub(crate) fn push_bookmark(&mut self, partial: &str) {
        self.push_row("[]", partial);
    }

    fn push_row(&mut self, cells: &str, object: &str) {
        if !self.rows.is_empty() {
            self.rows.push(',');
        }
        self.rows.push_str(r#"{"cells":"#);
        self.rows.push_str(cells);
        self.rows.push_str(r#","object":"#);
        self.rows.push_str(object);
        self.rows.push('}');
    }

    /// The whole document.
    pub(crate) fn finish(self, meta: &ListMeta) -> Bytes {
        self.document(meta, true)
    }

    /// The whole document without its columns, for later events of a watch.
    pub(crate) fn finish_without_columns(self, meta: &ListMeta) -> Bytes {
        self.document(meta, false)
    }

    fn document(self, meta: &ListMeta, with_columns: bool) -> Bytes {
        let columns = if with_columns {
            cells::columns(self.resource)
        } else {
            Value::Null
        };
        format!(
            r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":{columns},"rows":[{}]}}"#,
            meta.to_json(),
            self.rows
        )
        .into()
    }
}
