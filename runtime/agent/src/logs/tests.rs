//! Log files read as streams.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::limits::LOG_FILES_AHEAD;

/// A container that runs until told otherwise.
struct Running(watch::Receiver<bool>);

#[async_trait::async_trait]
impl Following for Running {
    fn is_running(&mut self) -> bool {
        *self.0.borrow_and_update()
    }

    async fn changed(&mut self) {
        self.0.changed().await.ok();
    }
}

/// Places for files that are open before they are read.
fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

fn write(path: &Path, lines: &[(u32, &str)]) {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    for (second, rest) in lines {
        text.push_str(&format!(
            "2026-01-01T00:00:{second:02}.000000000Z stdout {rest}\n"
        ));
    }
    std::fs::write(path, text).unwrap();
}

async fn read(log: &Path, options: LogOptions) -> String {
    let stream = LogStream::open(log, options, None, places(LOG_FILES_AHEAD))
        .await
        .unwrap()
        .into_stream();
    let pieces: Vec<_> = stream.collect().await;
    let bytes: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap().to_vec())
        .collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn what_is_selected() {
    let temp = tempfile::tempdir().unwrap();
    let log = temp.path().join("0.log");
    write(
        &temp.path().join("0.log.20260101-000000"),
        &[(1, "F a"), (2, "P b")],
    );
    write(
        &log,
        &[
            (3, "F c"),
            (4, "nonsense"),
            (5, "F "),
            (6, "P d"),
            (7, "F e"),
            (8, "F f"),
        ],
    );
    let check = async |options: LogOptions, expect: &str| {
        assert_eq!(read(&log, options.clone()).await, expect, "{options:?}");
    };
    let all = LogOptions::default;
    let at = |second: u32| -> Option<Timestamp> {
        Some(format!("2026-01-01T00:00:{second:02}Z").parse().unwrap())
    };
    check(all(), "a\nbc\n\nde\nf\n").await;
    check(
        LogOptions {
            tail_lines: Some(2),
            ..all()
        },
        "de\nf\n",
    )
    .await;
    check(
        LogOptions {
            tail_lines: Some(4),
            ..all()
        },
        "bc\n\nde\nf\n",
    )
    .await;
    check(
        LogOptions {
            tail_lines: Some(99),
            ..all()
        },
        "a\nbc\n\nde\nf\n",
    )
    .await;
    check(
        LogOptions {
            since: at(6),
            ..all()
        },
        "de\nf\n",
    )
    .await;
    check(
        LogOptions {
            since: at(7),
            ..all()
        },
        "f\n",
    )
    .await;
    check(
        LogOptions {
            since: at(7),
            tail_lines: Some(3),
            ..all()
        },
        "f\n",
    )
    .await;
    check(
        LogOptions {
            limit_bytes: Some(4),
            ..all()
        },
        "a\nbc",
    )
    .await;
    check(
        LogOptions {
            limit_bytes: Some(4),
            tail_lines: Some(1),
            ..all()
        },
        "f\n",
    )
    .await;
    let stamped = "2026-01-01T00:00:06.000000000Z de\n2026-01-01T00:00:08.000000000Z f\n";
    check(
        LogOptions {
            timestamps: true,
            tail_lines: Some(2),
            ..all()
        },
        stamped,
    )
    .await;
    assert_eq!(read(&temp.path().join("1.log"), all()).await, "");
}

#[tokio::test]
async fn a_followed_log_goes_on_after_rotation() {
    for watched in [true, false] {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("0.log");
        write(&log, &[(1, "F one")]);
        let (running, is_running) = watch::channel(true);
        let stop = CancellationToken::new();
        let folder = watched.then(|| FolderWatch::new().unwrap());
        let telling = folder
            .clone()
            .map(|watch| tokio::spawn(watch.run(stop.clone())));
        let follower = Follower {
            container: Box::new(Running(is_running)),
            watch: folder,
        };
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let stream = LogStream::open(&log, options, Some(follower), places(LOG_FILES_AHEAD))
            .await
            .unwrap();
        let mut stream = std::pin::pin!(stream.into_stream());
        let mut next = async || stream.next().await.map(|piece| piece.unwrap());
        assert_eq!(next().await.unwrap(), "one\n");
        write(&log, &[(2, "F two")]);
        assert_eq!(next().await.unwrap(), "two\n");
        std::fs::rename(&log, temp.path().join("0.log.20260101-000000")).unwrap();
        write(&log, &[(3, "F three")]);
        assert_eq!(next().await.unwrap(), "three\n");
        write(&log, &[(4, "F four")]);
        running.send_replace(false);
        assert_eq!(next().await.unwrap(), "four\n");
        assert_eq!(next().await, None);
        stop.cancel();
        if let Some(telling) = telling {
            telling.await.unwrap();
        }
    }
}

/// Moves a log aside, as a rotation does, and removes what is too old.
fn rotate(log: &Path, index: u32) {
    std::fs::rename(log, with_stamp(log, index)).unwrap();
    if let Some(old) = index.checked_sub(4) {
        std::fs::remove_file(with_stamp(log, old)).unwrap();
    }
}

fn with_stamp(log: &Path, index: u32) -> PathBuf {
    log.with_file_name(format!("0.log.20260101-0000{index:02}"))
}

