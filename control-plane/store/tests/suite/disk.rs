//! A disk that refuses: full, failing, coming back. RLIMIT_FSIZE plays the full disk, in a process of its own because
//! it holds for a whole process; it works for root too.

use std::process::Command;

use sampan_store::{
    Expect, Key, Op, Prefix, Revision, Snapshot, SnapshotError, Store, StoreError, TxnError,
    WatchError,
};

use crate::support::*;

#[test]
fn a_full_disk_makes_the_store_read_only_until_there_is_space() {
    let folder = folder();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "disk::full_disk_child", "--nocapture"]);
    survives(child.env(CHILD_TEST, "").env(CHILD_FOLDER, folder.path()));
}

/// Runs a child part to its end.
pub(crate) fn survives(child: &mut Command) {
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("full disk survived"), "{text}");
}

#[test]
fn full_disk_child() {
    let Some((_, folder)) = childs_part() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(full_disk(&folder));
    println!("full disk survived");
}

/// Files may not grow beyond `bytes`: writes past that fail with EFBIG.
pub(crate) fn limit_file_size(bytes: Option<u64>) {
    let limit = rustix::process::Rlimit {
        current: bytes,
        maximum: None,
    };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
}

/// Without a handler the kernel would end the process instead of failing the write.
pub(crate) fn ignore_limit_signal() {
    let _ignored = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(25));
}

async fn full_disk(folder: &std::path::Path) {
    ignore_limit_signal();
    let store = open(folder).await;
    let small = write(&*store, pod("default/a"), put("one")).await.revision;
    write(&*store, Key::new("leases", "n"), lazy("1")).await;
    let before = store.current_revision();
    let mut watch = store.watch(Prefix::bucket("pods"), small).await.unwrap();

    limit_file_size(Some(64 << 10));
    let big = "x".repeat(200_000);
    let writes = (0..4).map(|n| {
        let (store, big) = (store.clone(), big.clone());
        async move {
            store
                .txn(pod(&format!("default/{n}")), Expect::Any, put(&big))
                .await
        }
    });
    for result in futures::future::join_all(writes).await {
        let Err(TxnError::Store(error)) = result else {
            panic!("{result:?}")
        };
        assert!(
            matches!(error, StoreError::DiskFull { .. } | StoreError::Io { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("state.db"), "{error}");
    }
    assert!(store.health().is_some(), "read-only is reported");
    assert_eq!(
        store.current_revision(),
        before,
        "a failed write uses no revision"
    );
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["default/a=one"]
    );
    let lazily = store
        .txn(Key::new("leases", "n"), Expect::Any, lazy(&big))
        .await;
    assert!(
        matches!(lazily, Err(TxnError::Store(_))),
        "lazy writes need the disk too: {lazily:?}"
    );

    let copy = folder.join("copy.db");
    limit_file_size(Some(4096));
    let copied = Snapshot::take(&folder.join("state.db"), &copy).await;
    let Err(error @ (SnapshotError::DiskFull { .. } | SnapshotError::Copy { .. })) = copied else {
        panic!("{copied:?}")
    };
    assert!(error.to_string().contains("copy.db"), "{error}");

    limit_file_size(None);
    let after = write(&*store, pod("default/b"), put("two")).await;
    assert_eq!(after.revision, Revision(before.0 + 1));
    assert!(store.health().is_none());
    assert_eq!(
        events(&mut watch, 1).await,
        ["+default/b=two"],
        "nobody saw the failed writes"
    );
    write(&*store, pod("default/a"), Op::Delete).await;
    store.close().await;

    let store = open(folder).await;
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("pods")).await),
        ["default/b=two"]
    );
    assert_eq!(
        shown(&list(&*store, Prefix::bucket("leases")).await),
        ["n=1"]
    );

    // A stop that cannot write the last lazy writes is no clean one: whoever saw them starts again.
    let lost = write(&*store, Key::new("leases", "n"), lazy(&big)).await;
    limit_file_size(Some(64 << 10));
    store.close().await;
    limit_file_size(None);
    let store = open(folder).await;
    let old = store.watch(Prefix::bucket("leases"), lost.revision).await;
    assert!(matches!(old, Err(WatchError::Compacted { .. })), "{old:?}");
    store.close().await;
}

/// Another program that holds SQLite's write lock: refused for now, and nothing lost.
#[tokio::test]
async fn a_foreign_lock_is_reported() {
    use sqlx::{ConnectOptions, Connection};
    let folder = folder();
    let store = open(folder.path()).await;
    write(&*store, pod("default/a"), put("one")).await;
    let path = folder.path().join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = options.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let refused = within(store.txn(pod("default/b"), Expect::Any, put("1"))).await;
    let Err(TxnError::Store(StoreError::Busy { .. })) = refused else {
        panic!("{refused:?}")
    };
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(
        write(&*store, pod("default/b"), put("1")).await.revision,
        Revision(2)
    );
    other.close().await.unwrap();
    store.close().await;
}
