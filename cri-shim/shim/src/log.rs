//! The log file of one container, in CRI format.
//!
//! Lines of a chunk are written with one write call, before the guest goes on. A full disk does
//! not stop the guest: what could not be written is counted, told once to our own log, and noted in
//! the file as soon as it takes lines again. Rotation is the agent's: it renames the file and calls
//! [`ContainerLog::reopen`].

mod bucket;
mod line;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sampan_engine::OutputSink;

use self::bucket::TokenBucket;
use self::line::LineCutter;
pub(crate) use self::line::Stream;
use crate::config::LogRate;
use crate::time::log_stamp;

/// Readable for the group that collects logs, as kubelets' own runtimes make it.
const FILE_MODE: u32 = 0o640;

/// The log of one container; output goes nowhere while it is not open.
pub(crate) struct ContainerLog {
    path: Option<PathBuf>,
    clock: Instant,
    bucket: Option<Mutex<TokenBucket>>,
    writer: Mutex<Writer>,
}

struct Writer {
    file: Option<File>,
    stdout: LineCutter,
    stderr: LineCutter,
    lost: Option<Lost>,
    /// The last write ended within a line.
    torn: bool,
}

/// Output that could not be written, since the last write that succeeded.
struct Lost {
    bytes: u64,
    error: io::Error,
}

impl ContainerLog {
    /// A log that will be written to `path`, or nowhere.
    pub(crate) fn new(path: Option<PathBuf>, rate: Option<LogRate>) -> ContainerLog {
        let writer = Writer {
            file: None,
            stdout: LineCutter::new(Stream::Stdout),
            stderr: LineCutter::new(Stream::Stderr),
            lost: None,
            torn: false,
        };
        ContainerLog {
            path,
            clock: Instant::now(),
            bucket: rate.map(|rate| Mutex::new(TokenBucket::new(rate))),
            writer: Mutex::new(writer),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Makes the file, and the folders above it where they are missing.
    pub(crate) fn open(&self) -> io::Result<()> {
        if let Some(folder) = self.path.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(folder)?;
        }
        self.reopen()
    }

    /// Goes on in a new file at the same path; on an error in the old one.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file = File::options()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path)?;
        let mut writer = self.writer.lock();
        writer.file = Some(file);
        writer.torn = false;
        Ok(())
    }

    /// Writes what has no newline yet and closes the file. Returns what was lost, in words.
    pub(crate) fn finish(&self) -> Option<String> {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let stamp = log_stamp();
        let mut lines = Vec::new();
        writer.stdout.finish(&stamp, &mut lines);
        writer.stderr.finish(&stamp, &mut lines);
        writer.write(lines, &stamp, self.path());
        writer.file = None;
        writer.lost.take().map(|lost| lost.to_string())
    }

    /// Waits for its turn, then writes. Cutting and writing happen in one step without a pause, so
    /// a write that is dropped while it waits leaves no half of itself behind.
    async fn append(&self, stream: Stream, data: &[u8]) {
        if let Some(bucket) = &self.bucket {
            let wait = bucket.lock().take(data.len(), self.clock.elapsed());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        if writer.file.is_none() {
            return;
        }
        let stamp = log_stamp();
        let mut lines = Vec::new();
        writer.cutter(stream).push(data, &stamp, &mut lines);
        writer.write(lines, &stamp, self.path());
    }
}

impl Writer {
    fn cutter(&mut self, stream: Stream) -> &mut LineCutter {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Writes whole lines. A write to the page cache is short enough to be made in place: handing
    /// it to another thread costs more than it takes.
    fn write(&mut self, lines: Vec<u8>, stamp: &str, path: Option<&Path>) {
        let Some(file) = &mut self.file else { return };
        if lines.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        if self.torn {
            batch.push(b'\n');
        }
        if let Some(lost) = &self.lost {
            batch.extend_from_slice(format!("{stamp} stderr F [sampan] {lost}\n").as_bytes());
        }
        let note = batch.len();
        batch.extend_from_slice(&lines);
        let (written, result) = write_counted(file, &batch);
        if written > 0 {
            self.torn = batch[written - 1] != b'\n';
        }
        match result {
            Ok(()) => self.lost = None,
            Err(error) => {
                if written >= note {
                    self.lost = None;
                }
                let bytes = (batch.len() - written.max(note)) as u64;
                self.note_loss(bytes, error, path);
            }
        }
    }

    fn note_loss(&mut self, bytes: u64, error: io::Error, path: Option<&Path>) {
        match &mut self.lost {
            Some(lost) => lost.bytes += bytes,
            None => {
                let path = path.unwrap_or(Path::new("")).display();
                tracing::warn!(%path, %error, "cannot write a container's log; its output is lost until this is solved");
                self.lost = Some(Lost { bytes, error });
            }
        }
    }
}

/// Like `write_all`, and tells how far it came.
fn write_counted(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of log were lost: {}", self.bytes, self.error)
    }
}

/// One of a guest's two output streams, into its log.
pub(crate) struct LogSink {
    log: Arc<ContainerLog>,
    stream: Stream,
}

impl LogSink {
    pub(crate) fn new(log: &Arc<ContainerLog>, stream: Stream) -> Arc<LogSink> {
        Arc::new(LogSink {
            log: log.clone(),
            stream,
        })
    }
}

#[async_trait]
impl OutputSink for LogSink {
    async fn write(&self, data: Bytes) {
        self.log.append(self.stream, &data).await;
    }
}

#[cfg(test)]
mod tests;
