//! Container logs: files in CRI's format, read, followed and rotated here, written by the runtime.

mod line;
mod options;
mod rotate;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
mod watch;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::limits::LOG_MAX_FILES;
pub(crate) use options::{LogOptions, parse as parse_options};
pub(crate) use rotate::rotate_loop;
pub(crate) use stream::{Follower, Following, LogStream};
pub(crate) use tail::tail;
pub(crate) use watch::FolderWatch;

/// The files of one log as they are at one moment, oldest first and open: later rotations take nothing away. They are
/// at most `LOG_MAX_FILES`, or one more while the log is rotated, also where older ones could not be removed.
fn open(log: &Path) -> io::Result<Vec<File>> {
    // The present one before the others are listed: if it is rotated in between, it is among them.
    let present = open_if_there(log)?;
    let mut files = Vec::new();
    let rotated = rotated(log);
    for path in &rotated[rotated.len().saturating_sub(LOG_MAX_FILES)..] {
        files.extend(open_if_there(path)?);
    }
    if let Some(present) = present
        && position(&files, identity(&present.metadata()?))?.is_none()
    {
        files.push(present);
    }
    Ok(files)
}

/// What tells an open file from all others, whatever its name is by now.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// The place of a file among others.
fn position(files: &[File], wanted: Identity) -> io::Result<Option<usize>> {
    for (index, file) in files.iter().enumerate() {
        if identity(&file.metadata()?) == wanted {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files of one log, oldest first: rotated ones (`0.log.20260102-150405`), then the present.
fn files(log: &Path) -> Vec<PathBuf> {
    let mut files = rotated(log);
    files.push(log.to_owned());
    files
}

/// Rotated files of a log, oldest first: their names sort by time.
fn rotated(log: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let file = entry.file_name();
            let stamp = file
                .to_str()
                .and_then(|f| f.strip_prefix(name)?.strip_prefix('.'));
            stamp.is_some_and(rotate::is_stamp)
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// Removes a log with its rotated files.
pub(crate) async fn remove(log: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || {
        for file in files(&log) {
            // A container that never wrote has no file.
            std::fs::remove_file(file).ok();
        }
    });
    if let Err(error) = removed.await {
        tracing::warn!(%error, "old logs not removed");
    }
}
