//! The rows of one transaction, packed so that a batch of any size is the same SQL text with the same few parameters.
//!
//! One blob holds all keys and values; beside it stand records of decimal numbers of fixed width that point into it.
//! SQLite walks the records by `substr`, which on a blob costs the same at any offset. Compared with one `VALUES` list
//! per batch size this keeps a single prepared statement, and compared with JSON it needs no parsing.

use bytes::Bytes;

use super::checkpoint::{PAGE_BYTES, TRANSACTION_BYTES};
use crate::key::{Key, Revision};

/// Widths of a revision and of a place in the blob. 20 digits hold any 64-bit number, 10 any blob SQLite can bind.
const REVISION: usize = 20;
const PLACE: usize = 10;

/// Bytes per record; the SQL in [`super::database`] counts on them.
pub(super) const LOG_RECORD: usize = 3 * REVISION + 1 + 4 * PLACE;
pub(super) const CURRENT_RECORD: usize = 2 * REVISION + 4 * PLACE;
pub(super) const DELETE_RECORD: usize = REVISION;

/// A row costs about so much more than its key and value.
const ROW_OVERHEAD: usize = 32;

#[derive(Default, Debug)]
pub(crate) struct Rows {
    pub(super) blob: Vec<u8>,
    pub(super) log: Vec<u8>,
    pub(super) current: Vec<u8>,
    pub(super) deletes: Vec<u8>,
    log_bytes: usize,
    moved: usize,
}

/// A row of the log: that a key changed, and what it held before.
pub(crate) struct LogRow<'a> {
    pub(crate) revision: Revision,
    pub(crate) key: &'a Key,
    pub(crate) deleted: bool,
    /// Revision and create revision of what it held.
    pub(crate) previous: Option<(Revision, Revision)>,
    /// The bytes, where `current` does not have them.
    pub(crate) previous_value: Option<&'a Bytes>,
}

impl Rows {
    /// Room for `writes` of keys and values of about `bytes` in all, so that a batch is not moved while it grows.
    pub(crate) fn with_room(writes: usize, bytes: usize) -> Self {
        Rows {
            blob: Vec::with_capacity(bytes),
            log: Vec::with_capacity(writes * LOG_RECORD),
            current: Vec::with_capacity(writes * CURRENT_RECORD),
            ..Rows::default()
        }
    }

    /// Adds a row of the log.
    pub(crate) fn push_log(&mut self, row: &LogRow<'_>) {
        let key = self.place(row.key.as_str().as_bytes());
        let value = row.previous_value.map_or((0, 0), |value| self.place(value));
        let (previous, created) = row.previous.unwrap_or_default();
        number(&mut self.log, row.revision.0, REVISION);
        number(&mut self.log, u64::from(row.deleted), 1);
        range(&mut self.log, key);
        number(&mut self.log, previous.0, REVISION);
        number(&mut self.log, created.0, REVISION);
        range(&mut self.log, value);
        self.log_bytes += ROW_OVERHEAD + row.key.as_str().len() + value.1;
    }

    /// Adds or replaces a row of `current`.
    pub(crate) fn push_current(
        &mut self,
        key: &Key,
        create_revision: Revision,
        revision: Revision,
        value: &[u8],
    ) {
        let key = self.place(key.as_str().as_bytes());
        let value = self.place(value);
        number(&mut self.current, create_revision.0, REVISION);
        number(&mut self.current, revision.0, REVISION);
        range(&mut self.current, key);
        range(&mut self.current, value);
    }

    /// Removes a row of `current`, if it is there.
    pub(crate) fn push_delete(&mut self, create_revision: Revision) {
        number(&mut self.deletes, create_revision.0, REVISION);
    }

    /// Tells about how many bytes of old values go from `current` to the log.
    pub(crate) fn moving(mut self, bytes: usize) -> Rows {
        self.moved = bytes;
        self
    }

    /// About the bytes the log grows by.
    pub(crate) fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// About the bytes written in all.
    pub(super) fn bytes(&self) -> usize {
        self.blob.len() + self.log.len() + self.current.len()
    }

    /// Most bytes the database grows by. Large rows have pages of their own, of small ones a page may be half full; what
    /// goes to the log is there twice before it is gone from `current`.
    pub(super) fn growth(&self) -> u64 {
        let rows = self.log.len() / LOG_RECORD + self.current.len() / CURRENT_RECORD;
        let bytes = self.bytes() + self.moved;
        let filling = bytes.min(rows * PAGE_BYTES as usize);
        (bytes + filling) as u64 + TRANSACTION_BYTES
    }

    /// Copies bytes into the blob and answers where they are, counted from 1 as SQL does.
    fn place(&mut self, bytes: &[u8]) -> (usize, usize) {
        let start = self.blob.len() + 1;
        self.blob.extend_from_slice(bytes);
        (start, bytes.len())
    }
}

fn range(record: &mut Vec<u8>, (start, length): (usize, usize)) {
    number(record, start as u64, PLACE);
    number(record, length as u64, PLACE);
}

/// Appends `value` in `width` decimal digits.
fn number(record: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = record.len();
    record.resize(start + width, b'0');
    for digit in record[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    debug_assert_eq!(value, 0, "the number fits its width");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_width() {
        let key = Key::new("pods", "default/a");
        let mut rows = Rows::default();
        rows.push_log(&LogRow {
            revision: Revision(u64::MAX),
            key: &key,
            deleted: true,
            previous: Some((Revision(7), Revision(3))),
            previous_value: Some(&Bytes::from_static(b"old")),
        });
        rows.push_current(&key, Revision(3), Revision(9), b"new");
        rows.push_delete(Revision(4));
        let bytes = (rows.blob.len() + LOG_RECORD + CURRENT_RECORD) as u64;
        assert_eq!(rows.growth(), 2 * bytes + TRANSACTION_BYTES);
        assert_eq!(rows.log.len(), LOG_RECORD);
        assert_eq!(rows.current.len(), CURRENT_RECORD);
        assert_eq!(rows.deletes, b"00000000000000000004");
        assert_eq!(rows.blob, b"/pods/default/aold/pods/default/anew");
        assert_eq!(&rows.log[..21], b"184467440737095516151");
        assert_eq!(&rows.log[81..], b"00000000160000000003");
    }
}
