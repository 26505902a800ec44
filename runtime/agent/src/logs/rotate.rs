//! Keeps the logs of running containers from growing without end.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sampan_proto::{CriError, v1};
use tokio_util::sync::CancellationToken;

use crate::limits::{LOG_MAX_BYTES, LOG_MAX_FILES, LOG_ROTATE_PERIOD};
use crate::worker::Shared;

/// A log that floods is looked at more often, down to this.
const SHORTEST: Duration = Duration::from_millis(500);
const STAMP: &str = "%Y%m%d-%H%M%S";

/// Whether a file name's ending is the time of a rotation.
pub(super) fn is_stamp(text: &str) -> bool {
    text.len() == 15
        && text.bytes().enumerate().all(|(at, b)| {
            if at == 8 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        })
}

/// Looks at the logs of running containers every `LOG_ROTATE_PERIOD`, and sooner at those that
/// would outgrow their size before.
pub(crate) async fn rotate_loop(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut sizes: HashMap<String, u64> = HashMap::new();
    let mut pause = LOG_ROTATE_PERIOD;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        let logs = shared.registry.running_logs();
        let mut now = HashMap::with_capacity(logs.len());
        let mut next = LOG_ROTATE_PERIOD;
        for (id, log) in measure(logs).await {
            let (path, size) = log;
            if size > LOG_MAX_BYTES {
                let reopen = async || {
                    let request = v1::ReopenContainerLogRequest { container_id: id };
                    let reopened = shared.runtime.reopen_container_log(request).await;
                    reopened.map(|_| ())
                };
                if let Err(error) = rotate(&path, reopen).await {
                    tracing::warn!(log = %path.display(), error, "log not rotated");
                }
                next = next.min(pause.max(SHORTEST));
                continue;
            }
            let before = sizes.get(&id).copied().unwrap_or(0);
            next = next.min(time_to_fill(before, size, pause));
            now.insert(id, size);
        }
        sizes = now;
        pause = next.max(SHORTEST);
    }
}

/// When a log reaches its size at its present growth.
fn time_to_fill(before: u64, size: u64, elapsed: Duration) -> Duration {
    let grown = size.saturating_sub(before);
    if grown == 0 {
        return LOG_ROTATE_PERIOD;
    }
    let room = LOG_MAX_BYTES.saturating_sub(size);
    let seconds = elapsed.as_secs_f64() * room as f64 / grown as f64;
    Duration::from_secs_f64(seconds.min(LOG_ROTATE_PERIOD.as_secs_f64()))
}

async fn measure(logs: Vec<(String, PathBuf)>) -> Vec<(String, (PathBuf, u64))> {
    if logs.is_empty() {
        return Vec::new();
    }
    let measured = tokio::task::spawn_blocking(move || {
        let with_size = logs.into_iter().filter_map(|(id, path)| {
            let size = std::fs::metadata(&path).ok()?.len();
            Some((id, (path, size)))
        });
        with_size.collect()
    });
    measured.await.unwrap_or_default()
}

async fn rotate(
    log: &Path,
    reopen: impl AsyncFnOnce() -> Result<(), CriError>,
) -> Result<(), String> {
    let stamp = Timestamp::now().strftime(STAMP).to_string();
    let (from, to) = (log.to_owned(), with_suffix(log, &stamp));
    let aside = to.clone();
    let moved = tokio::task::spawn_blocking(move || move_aside(&from, &aside)).await;
    moved
        .map_err(io::Error::other)
        .and_then(|moved| moved)
        .map_err(|error| error.to_string())?;
    if let Err(error) = reopen().await {
        // The runtime still writes to the old file: it gets its name back.
        tokio::fs::rename(&to, log)
            .await
            .map_err(|back| format!("{error}; {back}"))?;
        return Err(error.to_string());
    }
    let log = log.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_surplus(&log)).await;
    removed.map_err(|error| error.to_string())
}

fn with_suffix(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    log.with_file_name(name)
}

/// Renames a log.
fn move_aside(log: &Path, aside: &Path) -> io::Result<()> {
    if aside.exists() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "rotated twice in one second",
        ));
    }
    std::fs::rename(log, aside)
}

/// Removes the oldest rotated files of a log; the present one counts as one. What cannot be removed is told: the
/// others are, and the log is rotated all the same.
fn remove_surplus(log: &Path) {
    let rotated = super::rotated(log);
    let surplus = rotated.len().saturating_sub(LOG_MAX_FILES - 1);
    for old in &rotated[..surplus] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(log = %old.display(), %error, "rotated log not removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_looked_at_sooner() {
        let second = Duration::from_secs(1);
        let mib = 1 << 20;
        assert_eq!(time_to_fill(0, 0, second), LOG_ROTATE_PERIOD);
        assert_eq!(time_to_fill(0, 1, second), LOG_ROTATE_PERIOD);
        assert_eq!(time_to_fill(0, 5 * mib, second), second);
        assert_eq!(time_to_fill(5 * mib, 10 * mib, second), Duration::ZERO);
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("0.log");
        for index in 0..8 {
            std::fs::write(&log, format!("{index}")).unwrap();
            move_aside(&log, &with_suffix(&log, &format!("20260101-00000{index}"))).unwrap();
            remove_surplus(&log);
        }
        std::fs::write(&log, "8").unwrap();
        let kept: Vec<String> = super::super::files(&log)
            .iter()
            .map(|f| std::fs::read_to_string(f).unwrap())
            .collect();
        assert_eq!(kept, ["4", "5", "6", "7", "8"]);
        assert!(is_stamp("20260101-000000"));
        assert!(!is_stamp("20260101-000000.gz") && !is_stamp("1") && !is_stamp("20260101x000000"));
    }

    #[tokio::test]
    async fn a_log_is_rotated_whatever_becomes_of_its_old_files() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("0.log");
        let old = |index: u32| with_suffix(&log, &format!("20260101-00000{index}"));
        // No file, so it cannot be removed as one.
        std::fs::create_dir(old(0)).unwrap();
        for index in 1..6 {
            std::fs::write(old(index), "old").unwrap();
        }
        std::fs::write(&log, "present").unwrap();
        let reopen = async || {
            std::fs::write(&log, "new").unwrap();
            Ok(())
        };
        rotate(&log, reopen).await.unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "new");
        let left = super::super::rotated(&log);
        assert_eq!(left[..4], [old(0), old(3), old(4), old(5)]);
        assert_eq!(std::fs::read_to_string(&left[4]).unwrap(), "present");
        std::fs::remove_file(&left[4]).unwrap();
        // What the runtime still writes to keeps its name.
        let fails = async || Err(CriError::internal("no"));
        rotate(&log, fails).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "new");
    }
}
