//! An object's metadata alone. It is cut out of the bytes where it is wanted, and no copy of it rests beside them: the
//! garbage collector reads the metadata of everything, so each object would have one.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Around the metadata in a PartialObjectMetadata.
const BEFORE: &str = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
const AFTER: &str = "}";

/// The pieces of a PartialObjectMetadata.
pub(super) fn partial(metadata: &str) -> [&str; 3] {
    [BEFORE, metadata, AFTER]
}

/// Where the metadata is in the bytes of a version: looked for by whoever wants it first, for that takes reading them all.
/// Its start in the upper half, its end in the lower.
#[derive(Debug, Default)]
pub(super) struct Place(AtomicU64);

/// Where nothing ends.
const UNKNOWN: u64 = 0;

impl Place {
    /// The metadata in the bytes whose place this is.
    pub(super) fn of<'a>(&self, raw: &'a [u8]) -> &'a str {
        let known = self.0.load(Ordering::Relaxed);
        if known != UNKNOWN
            && let Some(text) = cut(raw, known)
        {
            return text;
        }
        let text = look(raw);
        let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr());
        // What is not in the bytes has no place there. Objects are at most a few MiB, so offsets fit.
        if let Some(start) = start.filter(|start| start + text.len() <= raw.len()) {
            let place = ((start as u64) << 32) | (start + text.len()) as u64;
            self.0.store(place, Ordering::Relaxed);
        }
        text
    }
}

fn cut(raw: &[u8], place: u64) -> Option<&str> {
    let (start, end) = ((place >> 32) as usize, place as u32 as usize);
    std::str::from_utf8(raw.get(start..end)?).ok()
}

fn look(raw: &[u8]) -> &str {
    #[derive(Deserialize)]
    struct Slice<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    serde_json::from_slice::<Slice<'_>>(raw).map_or("{}", |slice| slice.metadata.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_once_and_cut_out_from_then_on() {
        let raw =
            r#"{"spec":{"metadata":{}},"metadata":{"name":"é","labels":{"a":"}"}},"data":{}}"#;
        let place = Place::default();
        let first = place.of(raw.as_bytes());
        assert_eq!(first, r#"{"name":"é","labels":{"a":"}"}}"#);
        let known = place.0.load(Ordering::Relaxed);
        assert_ne!(known, UNKNOWN);
        let again = place.of(raw.as_bytes());
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(first, again);
    }

    #[test]
    fn what_has_none_has_an_empty_one() {
        for raw in ["", "[]", r#"{"data":{}}"#] {
            let place = Place::default();
            assert_eq!(place.of(raw.as_bytes()), "{}");
            assert_eq!(place.0.load(Ordering::Relaxed), UNKNOWN);
        }
    }
}
