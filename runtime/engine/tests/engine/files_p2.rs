//! The same rules of files for components.

use crate::support::Bench;
use sampan_engine::{Exit, Mount};
use std::fs;

/// Numbers of `wasi:filesystem` error codes, as the guest reports them.
const QUOTA: Exit = Exit::Code(106);
const READ_ONLY: Exit = Exit::Code(133);

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_a_read_only_mount_say_so() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "").unwrap();
    for (read_only, expected) in [(true, READ_ONLY), (false, Exit::Code(0))] {
        for args in [&[][..], &["folder"][..]] {
            let (exit, ..) = bench
                .run_with("p2-files", args, |spec| {
                    let (host, guest) = (dir.path().to_owned(), "/data".to_owned());
                    spec.mounts = vec![Mount {
                        host,
                        guest,
                        read_only,
                    }];
                })
                .await;
            assert_eq!(exit, expected, "{args:?}");
        }
    }
    assert!(dir.path().join("g").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_only_streams_hold_open_count() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "").unwrap();
    let (exit, ..) = bench
        .run_with("p2-files", &["open", "many"], |spec| {
            let (host, guest) = (dir.path().to_owned(), "/data".to_owned());
            spec.mounts = vec![Mount {
                host,
                guest,
                read_only: false,
            }];
            spec.max_open_files = 50;
        })
        .await;
    assert_eq!(exit, QUOTA);
}
