//! HTTP/1.1 answers: where a head ends, and which bytes after it are the body.

use anyhow::{Context, bail, ensure};
use http::StatusCode;

/// A chunk's size and its extensions are no longer than this.
const MAX_SIZE_LINE: usize = 1024;

/// The head of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// Bytes of it.
    pub(crate) length: usize,
    pub(crate) framing: Framing,
}

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(usize),
    /// The size of a chunk.
    Size,
    /// So many bytes of a chunk, and the end of its line.
    Chunk(usize),
    /// The end of a chunk's line.
    ChunkEnd,
    /// Trailers and an empty line.
    Trailers,
    Done,
}

impl Head {
    /// None when more is to be read.
    pub(crate) fn parse(input: &[u8]) -> anyhow::Result<Option<Head>> {
        let Some(end) = find(input, b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&input[..end]).context("the head of an answer")?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .with_context(|| format!("not the head of an HTTP/1.1 answer: {first:?}"))?;
        let status = StatusCode::from_bytes(status.as_bytes())?;
        let mut framing = None;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                bail!("not a header: {line:?}");
            };
            if name.eq_ignore_ascii_case("content-length") {
                framing = Some(match value.trim().parse()? {
                    0 => Framing::Done,
                    length => Framing::Length(length),
                });
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Some(Framing::Size);
            }
        }
        Ok(Some(Head {
            status,
            length: end + 4,
            framing: framing.context("an answer does not tell where its body ends")?,
        }))
    }
}

impl Framing {
    /// Looks at what was read: how many bytes come before the next ones of the body, and how many those are. None of the
    /// body means that more is to be read, or that it is at its end.
    pub(crate) fn take(&mut self, input: &[u8]) -> anyhow::Result<(usize, usize)> {
        let mut skipped = 0;
        loop {
            let rest = &input[skipped..];
            match *self {
                Framing::Done => return Ok((skipped, 0)),
                Framing::Length(left) => {
                    let length = left.min(rest.len());
                    *self = match left - length {
                        0 => Framing::Done,
                        left => Framing::Length(left),
                    };
                    return Ok((skipped, length));
                }
                Framing::Chunk(left) => {
                    let length = left.min(rest.len());
                    *self = match left - length {
                        0 => Framing::ChunkEnd,
                        left => Framing::Chunk(left),
                    };
                    return Ok((skipped, length));
                }
                Framing::ChunkEnd => {
                    if rest.len() < 2 {
                        return Ok((skipped, 0));
                    }
                    ensure!(rest.starts_with(b"\r\n"), "a chunk is longer than it says");
                    skipped += 2;
                    *self = Framing::Size;
                }
                Framing::Size => {
                    let Some(end) = find(rest, b"\r\n") else {
                        ensure!(rest.len() < MAX_SIZE_LINE, "a chunk does not tell its size");
                        return Ok((skipped, 0));
                    };
                    let line = std::str::from_utf8(&rest[..end])?;
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16)
                        .with_context(|| format!("not the size of a chunk: {line:?}"))?;
                    skipped += end + 2;
                    *self = match size {
                        0 => Framing::Trailers,
                        size => Framing::Chunk(size),
                    };
                }
                Framing::Trailers => {
                    let Some(end) = find(rest, b"\r\n") else {
                        return Ok((skipped, 0));
                    };
                    skipped += end + 2;
                    if end == 0 {
                        *self = Framing::Done;
                    }
                }
            }
        }
    }
}

fn find(input: &[u8], what: &[u8]) -> Option<usize> {
    input.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let head = |text: &str| Head::parse(text.as_bytes()).map_err(|error| error.to_string());
        let expected = |status, length, framing| {
            Ok(Some(Head {
                status,
                length,
                framing,
            }))
        };
        let text = "HTTP/1.1 201 Created\r\nA: b\r\nContent-Length: 12\r\n\r\nabc";
        let created = expected(StatusCode::CREATED, text.len() - 3, Framing::Length(12));
        assert_eq!(head(text), created);
        let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunked = expected(StatusCode::OK, text.len(), Framing::Size);
        assert_eq!(head(text), chunked);
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let empty = expected(StatusCode::OK, text.len(), Framing::Done);
        assert_eq!(head(text), empty);
        assert_eq!(head("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"), Ok(None));
        head("HTTP/1.1 200 OK\r\n\r\n").expect_err("no end of the body");
        head("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n").expect_err("another version");
    }

    /// The same body, however it is cut up on its way.
    #[test]
    fn chunks_in_pieces() {
        let sent = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nT: v\r\n\r\n";
        for piece in 1..=sent.len() {
            let mut framing = Framing::Size;
            let (mut input, mut body) = (Vec::new(), Vec::new());
            for part in sent.chunks(piece) {
                input.extend_from_slice(part);
                loop {
                    let (skipped, length) = framing.take(&input).expect("a good body");
                    body.extend_from_slice(&input[skipped..skipped + length]);
                    input.drain(..skipped + length);
                    if length == 0 {
                        break;
                    }
                }
            }
            assert_eq!(body, b"hello, world", "in pieces of {piece}");
            assert_eq!((framing, input.len()), (Framing::Done, 0), "{piece}");
        }
    }

    #[test]
    fn bad_chunks() {
        for sent in ["x\r\n", "1\r\nab\r\n"] {
            let mut framing = Framing::Size;
            let first = framing.take(sent.as_bytes());
            let second = first
                .and_then(|(skipped, length)| framing.take(&sent.as_bytes()[skipped + length..]));
            second.expect_err(sent);
        }
    }
}
