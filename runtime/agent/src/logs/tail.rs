//! Finds where the last lines of a log begin, reading backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::line::parse;
use crate::limits::LOG_LINE_MAX;

/// Bytes read at once, backwards.
const BLOCK: u64 = 64 << 10;

/// The file and offset where the last `count` lines begin, over all files of a log (oldest
/// first), the newest of which is looked at up to `newest_end` only: it may grow meanwhile. A
/// line in several pieces counts once.
pub(super) fn start_of_tail(
    files: &[File],
    count: u64,
    newest_end: u64,
) -> io::Result<(usize, u64)> {
    // The wanted lines begin where the line before them ends: one full line more is looked for.
    let mut left = count;
    for (index, file) in files.iter().enumerate().rev() {
        let length = file.metadata()?.len();
        let end = if index + 1 == files.len() {
            length.min(newest_end)
        } else {
            length
        };
        if let Some(offset) = search(file, end, &mut left)? {
            return Ok((index, offset));
        }
    }
    Ok((0, 0))
}

/// The end of the full line that comes before the `left` last ones before `end`; counts `left` down.
fn search(file: &File, end: u64, left: &mut u64) -> io::Result<Option<u64>> {
    backwards(file, end, |raw| take(raw, left))
}

/// Shows the lines before `end`, the last one first, each with its newline if it has one. Stops at the one of which
/// `found` says so, and tells where that ends.
fn backwards(
    file: &File,
    end: u64,
    mut found: impl FnMut(&[u8]) -> bool,
) -> io::Result<Option<u64>> {
    let mut position = end;
    // Bytes after `position` whose line has not begun yet, looking backwards.
    let mut rest: Vec<u8> = Vec::new();
    // Where the line under inspection ends, its newline included.
    let mut end = position;
    while position > 0 {
        let size = BLOCK.min(position);
        position -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut block, position)?;
        block.append(&mut rest);
        let mut upto = block.len();
        // The newline of the line under inspection is its last byte: look before it.
        while let Some(at) = block[..upto.saturating_sub(1)]
            .iter()
            .rposition(|b| *b == b'\n')
        {
            if found(&block[at + 1..upto]) {
                return Ok(Some(end));
            }
            upto = at + 1;
            end = position + upto as u64;
        }
        block.truncate(upto);
        rest = block;
        if rest.len() > LOG_LINE_MAX {
            // No log line is this long: it counts as malformed and is not kept.
            rest.clear();
        }
    }
    Ok((!rest.is_empty() && found(&rest)).then_some(end))
}

/// Counts a line that ends a logical line. True when it is the one before the wanted ones.
fn take(raw: &[u8], left: &mut u64) -> bool {
    let Some(raw) = raw.strip_suffix(b"\n") else {
        return false;
    };
    if parse(raw).is_none_or(|line| line.partial) {
        return false;
    }
    if *left == 0 {
        return true;
    }
    *left -= 1;
    false
}

/// The last lines of a log as text, at most `bytes` of it.
pub(crate) async fn tail(log: &Path, lines: usize, bytes: usize) -> String {
    let log = log.to_owned();
    let read = tokio::task::spawn_blocking(move || read_tail(&log, lines, bytes)).await;
    match read {
        Ok(Ok(text)) => text,
        // The message is a courtesy; without a log there is none.
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

fn read_tail(log: &Path, lines: usize, bytes: usize) -> io::Result<String> {
    // From the end, so that no more is read and kept than is shown.
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let (mut left, mut room) = (lines as u64, bytes);
    for file in super::open(log)?.iter().rev() {
        let whole = backwards(file, file.metadata()?.len(), |raw| {
            if room == 0 || take(raw, &mut left) {
                return true;
            }
            let Some(line) = parse(raw.strip_suffix(b"\n").unwrap_or(raw)) else {
                return false;
            };
            let mut text = line.content.to_vec();
            if !line.partial {
                text.push(b'\n');
            }
            text.drain(..text.len().saturating_sub(room));
            room -= text.len();
            if !text.is_empty() {
                pieces.push(text);
            }
            false
        });
        if whole?.is_some() {
            break;
        }
    }
    pieces.reverse();
    Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-08-13T07:07:37.123456789Z";

    fn log(lines: &[&str]) -> String {
        lines
            .iter()
            .map(|line| format!("{TIME} stdout {line}\n"))
            .collect()
    }

    #[tokio::test]
    async fn last_lines_over_rotated_files() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        std::fs::write(
            temp.path().join("0.log.20260101-000000"),
            log(&["F a", "F b"]),
        )
        .unwrap();
        std::fs::write(&path, log(&["P c", "P d", "F e", "F f"])).unwrap();
        let check = async |count: usize, expect: &str| {
            assert_eq!(tail(&path, count, 1000).await, expect, "{count}");
        };
        check(0, "").await;
        check(1, "f\n").await;
        check(2, "cde\nf\n").await;
        check(3, "b\ncde\nf\n").await;
        check(4, "a\nb\ncde\nf\n").await;
        check(9, "a\nb\ncde\nf\n").await;
        assert_eq!(tail(&path, 9, 3).await, "\nf\n");
        assert_eq!(tail(&temp.path().join("none"), 9, 3).await, "");
        // A line of more pieces than are kept of it: its end counts.
        let piece = format!("P {}", "x".repeat(LOG_LINE_MAX / 2));
        std::fs::write(&path, log(&[&piece, &piece, &piece, "F end"])).unwrap();
        check(1, &format!("{}end\n", "x".repeat(996))).await;
        assert_eq!(tail(&path, 9, 5).await, "xend\n");
    }

    #[test]
    fn lines_across_blocks() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        let long = format!("F {}", "x".repeat(10_000));
        let lines: Vec<&str> = std::iter::repeat_n(long.as_str(), 30).collect();
        let text = log(&lines);
        std::fs::write(&path, &text).unwrap();
        let files = [File::open(&path).unwrap()];
        let each = text.len() as u64 / 30;
        for count in [0, 1, 7, 29] {
            let start = start_of_tail(&files, count, u64::MAX).unwrap();
            assert_eq!(start, (0, each * (30 - count)), "{count}");
        }
        assert_eq!(start_of_tail(&files, 30, u64::MAX).unwrap(), (0, 0));
    }
}
