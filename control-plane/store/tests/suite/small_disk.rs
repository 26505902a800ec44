//! A disk without room: what is refused, what goes on, and where room comes from. A small file system plays it, in a
//! mount namespace of a child process.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use sampan_store::{Expect, Key, Op, Prefix, SqliteStore, Store, StoreError, TxnError};

use crate::disk::{ignore_limit_signal, limit_file_size, survives};
use crate::support::*;

pub(crate) const RESERVE: u64 = 8 << 20;

fn on_a_small_disk(test: &str) {
    on_a_disk_of("24m", "small_disk::child", test);
}

/// Has `child` do its part of a test on a file system of that size.
pub(crate) fn on_a_disk_of(size: &str, child: &str, test: &str) {
    let namespace = Command::new("unshare").args(["-rm", "true"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "needs user namespaces");
        println!("skipped: needs user namespaces");
        return;
    }
    let folder = folder();
    let script =
        "mount -t tmpfs -o size=\"$3\" none \"$1\" && exec \"$2\" --exact \"$4\" --nocapture";
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script, "sh"]);
    unshare
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args([size, child]);
    survives(
        unshare
            .env(CHILD_TEST, test)
            .env(CHILD_FOLDER, folder.path()),
    );
}

/// In one thread, so that writes sent together are one batch.
#[tokio::test]
async fn child() {
    let Some((test, folder)) = childs_part() else {
        return;
    };
    let folder = folder.as_path();
    match test.as_str() {
        "deletes" => deletes(folder).await,
        "log" => log(folder).await,
        "start" => start(folder).await,
        "growth" => growth(folder).await,
        "free pages" => free_pages(folder).await,
        "lazy" => lazy_writes(folder).await,
        "batch" => batch(folder).await,
        "quota" => quota(folder).await,
        "stop" => stop(folder).await,
        other => panic!("no test {other}"),
    }
    println!("full disk survived");
}

#[test]
fn a_full_disk_takes_deletes() {
    on_a_small_disk("deletes");
}

#[test]
fn a_write_finds_the_room_that_the_log_holds() {
    on_a_small_disk("log");
}

#[test]
fn a_log_that_grew_the_database_leaves_what_is_set_aside() {
    on_a_small_disk("growth");
}

#[test]
fn a_start_on_a_full_disk_has_room() {
    on_a_small_disk("start");
}

#[test]
fn a_write_finds_the_room_of_free_pages() {
    on_a_small_disk("free pages");
}

#[test]
fn lazy_writes_do_not_use_up_the_room_for_deletes() {
    on_a_small_disk("lazy");
}

#[test]
fn a_batch_without_room_is_refused_after_few_tries() {
    on_a_small_disk("batch");
}

#[test]
fn a_quota_that_is_used_up_is_a_full_disk() {
    on_a_small_disk("quota");
}

#[test]
fn a_stop_on_a_full_disk_leaves_no_log() {
    on_a_small_disk("stop");
}

/// A store that makes no checkpoints of its own and keeps hardly any history.
async fn open_without_checkpoints(folder: &Path) -> TextStore {
    let mut config = config(folder);
    config.checkpoint_bytes = 64 << 20;
    config.history_bytes = 64 << 10;
    SqliteStore::open(config, TextCodec).await.unwrap()
}

/// Takes all the room there is.
pub(crate) fn fill(folder: &Path, name: &str) -> File {
    let mut ballast = File::create(folder.join(name)).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    ballast
}

pub(crate) fn is_full<T>(result: &Result<T, TxnError<Text>>) -> bool {
    matches!(result, Err(TxnError::Store(StoreError::DiskFull { .. })))
}

pub(crate) fn length(folder: &Path, name: &str) -> u64 {
    std::fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len())
}

pub(crate) fn text(kib: usize) -> String {
    "x".repeat(kib << 10)
}

