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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Identity;
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
    /// Files to read after the present one, oldest first. They are open, as rotation renames and removes them; not all
    /// that there are, if there are no places.
    next_files: VecDeque<Ahead>,
    /// Places for such files, shared by all streams.
    ahead: Arc<Semaphore>,
    file: Option<Open>,
    /// Where the reader is in the present file.
    position: u64,
    /// Where the log ends that is not followed, however fast it grows.
    end: Option<End>,
    /// Read and not yet taken apart.
    rest: Vec<u8>,
    options: LogOptions,
    left: u64,
    /// The line that goes on is one that is selected, or left out.
    inside: Option<bool>,
    follow: Option<Follow>,
}

struct Open {
    file: File,
    identity: Identity,
}

/// A file that is not read yet.
struct Ahead {
    next: Open,
    /// Nothing for the one that is read next.
    _place: Option<OwnedSemaphorePermit>,
}

/// The newest file when the log was opened, and where it ended.
struct End {
    identity: Identity,
    length: u64,
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
        ahead: Arc<Semaphore>,
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
            let newest = files.last().map(std::fs::File::metadata).transpose()?;
            let end = newest.map(|newest| End {
                identity: super::identity(&newest),
                length: newest.len(),
            });
            let length = end.as_ref().map_or(0, |end| end.length);
            let start = tail.map(|count| start_of_tail(&files, count, length));
            let (first, offset) = start.transpose()?.unwrap_or((0, 0));
            let files: Vec<_> = files.into_iter().skip(first).collect();
            if let Some(mut file) = files.first() {
                file.seek(SeekFrom::Start(offset))?;
            }
            let mut files = opened(files)?;
            Ok((files.pop_front(), files, offset, end))
        };
        let (file, next_files, offset, end) = in_background(start).await?;
        Ok(LogStream {
            log: log.to_owned(),
            next_files: with_places(next_files, &ahead, 0),
            ahead,
            file,
            position: offset,
            end: end.filter(|_| follow.is_none()),
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
        let end = self
            .end
            .as_ref()
            .filter(|end| end.identity == file.identity);
        let allowed = end.map_or(u64::MAX, |end| end.length.saturating_sub(self.position));
        let before = self.rest.len();
        let length = usize::try_from(allowed).unwrap_or(usize::MAX).min(READ);
        self.rest.resize(before + length, 0);
        let read = file.file.read(&mut self.rest[before..]).await;
        let count = read.as_ref().copied().unwrap_or(0);
        self.rest.truncate(before + count);
        self.position += count as u64;
        read
    }

    /// Goes on with the next file, if there is one. When new ones turn up the present one is read to its end once more:
    /// it was written to up to its rotation.
    async fn next_file(&mut self) -> io::Result<bool> {
        if let Some(Ahead { next, .. }) = self.next_files.pop_front() {
            self.file = Some(next);
            self.position = 0;
            return Ok(true);
        }
        let files = self.newer().await?;
        // The next one is read in any case.
        self.next_files = with_places(files, &self.ahead, 1);
        Ok(!self.next_files.is_empty())
    }

    /// The files of the log that come after the one being read.
    async fn newer(&self) -> io::Result<VecDeque<Open>> {
        let present = self.file.as_ref().map(|file| file.identity);
        let end = self.end.as_ref().map(|end| end.identity);
        if self.follow.is_none() {
            if present == end {
                return Ok(VecDeque::new());
            }
        } else {
            let Ok(named) = tokio::fs::metadata(&self.log).await else {
                // Not written yet, or just being rotated.
                return Ok(VecDeque::new());
            };
            if present == Some(super::identity(&named)) {
                return Ok(VecDeque::new());
            }
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
            if let Some(end) = end {
                // If it is among them no more, all have come since.
                let count = super::position(&files, end)?.map_or(0, |at| at + 1);
                files.truncate(count);
            }
            opened(files)
        };
        in_background(look).await
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

fn opened(files: Vec<std::fs::File>) -> io::Result<VecDeque<Open>> {
    let identified = |file: std::fs::File| {
        Ok(Open {
            identity: super::identity(&file.metadata()?),
            file: File::from_std(file),
        })
    };
    files.into_iter().map(identified).collect()
}

/// The first `free` of the files, and further ones as long as there are places.
fn with_places(files: VecDeque<Open>, places: &Arc<Semaphore>, free: usize) -> VecDeque<Ahead> {
    let placed = files.into_iter().enumerate().map_while(|(at, next)| {
        let place = match at < free {
            true => None,
            false => Some(places.clone().try_acquire_owned().ok()?),
        };
        Some(Ahead {
            next,
            _place: place,
        })
    });
    placed.collect()
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}
