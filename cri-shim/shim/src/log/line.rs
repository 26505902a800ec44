//! Output bytes to CRI log lines: `<time> <stream> <F|P> <content>`. Pure.
//!
//! A line longer than the limit becomes partial (P) pieces and a full (F) end; the reader joins
//! them. What has no newline yet is kept for the next chunk, and written as partial at the end.

use crate::limits::MAX_LOG_LINE_BYTES;

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Cuts the output of one stream into lines.
#[derive(Debug)]
pub(crate) struct LineCutter {
    stream: Stream,
    /// The start of a line whose end has not come, shorter than the limit.
    carry: Vec<u8>,
}

impl LineCutter {
    pub(crate) fn new(stream: Stream) -> LineCutter {
        LineCutter {
            stream,
            carry: Vec::new(),
        }
    }

    /// Appends to `out` the lines that `data` completes.
    pub(crate) fn push(&mut self, data: &[u8], stamp: &str, out: &mut Vec<u8>) {
        let mut rest = data;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let piece = self.cut_long(&rest[..end], stamp, out);
            self.emit(piece, 'F', stamp, out);
            rest = &rest[end + 1..];
        }
        let piece = self.cut_long(rest, stamp, out);
        self.carry.extend_from_slice(piece);
        // A full carry is written at once, so that what is kept stays below the limit.
        if self.carry.len() == MAX_LOG_LINE_BYTES {
            self.emit(&[], 'P', stamp, out);
        }
    }

    /// Appends what is left as a partial line: its stream ended without a newline.
    pub(crate) fn finish(&mut self, stamp: &str, out: &mut Vec<u8>) {
        if !self.carry.is_empty() {
            self.emit(&[], 'P', stamp, out);
        }
    }

    /// Writes partial lines until carry and the returned rest fit one line together.
    fn cut_long<'a>(&mut self, piece: &'a [u8], stamp: &str, out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = piece;
        while self.carry.len() + rest.len() > MAX_LOG_LINE_BYTES {
            let (head, tail) = rest.split_at(MAX_LOG_LINE_BYTES - self.carry.len());
            self.emit(head, 'P', stamp, out);
            rest = tail;
        }
        rest
    }

    fn emit(&mut self, piece: &[u8], tag: char, stamp: &str, out: &mut Vec<u8>) {
        let stream = self.stream.as_str();
        out.reserve(stamp.len() + stream.len() + self.carry.len() + piece.len() + 5);
        out.extend_from_slice(stamp.as_bytes());
        out.push(b' ');
        out.extend_from_slice(stream.as_bytes());
        out.extend_from_slice(&[b' ', tag as u8, b' ']);
        out.extend_from_slice(&self.carry);
        out.extend_from_slice(piece);
        out.push(b'\n');
        // Given back, not kept: an idle container should not hold its longest line.
        self.carry = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes the chunks, finishes, and returns (tag, content) of each line.
    fn check(chunks: &[&[u8]], expected: &[(char, &[u8])]) {
        let mut cutter = LineCutter::new(Stream::Stderr);
        let mut out = Vec::new();
        for chunk in chunks {
            cutter.push(chunk, "T", &mut out);
        }
        cutter.finish("T", &mut out);
        let mut wanted = Vec::new();
        for (tag, content) in expected {
            wanted.extend_from_slice(format!("T stderr {tag} ").as_bytes());
            wanted.extend_from_slice(content);
            wanted.push(b'\n');
        }
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(&wanted)
        );
    }

    #[test]
    fn lines_are_full_wherever_chunks_end() {
        check(&[], &[]);
        check(&[b"hello\n"], &[('F', b"hello")]);
        check(
            &[b"he", b"", b"llo", b"\nwor", b"ld\n"],
            &[('F', b"hello"), ('F', b"world")],
        );
        check(&[b"a\n\nb\n"], &[('F', b"a"), ('F', b""), ('F', b"b")]);
        check(&[b"\xff\xfe\r\n"], &[('F', b"\xff\xfe\r")]);
    }

    #[test]
    fn an_unfinished_line_is_partial() {
        check(
            &[b"done\n", b"prompt> "],
            &[('F', b"done"), ('P', b"prompt> ")],
        );
    }

    #[test]
    fn long_lines_are_cut_at_the_limit() {
        let long = vec![b'x'; MAX_LOG_LINE_BYTES];
        let with = |tail: &[u8]| [&long[..], tail].concat();
        check(&[&with(b"\n")], &[('F', &long)]);
        check(&[&with(b"yz\n")], &[('P', &long), ('F', b"yz")]);
        check(&[&long, b"yz\n"], &[('P', &long), ('F', b"yz")]);
        check(&[&long, b"\n"], &[('P', &long), ('F', b"")]);
        check(
            &[b"ab", &with(b"\n")],
            &[('P', &[b"ab", &long[2..]].concat()), ('F', b"xx")],
        );
        check(
            &[&with(&with(b"!"))],
            &[('P', &long), ('P', &long), ('P', b"!")],
        );
    }
}
