//! Files that are not what they should be: refused with the name of the file and a way out, and left alone.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use sampan_store::{Expect, OpenError, SqliteStore, Store, StoreConfig, StoreError, TxnError};

use crate::support::*;

/// Opens a file that must be refused, checks that it was left alone, and answers the error.
async fn refused(folder: &Path) -> OpenError {
    let path = folder.join("state.db");
    let before = fs::read(&path).ok();
    let error = SqliteStore::open(config(folder), TextCodec)
        .await
        .map(drop)
        .unwrap_err();
    assert!(
        error.to_string().contains("state.db"),
        "the message names the file: {error}"
    );
    assert!(fs::read(&path).ok() == before, "the file was changed");
    error
}

/// A file with some content, after a clean stop.
async fn filled() -> tempfile::TempDir {
    let folder = folder();
    let store = open(folder.path()).await;
    for n in 0..200 {
        write(
            &*store,
            pod(&format!("default/{n}")),
            put(&"x".repeat(1000)),
        )
        .await;
    }
    store.close().await;
    folder
}

#[tokio::test]
async fn text_instead_of_a_database() {
    let folder = folder();
    fs::write(folder.path().join("state.db"), "hello ".repeat(1000)).unwrap();
    let error = refused(folder.path()).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away"), "{error}");
}

#[tokio::test]
async fn an_empty_or_tiny_file() {
    for content in ["", "SQLite format 3\0"] {
        let folder = folder();
        fs::write(folder.path().join("state.db"), content).unwrap();
        let error = refused(folder.path()).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_truncated_file() {
    let folder = filled().await;
    let path = folder.path().join("state.db");
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    let error = refused(folder.path()).await;
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[tokio::test]
async fn overwritten_pages() {
    let folder = filled().await;
    let path = folder.path().join("state.db");
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    let file = fs::File::options().write(true).open(&path).unwrap();
    for page in 2..pages {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let error = refused(folder.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn damage_found_after_an_unclean_stop() {
    let folder = filled().await;
    let store = open(folder.path()).await;
    write(&*store, pod("default/one-more"), put("x")).await;
    // The files as a power cut would leave them, with a page in the middle of the database overwritten.
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let path = copy.path().join("state.db");
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 4096], pages / 2 * 4096).unwrap();
    let error = refused(copy.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

/// A file with a long log table, as a power cut would leave it, and a page in the middle of the log overwritten: the
/// state is whole, so only the check can tell.
async fn damaged_history() -> tempfile::TempDir {
    use sqlx::{ConnectOptions, Connection, Row};
    let folder = filled().await;
    let store = open(folder.path()).await;
    for n in 0..200 {
        write(&*store, pod(&format!("default/{n}")), put("new")).await;
    }
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let path = copy.path().join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    // Opening and closing brings the log into the file, and leaves it marked as not stopped cleanly.
    let mut connection = options.connect().await.unwrap();
    let pages = sqlx::query("SELECT pageno FROM dbstat WHERE name = 'log' AND pagetype = 'leaf'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let page: i64 = pages[pages.len() / 2].try_get(0).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 4096], (page as u64 - 1) * 4096)
        .unwrap();
    copy
}

#[tokio::test]
async fn damage_only_the_check_can_see() {
    let folder = damaged_history().await;
    let error = refused(folder.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

/// With no time for the check at the start, it goes on beside the running store, and ends all writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_found_while_running() {
    let folder = damaged_history().await;
    let config = StoreConfig {
        check_time: Duration::ZERO,
        ..config(folder.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    let found = async {
        loop {
            match store.health() {
                Some(error) => return error,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let error = within(found).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(
        error.to_string().contains("restore it from a backup"),
        "{error}"
    );
    let refused = store.txn(pod("default/0"), Expect::Any, put("x")).await;
    assert!(
        matches!(refused, Err(TxnError::Store(StoreError::Corrupt { .. }))),
        "{refused:?}"
    );
    let page = list(&*store, sampan_store::Prefix::bucket("pods")).await;
    assert_eq!(page.entries.len(), 200, "reads go on");
    store.close().await;
    // Nobody takes it for sound after a stop that was in order.
    let error = self::refused(folder.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_sound_file_is_checked_while_running_and_closes_meanwhile() {
    let folder = filled().await;
    let store = open(folder.path()).await;
    write(&*store, pod("default/more"), put("x")).await;
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let config = StoreConfig {
        check_time: Duration::ZERO,
        ..config(copy.path())
    };
    let store = SqliteStore::open(config, TextCodec).await.unwrap();
    write(&*store, pod("default/again"), put("x")).await;
    within(store.close()).await;
    let store = open(copy.path()).await;
    let page = list(&*store, sampan_store::Prefix::bucket("pods")).await;
    assert_eq!(page.entries.len(), 202);
    store.close().await;
}

/// Cut off while a log is there to replay: the header may be ahead of the file, so only SQLite can tell.
#[tokio::test]
async fn a_truncated_file_beside_its_log() {
    let folder = filled().await;
    let store = open(folder.path()).await;
    write(&*store, pod("default/more"), put("x")).await;
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let file = fs::File::options()
        .write(true)
        .open(copy.path().join("state.db"))
        .unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let error = refused(copy.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

/// Damage that only shows when all is read. What is in the log stays there, too.
#[tokio::test]
async fn a_key_that_is_there_twice() {
    use sqlx::{ConnectOptions, Connection};
    let folder = filled().await;
    let path = folder.path().join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    let twice = "INSERT INTO current SELECT create_revision + 1000, revision + 1000, key, value FROM current";
    sqlx::query(twice).execute(&mut connection).await.unwrap();
    let copy = crate::support::folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    connection.close().await.unwrap();
    let log = fs::read(copy.path().join("state.db-wal")).unwrap();
    for _ in 0..3 {
        let error = refused(copy.path()).await;
        assert!(error.to_string().contains("is there twice"), "{error}");
        assert!(fs::read(copy.path().join("state.db-wal")).unwrap() == log);
    }
}

#[tokio::test]
async fn a_newer_schema_and_a_foreign_database() {
    use sqlx::{ConnectOptions, Connection};
    let folder = filled().await;
    let path = folder.path().join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("UPDATE meta SET schema = 99")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let error = refused(folder.path()).await;
    assert!(
        matches!(
            error,
            OpenError::NewerSchema {
                found: 99,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("run the newer release"),
        "{error}"
    );

    let mut connection = options.connect().await.unwrap();
    sqlx::query("PRAGMA application_id = 7")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let error = refused(folder.path()).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
}

#[tokio::test]
async fn a_log_without_its_database() {
    let folder = folder();
    fs::write(folder.path().join("state.db-wal"), [0; 5000]).unwrap();
    let error = refused(folder.path()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_folder() {
    let folder = folder();
    let missing = folder.path().join("nowhere");
    let error = SqliteStore::open(config(&missing), TextCodec)
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(
        error.to_string().contains("check that the folder exists"),
        "{error}"
    );
}

#[tokio::test]
async fn a_creation_that_was_cut_short() {
    let folder = folder();
    fs::write(folder.path().join("state.db-new"), "half a file").unwrap();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("1")).await;
    store.close().await;
    assert!(!folder.path().join("state.db-new").exists());
}
