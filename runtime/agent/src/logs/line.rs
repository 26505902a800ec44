//! One line of a CRI log: `TIME STREAM TAGS CONTENT`.

use jiff::Timestamp;

#[derive(Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// As written, RFC 3339 with nanoseconds.
    pub(super) time: &'a str,
    /// The content goes on in the next line.
    pub(super) partial: bool,
    pub(super) content: &'a [u8],
}

/// Reads a line without its newline. A malformed one is nothing: only that line is lost.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let (time, rest) = split(line)?;
    let (stream, rest) = split(rest)?;
    if !matches!(stream, b"stdout" | b"stderr") {
        return None;
    }
    // A line without content may end right after its tag.
    let (tags, content) = split(rest).unwrap_or((rest, b""));
    let partial = match tags.split(|byte| *byte == b':').next() {
        Some(b"F") => false,
        Some(b"P") => true,
        _ => return None,
    };
    let time = std::str::from_utf8(time).ok()?;
    // A cheap look: the timestamp is only parsed when it matters.
    (time.len() >= 20 && time.as_bytes()[4] == b'-').then_some(Line {
        time,
        partial,
        content,
    })
}

impl Line<'_> {
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let time = "2026-08-13T07:07:37.123456789Z";
        let check = |rest: &str, expect: Option<(bool, &str)>| {
            let text = format!("{time} {rest}");
            let got = parse(text.as_bytes());
            let got = got.map(|line| (line.partial, std::str::from_utf8(line.content).unwrap()));
            assert_eq!(got, expect, "{rest}");
        };
        check("stdout F hello", Some((false, "hello")));
        check("stderr P hel lo ", Some((true, "hel lo ")));
        check("stdout F:x:y hello", Some((false, "hello")));
        check("stdout F ", Some((false, "")));
        check("stdout F", Some((false, "")));
        check("stdin F hello", None);
        check("stdout X hello", None);
        check("stdout", None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"x stdout F y"), None);
        assert_eq!(parse(&[0xff; 40]), None);
        let text = format!("{time} stdout F x");
        assert_eq!(
            parse(text.as_bytes()).unwrap().timestamp(),
            Some(time.parse().unwrap())
        );
    }
}
