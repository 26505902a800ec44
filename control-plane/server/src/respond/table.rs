//! Tables: what `kubectl get` shows, rendered here.

use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use sampan_api::custom::{self, Custom};
use sampan_api::resource::Resource;
use sampan_api::table::{Printer, printer};
use serde_json::Value;

use super::{ListMeta, parse};
use crate::api::Result;
use crate::content::Include;
use crate::object::Obj;

/// Who says what a row shows.
enum Rows {
    Builtin(&'static Printer),
    Custom(Custom),
}

impl Rows {
    fn columns(&self) -> Value {
        match self {
            Rows::Builtin(printer) => printer.columns(),
            Rows::Custom(custom) => custom::column_definitions(custom),
        }
    }

    fn cells(&self, value: &Value, now: Timestamp) -> Vec<Value> {
        match self {
            Rows::Builtin(printer) => printer.cells(value, now),
            Rows::Custom(custom) => custom::cells(custom, value, now),
        }
    }

    /// What only built-in kinds have.
    fn builtin(&self) -> Option<&'static Printer> {
        match self {
            Rows::Builtin(printer) => Some(printer),
            Rows::Custom(_) => None,
        }
    }
}

/// A Table under construction.
pub(crate) struct Table {
    printer: Rows,
    now: Timestamp,
    rows: String,
    /// Where each row is, and its rank; only for kinds that are not shown by name.
    ranks: Vec<(i64, Range<usize>)>,
}

impl Table {
    /// Of objects of a resource.
    pub(crate) fn of(resource: &Resource) -> Table {
        match resource.custom() {
            Some(custom) => Table::with(Rows::Custom(custom)),
            None => Table::new(resource.group, resource.kind),
        }
    }

    /// Of objects of a built-in kind.
    pub(crate) fn new(group: &str, kind: &str) -> Table {
        Table::with(Rows::Builtin(printer(group, kind)))
    }

    fn with(printer: Rows) -> Table {
        Table {
            printer,
            now: Timestamp::now(),
            rows: String::new(),
            ranks: Vec::new(),
        }
    }

    /// Adds an object's row.
    pub(crate) fn push(&mut self, resource: &Resource, object: &Obj, embed: Include) -> Result<()> {
        let raw = object.raw_as(resource);
        let value = parse(&raw)?;
        let embedded = match embed {
            Include::None => Bytes::from_static(b"null"),
            Include::Metadata => object.partial(),
            Include::Object => raw,
        };
        self.push_value(&value, &embedded);
        Ok(())
    }

    /// Adds a row about `value` that carries the JSON of another form of it.
    pub(crate) fn push_value(&mut self, value: &Value, embedded: &[u8]) {
        let mut cells = Value::Array(self.printer.cells(value, self.now)).to_string();
        let builtin = self.printer.builtin();
        let conditions = builtin.map_or_else(Vec::new, |printer| printer.conditions(value));
        if !conditions.is_empty() {
            cells.push_str(r#","conditions":"#);
            cells.push_str(&Value::Array(conditions).to_string());
        }
        let row = self.push_row(&cells, &String::from_utf8_lossy(embedded));
        let rank = builtin.and_then(|printer| printer.rank(value));
        self.ranks.extend(rank.map(|rank| (rank, row)));
    }

    /// Adds a row without cells, which carries a bookmark.
    pub(crate) fn push_bookmark(&mut self, partial: &str) {
        self.push_row("[]", partial);
    }

    fn push_row(&mut self, cells: &str, object: &str) -> Range<usize> {
        if !self.rows.is_empty() {
            self.rows.push(',');
        }
        let start = self.rows.len();
        self.rows.push_str(r#"{"cells":"#);
        self.rows.push_str(cells);
        self.rows.push_str(r#","object":"#);
        self.rows.push_str(object);
        self.rows.push('}');
        start..self.rows.len()
    }

    /// The rows as they are shown: by rank, else as they came.
    fn ordered(&mut self) -> String {
        if self.ranks.is_empty() {
            return std::mem::take(&mut self.rows);
        }
        self.ranks.sort_by_key(|(rank, _)| *rank);
        let rows = self.ranks.iter().map(|(_, row)| &self.rows[row.clone()]);
        rows.collect::<Vec<_>>().join(",")
    }

    /// The whole document.
    pub(crate) fn finish(self, meta: &ListMeta) -> Bytes {
        self.document(meta, true)
    }

    /// The whole document without its columns, for later events of a watch.
    pub(crate) fn finish_without_columns(self, meta: &ListMeta) -> Bytes {
        self.document(meta, false)
    }

    fn document(mut self, meta: &ListMeta, with_columns: bool) -> Bytes {
        let columns = if with_columns {
            self.printer.columns()
        } else {
            Value::Null
        };
        format!(
            r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":{columns},"rows":[{}]}}"#,
            meta.to_json(),
            self.ordered()
        )
        .into()
    }
}
