//! The log through files: order, rotation, full disks, rate.

use super::*;

fn contents(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the log can be read");
    text.lines()
        .map(|line| line.split_once(' ').expect("a stamp").1.to_string())
        .collect()
}

#[tokio::test]
async fn both_streams_reach_the_file_and_the_rest_at_the_end() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("made/by/open/0.log");
    let log = Arc::new(ContainerLog::new(
        Some(path.clone()),
        Some(LogRate::default()),
    ));
    log.open().expect("the file can be made");
    LogSink::new(&log, Stream::Stdout)
        .write(Bytes::from_static(b"out\nno newline"))
        .await;
    LogSink::new(&log, Stream::Stderr)
        .write(Bytes::from_static(b"err\n"))
        .await;
    assert_eq!(log.finish(), None);
    assert_eq!(
        contents(&path),
        ["stdout F out", "stderr F err", "stdout P no newline"]
    );
}

#[tokio::test]
async fn after_a_rename_lines_go_to_the_new_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (path, old) = (dir.path().join("0.log"), dir.path().join("0.log.old"));
    let log = Arc::new(ContainerLog::new(Some(path.clone()), None));
    log.open().expect("the file can be made");
    log.append(Stream::Stdout, b"one\n").await;
    std::fs::rename(&path, &old).expect("renamed");
    log.append(Stream::Stdout, b"two\n").await;
    log.reopen().expect("the file can be made");
    log.append(Stream::Stdout, b"three\n").await;
    assert_eq!(contents(&old), ["stdout F one", "stdout F two"]);
    assert_eq!(contents(&path), ["stdout F three"]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_does_not_stop_anything() {
    let log = ContainerLog::new(Some("/dev/full".into()), None);
    log.open().expect("a device like any file");
    log.append(Stream::Stdout, b"lost\n").await;
    log.append(Stream::Stdout, b"lost too\n").await;
    let told = log.finish().expect("something was lost");
    assert!(
        told.contains("bytes of log were lost: No space left on device"),
        "{told}"
    );
}

#[tokio::test]
async fn a_log_without_a_path_swallows() {
    let log = ContainerLog::new(None, None);
    log.open().expect("nothing to open");
    log.append(Stream::Stdout, b"nowhere\n").await;
    assert_eq!(log.finish(), None);
}

#[tokio::test]
async fn a_flood_waits_for_its_rate() {
    let rate = LogRate {
        bytes_per_second: 10_000,
        burst_bytes: 10,
    };
    let log = ContainerLog::new(None, Some(rate));
    let start = Instant::now();
    for _ in 0..3 {
        log.append(Stream::Stdout, &[b'x'; 100]).await;
    }
    assert!(start.elapsed().as_millis() >= 25, "{:?}", start.elapsed());
}