async fn deletes(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/big"), put(&text(3 << 10))).await;
    let text = text(64);
    let mut keys = vec![pod("default/big")];
    loop {
        let key = pod(&format!("default/{}", keys.len()));
        let written = store.txn(key.clone(), Expect::Any, put(&text)).await;
        if is_full(&written) {
            break;
        }
        written.unwrap();
        keys.push(key);
    }
    // What is left of it is somebody else's.
    let _ballast = fill(folder, "ballast");
    let last = keys.pop().unwrap();
    let refused = store.txn(last.clone(), Expect::Any, put(&text)).await;
    assert!(is_full(&refused), "{refused:?}");
    // Many at once, beside writes that may fail.
    let outcomes = keys.iter().map(|key| async {
        let put = store.txn(last.clone(), Expect::Any, put(&text));
        let deleted = store.txn(key.clone(), Expect::Any, Op::Delete);
        futures::join!(put, deleted).1.unwrap();
    });
    futures::future::join_all(outcomes).await;
    assert_eq!(shown(&list(&*store, Prefix::bucket("pods")).await).len(), 1);

    // What they freed is there for others once the history is gone, too.
    store.compact(store.current_revision()).await.unwrap();
    room_comes(&store, &last, &text).await;
    assert!(store.health().is_none());
    store.close().await;
    let store = open(folder).await;
    assert_eq!(shown(&list(&*store, Prefix::bucket("pods")).await).len(), 1);
    store.close().await;
}

/// Tries a write until there is room: the writer frees some in between.
pub(crate) async fn room_comes(store: &TextStore, key: &Key, text: &str) {
    let room = async {
        while is_full(&store.txn(key.clone(), Expect::Any, put(text)).await) {
            tokio::task::yield_now().await;
        }
    };
    within(room).await;
}

async fn log(folder: &Path) {
    let store = open_without_checkpoints(folder).await;
    let text = text(64);
    while store.stats().wal_bytes < 6 << 20 {
        write(&*store, pod("default/a"), put(&text)).await;
    }
    let _ballast = fill(folder, "ballast");
    for _ in 0..20 {
        write(&*store, pod("default/a"), put(&text)).await;
    }
    assert!(store.health().is_none());
    assert_eq!(length(folder, "state.db-reserve"), RESERVE);
    store.close().await;
}

async fn growth(folder: &Path) {
    let store = open_without_checkpoints(folder).await;
    let text = text(64);
    let mut keys = Vec::new();
    while store.stats().wal_bytes < 6 << 20 {
        keys.push(pod(&format!("default/{}", keys.len())));
        write(&*store, keys[keys.len() - 1].clone(), put(&text)).await;
    }
    let _ballast = fill(folder, "ballast");
    let more = (0..4).map(|_| store.txn(pod("default/more"), Expect::Any, put(&text)));
    let more = futures::future::join_all(more).await;
    assert!(more.iter().all(|more| more.is_ok() || is_full(more)));
    // What the log held is in the database, which took no more than the log gave back.
    assert!(store.stats().wal_bytes < 1 << 20);
    assert!(length(folder, "state.db") > 4 << 20);
    assert_eq!(length(folder, "state.db-reserve"), RESERVE);
    for key in keys {
        write(&*store, key, Op::Delete).await;
    }
    store.close().await;
}

async fn start(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/a"), put(&text(64))).await;
    store.close().await;
    let _ballast = fill(folder, "ballast");
    let store = open(folder).await;
    assert!(length(folder, "state.db-reserve") > RESERVE / 2);
    write(&*store, pod("default/a"), Op::Delete).await;
    store.close().await;
}

async fn free_pages(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/big"), put(&text(3 << 10))).await;
    write(&*store, pod("default/big"), Op::Delete).await;
    store.compact(store.current_revision()).await.unwrap();
    write(&*store, pod("default/a"), put("one")).await;
    store.close().await;
    // Closed, so that the log holds nothing.
    let _ballast = fill(folder, "ballast");
    let before = length(folder, "state.db");
    assert!(before > 3 << 20);
    let store = open(folder).await;
    let text = text(1 << 10);
    let refused = store.txn(pod("default/b"), Expect::Any, put(&text)).await;
    assert!(is_full(&refused), "{refused:?}");
    room_comes(&store, &pod("default/b"), &text).await;
    assert!(length(folder, "state.db") < before);
    store.close().await;
}

