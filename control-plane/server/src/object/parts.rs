//! Where in the bytes of an object its identity and its revision are. No copies of them rest beside the bytes.

use std::ops::Range;

#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Name,
    Namespace,
    Uid,
    Revision,
}

/// The places of the parts. What is not set is empty. Objects are at most a few MiB, so 32 bits are enough for a start.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    starts: [u32; 4],
    lengths: [u16; 4],
}

impl Parts {
    /// Notes where `text`, borrowed from `raw`, is in it. False when it is not: it was written with escapes, or is longer
    /// than anything of the kind.
    pub(super) fn note(&mut self, part: Part, text: &str, raw: &[u8]) -> bool {
        if text.is_empty() {
            return true;
        }
        let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr());
        match start.map(|start| start..start + text.len()) {
            Some(span) if span.end <= raw.len() => self.set(part, span),
            _ => false,
        }
    }

    /// Answers whether there is room for a place like that.
    pub(super) fn set(&mut self, part: Part, span: Range<usize>) -> bool {
        let (Ok(start), Ok(length)) = (u32::try_from(span.start), u16::try_from(span.len())) else {
            return false;
        };
        self.starts[part as usize] = start;
        self.lengths[part as usize] = length;
        true
    }

    pub(super) fn span(&self, part: Part) -> Range<usize> {
        let start = self.starts[part as usize] as usize;
        start..start + usize::from(self.lengths[part as usize])
    }

    pub(super) fn text<'a>(&self, part: Part, raw: &'a [u8]) -> &'a str {
        let bytes = raw.get(self.span(part)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The places after another revision was written over the one here.
    pub(super) fn with_revision(&self, span: Range<usize>) -> Parts {
        let old = self.span(Part::Revision);
        let mut parts = self.clone();
        for part in [Part::Name, Part::Namespace, Part::Uid] {
            let place = self.span(part);
            if place.start >= old.end {
                let start = place.start - old.end + span.end;
                parts.set(part, start..start + place.len());
            }
        }
        parts.set(Part::Revision, span);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_borrowed_from_the_bytes_has_a_place() {
        let raw = b"before and after";
        let mut parts = Parts::default();
        let within = std::str::from_utf8(&raw[7..10]).expect("ASCII");
        assert!(parts.note(Part::Name, within, raw));
        assert_eq!(parts.span(Part::Name), 7..10);
        assert_eq!(parts.text(Part::Name, raw), "and");
        assert!(parts.note(Part::Uid, "", raw));
        assert_eq!(parts.text(Part::Uid, raw), "");
        let copy = String::from("and");
        assert!(!parts.note(Part::Namespace, &copy, raw));
        assert!(!parts.note(Part::Namespace, within, &raw[..8]));
        assert_eq!(parts.text(Part::Namespace, raw), "");
    }

    #[test]
    fn what_is_longer_than_a_name_has_none() {
        let long = "x".repeat(1 << 16);
        let mut parts = Parts::default();
        assert!(!parts.note(Part::Name, &long, long.as_bytes()));
        assert!(parts.note(Part::Name, &long[1..], long.as_bytes()));
        assert_eq!(parts.text(Part::Name, long.as_bytes()).len(), 65535);
    }

    #[test]
    fn what_follows_the_revision_moves_with_it() {
        let mut parts = Parts::default();
        assert!(parts.set(Part::Name, 0..4));
        assert!(parts.set(Part::Revision, 6..8));
        assert!(parts.set(Part::Uid, 8..10));
        for (revision, uid) in [(6..11, 11..13), (6..7, 7..9)] {
            let moved = parts.with_revision(revision.clone());
            assert_eq!(moved.span(Part::Name), 0..4);
            assert_eq!(moved.span(Part::Revision), revision);
            assert_eq!(moved.span(Part::Uid), uid);
        }
    }
}