#[tokio::test]
async fn rotation_takes_no_lines_from_a_reader() {
    let temp = tempfile::tempdir().unwrap();
    let log = temp.path().join("0.log");
    let text = |index: u32| format!("F {index}");
    for index in 0..4 {
        write(&log, &[(index, &text(index))]);
        rotate(&log, index);
    }
    write(&log, &[(4, "F 4"), (5, "F 5")]);
    let ahead = places(LOG_FILES_AHEAD);
    let open = async |follow: bool, tail_lines: Option<u64>| {
        let (running, is_running) = watch::channel(true);
        let options = LogOptions {
            follow,
            tail_lines,
            ..LogOptions::default()
        };
        let follower = follow.then(|| Follower {
            container: Box::new(Running(is_running)),
            watch: None,
        });
        let stream = LogStream::open(&log, options, follower, ahead.clone())
            .await
            .unwrap();
        (Box::pin(stream.into_stream()), running)
    };
    let (all, _running) = open(false, None).await;
    let (last, _running) = open(false, Some(3)).await;
    let (mut follower, running) = open(true, Some(1)).await;
    assert_eq!(follower.next().await.unwrap().unwrap(), "5\n");
    // The follower has read to the end, and more comes before its log is rotated, several times.
    for index in 6..9 {
        write(&log, &[(index, &text(index))]);
        rotate(&log, index - 2);
    }
    write(&log, &[(9, "F 9")]);
    running.send_replace(false);
    let whole = async |stream: std::pin::Pin<Box<dyn futures::Stream<Item = _> + Send>>| {
        let pieces: Vec<std::io::Result<bytes::Bytes>> = stream.collect().await;
        let pieces: Vec<_> = pieces.into_iter().map(Result::unwrap).collect();
        String::from_utf8(pieces.concat()).unwrap()
    };
    assert_eq!(whole(follower).await, "6\n7\n8\n9\n");
    assert_eq!(whole(all).await, "0\n1\n2\n3\n4\n5\n");
    assert_eq!(whole(last).await, "3\n4\n5\n");
}

#[tokio::test]
async fn readers_that_take_nothing_have_few_files_open() {
    let temp = tempfile::tempdir().unwrap();
    let log = temp.path().join("0.log");
    for index in 0..4 {
        write(&log, &[(index, &format!("F {index}"))]);
        rotate(&log, index);
    }
    write(&log, &[(4, "F 4")]);
    let held = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let paths = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        paths.filter(|path| path.starts_with(temp.path())).count()
    };
    let ahead = places(6);
    let mut streams = Vec::new();
    for follow in [false, true].repeat(10) {
        let (running, is_running) = watch::channel(true);
        let follower = follow.then(|| Follower {
            container: Box::new(Running(is_running)),
            watch: None,
        });
        let stream = LogStream::open(&log, LogOptions::default(), follower, ahead.clone());
        let mut stream = Box::pin(stream.await.unwrap().into_stream());
        assert_eq!(stream.next().await.unwrap().unwrap(), "0\n");
        streams.push((stream, running));
    }
    assert_eq!(held(), 20 + 6);
    // Each gets to its end, though there are no places, and one that does not follow to where its log ended.
    write(&log, &[(5, "F 5")]);
    let (follower, running) = streams.pop().unwrap();
    let (reader, _running) = streams.pop().unwrap();
    running.send_replace(false);
    for (stream, expect) in [(follower, "1\n2\n3\n4\n5\n"), (reader, "1\n2\n3\n4\n")] {
        let pieces: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(pieces.concat(), expect.as_bytes());
    }
    // What rotation removed meanwhile is passed over, and what came since is not shown.
    let (reader, _running) = streams.swap_remove(streams.len() - 2);
    rotate(&log, 4);
    std::fs::remove_file(with_stamp(&log, 1)).unwrap();
    write(&log, &[(6, "F 6")]);
    let pieces: Vec<_> = reader.map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), b"2\n3\n4\n");
    streams.clear();
    assert_eq!((held(), ahead.available_permits()), (0, 6));
}

#[tokio::test]
async fn listeners_end_with_their_stream() {
    let temp = tempfile::tempdir().unwrap();
    let watch = FolderWatch::new().unwrap();
    let first = watch.listen(temp.path()).unwrap();
    let second = watch.listen(temp.path()).unwrap();
    assert_eq!(Arc::strong_count(&watch), 3);
    drop(first);
    drop(second);
    assert_eq!(Arc::strong_count(&watch), 1);
    assert!(watch.listen(&temp.path().join("none")).is_err());
}

#[test]
fn few_files_are_opened_though_older_ones_were_not_removed() {
    let temp = tempfile::tempdir().unwrap();
    let log = temp.path().join("0.log");
    for second in 0..9 {
        let old = temp.path().join(format!("0.log.20260101-00000{second}"));
        write(&old, &[(second, "F old")]);
    }
    write(&log, &[(9, "F new")]);
    let texts = open(&log).unwrap().into_iter();
    let texts: Vec<String> = texts
        .map(|file| io::read_to_string(file).unwrap())
        .collect();
    assert_eq!(texts.len(), LOG_MAX_FILES + 1);
    assert!(texts[0].contains(":04."), "{texts:?}");
    assert!(texts[LOG_MAX_FILES].contains("new"), "{texts:?}");
}