async fn lazy_writes(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/big"), put(&text(3 << 10))).await;
    write(&*store, pod("default/kept"), put("1")).await;
    let text = text(64);
    let event = |n: usize| Key::new("events", &format!("default/{n}"));
    write(&*store, event(8), put("1")).await;
    // The log is empty after that.
    store.close().await;
    let store = open(folder).await;
    write(&*store, pod("default/kept"), put("1")).await;
    for n in 0..120 {
        write(&*store, event(n), lazy(&text)).await;
    }
    let ballast = fill(folder, "ballast");
    let before = store.current_revision();
    write(&*store, pod("default/big"), Op::Delete).await;
    // One that is nowhere but in memory, and one whose last version is.
    write(&*store, event(7), Op::Delete).await;
    write(&*store, event(8), Op::Delete).await;
    assert!(store.health().is_some(), "other writes find no room");
    let refused = store.txn(event(7), Expect::Any, lazy(&text)).await;
    assert!(is_full(&refused), "{refused:?}");
    assert_eq!(store.current_revision().0, before.0 + 3);

    drop(ballast);
    std::fs::remove_file(folder.join("ballast")).unwrap();
    write(&*store, pod("default/kept"), put("2")).await;
    assert!(store.health().is_none());
    let last = store.current_revision();
    store.close().await;
    let store = open(folder).await;
    assert_eq!(store.current_revision(), last, "it was stopped cleanly");
    let pods = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(shown(&pods), ["default/kept=2"]);
    let events = list(&*store, Prefix::bucket("events")).await;
    assert_eq!(events.entries.len(), 118);
    for n in [7, 8] {
        assert!(store.get(&event(n)).await.unwrap().is_none());
    }
    store.close().await;
}

async fn batch(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/old"), put("1")).await;
    let ballast = fill(folder, "ballast");
    let text = text(64);
    let puts =
        || (0..200).map(|n| store.txn(pod(&format!("default/{n}")), Expect::Any, put(&text)));
    let before = store.counters().commit_failures;
    let delete = store.txn(pod("default/old"), Expect::Any, Op::Delete);
    let (refused, deleted) = futures::join!(futures::future::join_all(puts()), delete);
    assert!(refused.iter().all(is_full));
    deleted.unwrap();
    let tries = store.counters().commit_failures - before;
    assert!(tries < 10, "{tries} tries");

    // A small one may find the room that others do not.
    ballast
        .set_len(ballast.metadata().unwrap().len() - (512 << 10))
        .unwrap();
    let before = store.counters().commit_failures;
    let small = store.txn(pod("default/small"), Expect::Any, put("1"));
    let (others, small) = futures::join!(futures::future::join_all(puts()), small);
    small.unwrap();
    let full = others.iter().filter(|other| is_full(other)).count();
    assert!((180..200).contains(&full), "{full} of 200 found no room");
    let tries = store.counters().commit_failures - before;
    assert!(tries < 20, "{tries} tries");
    store.close().await;
}

/// For SQLite a quota is an I/O error, and so is a limit on the size of files.
async fn quota(folder: &Path) {
    ignore_limit_signal();
    let store = open_without_checkpoints(folder).await;
    let text = text(64);
    while store.stats().wal_bytes < 9 << 20 {
        write(&*store, pod("default/a"), put(&text)).await;
    }
    let written = || store.txn(pod("default/b"), Expect::Any, put(&text));
    limit_file_size(Some(store.stats().wal_bytes));
    let failed = written().await;
    assert!(
        matches!(failed, Err(TxnError::Store(StoreError::Io { .. }))),
        "there is room: {failed:?}"
    );
    assert_eq!(length(folder, "state.db-reserve"), RESERVE);
    let ballast = fill(folder, "ballast");
    limit_file_size(Some(store.stats().wal_bytes));
    written().await.expect("the log starts over");
    limit_file_size(None);
    drop(ballast);
    store.close().await;
}

async fn stop(folder: &Path) {
    let store = open(folder).await;
    write(&*store, pod("default/big"), put(&text(3 << 10))).await;
    let _ballast = fill(folder, "ballast");
    write(&*store, pod("default/big"), Op::Delete).await;
    assert!(length(folder, "state.db-wal") > 3 << 20);
    store.close().await;
    assert_eq!(length(folder, "state.db-wal"), 0);
    assert!(length(folder, "state.db-reserve") > RESERVE / 2);
}
