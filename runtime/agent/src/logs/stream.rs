//! A log as a stream of bytes: selected, unwrapped from its format, and followed if asked for.

use std::collections::VecDeque;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::line::parse;
use super::options::LogOptions;
use super::tail::start_of_tail;
use super::watch::{Changes, FolderWatch};
use crate::limits::LOG_LINE_MAX;

/// Bytes read at once.
const READ: usize = 64 << 10;
/// How often a followed log is looked at where the kernel offers no file events.
const POLL: Duration = Duration::from_secs(1);

/// Tells a follower when to stop.
#[async_trait::async_trait]
pub(crate) trait Following: Send + Sync + 'static {
    /// Whether the container that writes this log still runs.
    fn is_running(&mut self) -> bool;
    /// Waits until that may have changed.
    async fn changed(&mut self);
}

/// Who follows a log, and what tells that it grew; without it the log is looked at every second.
pub(crate) struct Follower {
    pub(crate) container: Box<dyn Following>,
    pub(crate) watch: Option<Arc<FolderWatch>>,
}

pub(crate) struct LogStream {
    log: PathBuf,
    /// Files to read after the present one, oldest first. They are open, as rotation renames and removes them.
    next_files: VecDeque<File>,
    file: Option<File>,
    /// Where the reader is in the present file.
    position: u64,
    /// Where the newest file ended when the log was opened: a log that is not followed ends there,
    /// however fast it grows.
    end: u64,
    /// Read and not yet taken apart.
    rest: Vec<u8>,
    options: LogOptions,
    left: u64,
    /// The line that goes on is one that is selected, or left out.
    inside: Option<bool>,
    follow: Option<Follow>,
}

struct Follow {
    container: Box<dyn Following>,
    changes: Option<Changes>,
    /// The container has ended: read what is left, then stop.
    last_round: bool,
}

impl LogStream {
    /// Opens a log. A missing file is an empty log: the container has not written yet.
    pub(crate) async fn open(
        log: &Path,
        options: LogOptions,
        follower: Option<Follower>,
    ) -> io::Result<LogStream> {
        // Listening begins before reading, so that nothing written between is missed.
        let follow = follower.map(|Follower { container, watch }| Follow {
            container,
            changes: watch
                .zip(log.parent())
                .and_then(|(watch, dir)| watch.listen(dir).ok()),
            last_round: false,
        });
        let (path, tail) = (log.to_owned(), options.tail_lines);
        let start = move || -> io::Result<_> {
            let files = super::open(&path)?;
            let end = match files.last() {
                Some(newest) => newest.metadata()?.len(),
                None => 0,
            };
            let start = tail.map(|count| start_of_tail(&files, count, end));
            let (first, offset) = start.transpose()?.unwrap_or((0, 0));
            let mut files: VecDeque<_> = files.into_iter().skip(first).collect();
            let mut file = files.pop_front();
            if let Some(file) = &mut file {
                file.seek(SeekFrom::Start(offset))?;
            }
            Ok((file, files, offset, end))
        };
        let (file, next_files, offset, end) = in_background(start).await?;
        Ok(LogStream {
            log: log.to_owned(),
            next_files: next_files.into_iter().map(File::from_std).collect(),
            file: file.map(File::from_std),
            position: offset,
            end: if follow.is_some() { u64::MAX } else { end },
            rest: Vec::new(),
            left: options.limit_bytes.unwrap_or(u64::MAX),
            options,
            inside: None,
            follow,
        })
    }

    /// The log's bytes. Ends with the log, or with the container when it is followed.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::unfold(Some(self), |log| async move {
            let mut log = log?;
            match log.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(log))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The next piece; nothing at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.left > 0 {
            let read = self.read().await?;
            if read > 0 {
                let out = self.take_apart();
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
                continue;
            }
            if self.next_file().await? {
                continue;
            }
            if !self.wait().await {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        if self.rest.len() > LOG_LINE_MAX {
            // Longer than any line of this format: passed over, as other malformed lines.
            self.rest.clear();
        }
        let newest = self.next_files.is_empty();
        let allowed = if newest {
            self.end.saturating_sub(self.position)
        } else {
            u64::MAX
        };
        let before = self.rest.len();
        let length = usize::try_from(allowed).unwrap_or(usize::MAX).min(READ);
        self.rest.resize(before + length, 0);
        let read = file.read(&mut self.rest[before..]).await;
        let count = read.as_ref().copied().unwrap_or(0);
        self.rest.truncate(before + count);
        self.position += count as u64;
        read
    }

    /// Goes on with the next file, if there is one. When new ones turn up the present one is read to its end once more:
    /// it was written to up to its rotation.
    async fn next_file(&mut self) -> io::Result<bool> {
        if let Some(next) = self.next_files.pop_front() {
            self.file = Some(next);
            self.position = 0;
            return Ok(true);
        }
        if self.follow.is_some() {
            self.next_files = self.newer().await?;
        }
        Ok(!self.next_files.is_empty())
    }

    /// The files of the log that have come after the one being read.
    async fn newer(&self) -> io::Result<VecDeque<File>> {
        let Ok(named) = tokio::fs::metadata(&self.log).await else {
            // Not written yet, or just being rotated.
            return Ok(VecDeque::new());
        };
        let present = match &self.file {
            Some(file) => Some(super::identity(&file.metadata().await?)),
            None => None,
        };
        if present == Some(super::identity(&named)) {
            return Ok(VecDeque::new());
        }
        let log = self.log.clone();
        let look = move || -> io::Result<_> {
            let mut files = super::open(&log)?;
            // If it is among them no more, all are newer.
            if let Some(present) = present
                && let Some(at) = super::position(&files, present)?
            {
                files.drain(..=at);
            }
            Ok(files)
        };
        let files = in_background(look).await?;
        Ok(files.into_iter().map(File::from_std).collect())
    }

    /// Waits for more. False when there will be none.
    async fn wait(&mut self) -> bool {
        let Some(follow) = &mut self.follow else {
            return false;
        };
        if follow.last_round {
            return false;
        }
        if !follow.container.is_running() {
            // Everything was written before the container was reported as ended.
            follow.last_round = true;
            return true;
        }
        let changed = async {
            match &mut follow.changes {
                Some(changes) => changes.next().await,
                None => tokio::time::sleep(POLL).await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = follow.container.changed() => {}
        }
        true
    }

    /// Turns complete raw lines into output.
    fn take_apart(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(length) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let raw = &self.rest[from..from + length];
            from += length + 1;
            let Some(line) = parse(raw) else { continue };
            let selected = self.inside.unwrap_or_else(|| match self.options.since {
                Some(since) => line.timestamp().is_some_and(|time| time >= since),
                None => true,
            });
            if selected {
                if self.options.timestamps && self.inside.is_none() {
                    out.extend_from_slice(line.time.as_bytes());
                    out.push(b' ');
                }
                out.extend_from_slice(line.content);
                if !line.partial {
                    out.push(b'\n');
                }
            }
            self.inside = line.partial.then_some(selected);
        }
        self.rest.drain(..from);
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
        out.truncate(limit);
        self.left -= out.len() as u64;
        out
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}
