//! A log that is long, or was once, on a full disk: what it makes the database grow by is set aside, so that deletes never
//! end. A small file system plays the disk, as in `small_disk`.

use std::io::Write;
use std::path::Path;

use sampan_store::{Expect, Key, Op, Store};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::small_disk::{RESERVE, fill, is_full, length, on_a_disk_of, room_comes, text};
use crate::support::*;

fn on_a_larger_disk(test: &str) {
    on_a_disk_of("64m", "long_log::child", test);
}

#[tokio::test]
async fn child() {
    let Some((test, folder)) = childs_part() else {
        return;
    };
    let folder = folder.as_path();
    match test.as_str() {
        "long log" => long_log(folder).await,
        "reader" => reader(folder).await,
        "crash" => crash(folder).await,
        other => panic!("no test {other}"),
    }
    println!("full disk survived");
}

#[test]
fn a_log_that_was_long_once_does_not_end_deletes() {
    on_a_larger_disk("long log");
}

#[test]
fn a_reader_that_makes_the_log_long_does_not_end_deletes() {
    on_a_larger_disk("reader");
}

#[test]
fn a_start_leaves_what_a_long_log_needs() {
    on_a_larger_disk("crash");
}

/// Somebody who reads the file, as a copy of it is taken: the log cannot start over.
async fn hold(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("state.db"));
    let mut reader = SqliteConnection::connect_with(&options).await.unwrap();
    let begin = sqlx::raw_sql("BEGIN; SELECT count(*) FROM current");
    begin.execute(&mut reader).await.unwrap();
    reader
}

async fn puts_until_full(store: &TextStore, keys: &mut Vec<Key>) {
    let text = text(64);
    loop {
        let key = pod(&format!("default/{}", keys.len()));
        let written = store.txn(key.clone(), Expect::Any, put(&text)).await;
        if is_full(&written) {
            return;
        }
        written.unwrap();
        keys.push(key);
    }
}

/// A long log is written over where it lies, for which there is room on a full disk.
async fn long_log(folder: &Path) {
    let store = open(folder).await;
    let text = text(64);
    let reader = hold(folder).await;
    while store.stats().wal_bytes < 24 << 20 {
        write(&*store, pod("default/a"), put(&text)).await;
    }
    reader.close().await.unwrap();
    while store.stats().wal_bytes >= 24 << 20 {
        write(&*store, pod("default/a"), put(&text)).await;
    }
    assert!(store.stats().wal_bytes > RESERVE);
    let _ballast = fill(folder, "ballast");
    let mut keys = Vec::new();
    puts_until_full(&store, &mut keys).await;
    assert!(keys.len() > 100, "{} found room", keys.len());
    for key in &keys {
        write(&*store, key.clone(), Op::Delete).await;
    }
    store.compact(store.current_revision()).await.unwrap();
    room_comes(&store, &keys[0], &text).await;
    store.close().await;
    assert_eq!(length(folder, "state.db-reserve"), RESERVE);
}

/// Beside a reader, so that all of it stays in the log.
async fn puts_until_long(store: &TextStore) -> Vec<Key> {
    let text = text(64);
    let mut keys = Vec::new();
    while store.stats().wal_bytes < 16 << 20 {
        keys.push(pod(&format!("default/{}", keys.len())));
        write(&**store, keys[keys.len() - 1].clone(), put(&text)).await;
    }
    keys
}

/// The disk gets full while the log is long and cannot be brought into the database.
async fn reader(folder: &Path) {
    let store = open(folder).await;
    let reader = hold(folder).await;
    let mut keys = puts_until_long(&store).await;
    let _ballast = fill(folder, "ballast");
    puts_until_full(&store, &mut keys).await;
    // Some find room even so.
    let mut deleted = 0;
    while deleted < keys.len() / 2 {
        let result = store.txn(keys[deleted].clone(), Expect::Any, Op::Delete);
        let result = result.await;
        if is_full(&result) {
            break;
        }
        result.unwrap();
        deleted += 1;
    }
    assert!(deleted > 0);
    reader.close().await.unwrap();
    for key in &keys[deleted..] {
        write(&*store, key.clone(), Op::Delete).await;
    }
    store.compact(store.current_revision()).await.unwrap();
    room_comes(&store, &keys[0], &text(64)).await;
    store.close().await;
    assert_eq!(length(folder, "state.db-reserve"), RESERVE);
}

/// A crash on a full disk while the log is long, and a start after it. Somebody else takes whatever comes free.
async fn crash(folder: &Path) {
    let store = open(folder).await;
    let reader = hold(folder).await;
    let mut keys = puts_until_long(&store).await;
    let ballast = fill(folder, "ballast");
    puts_until_full(&store, &mut keys).await;
    let left = crate::support::folder();
    let names = ["state.db", "state.db-wal", "state.db-reserve"];
    for name in names {
        std::fs::copy(folder.join(name), left.path().join(name)).unwrap();
    }
    reader.close().await.unwrap();
    store.close().await;
    ballast.set_len(0).unwrap();
    for name in names {
        std::fs::copy(left.path().join(name), folder.join(name)).unwrap();
    }

    let mut ballast = fill(folder, "ballast");
    let store = open(folder).await;
    for key in keys {
        while ballast.write_all(&[0; 4096]).is_ok() {}
        write(&*store, key, Op::Delete).await;
    }
    store.close().await;
}
