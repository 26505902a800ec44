//! Backups of stores that are written to, and what a restore makes of good and bad archives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad;
mod btrfs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sampan_store::{
    Codec, DecodeError, Durability, Expect, Key, Op, Prefix, RangeRequest, Revision, SqliteStore,
    Store, StoreConfig, WatchError,
};
use tempfile::TempDir;

use crate::{BackupError, Existing, Layout, RestoreError, backup, restore};

/// Objects are the stored bytes.
struct Plain;

impl Codec for Plain {
    type Object = Bytes;

    fn decode(&self, _: &Key, _: Revision, stored: &Bytes) -> Result<Bytes, DecodeError> {
        Ok(stored.clone())
    }

    fn restamp(&self, object: &Bytes, _: Revision) -> Bytes {
        object.clone()
    }

    fn size(&self, object: &Bytes) -> usize {
        object.len()
    }
}

type Plainly = Arc<SqliteStore<Plain>>;

fn layout() -> Layout {
    Layout {
        database: "state.db".into(),
        folders: vec!["pki".into(), "registry".into()],
    }
}

async fn open(data: &Path) -> Plainly {
    let config = StoreConfig::new(data.join("state.db"));
    SqliteStore::open(config, Plain).await.unwrap()
}

async fn put(store: &Plainly, path: &str, value: String) -> Revision {
    let op = Op::Put {
        value: value.into(),
        durability: Durability::Durable,
    };
    let key = Key::new("configmaps", path);
    store.txn(key, Expect::Any, op).await.unwrap().revision
}

async fn listed(store: &Plainly, at: Option<Revision>) -> Vec<(String, Revision, Bytes)> {
    let request = RangeRequest {
        at,
        ..RangeRequest::all(Prefix::bucket("configmaps"))
    };
    let page = store.range(request).await.unwrap();
    let entries = page.entries.into_iter();
    entries
        .map(|entry| {
            (
                entry.key.as_str().to_owned(),
                entry.revision,
                entry.object.clone(),
            )
        })
        .collect()
}

/// A folder with a data folder in it that has a little of everything.
async fn filled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (name, content) in [
        ("pki/ca.key", "private"),
        ("pki/ca.crt", "public"),
        ("pki/.half.crt.new", "unfinished"),
        ("registry/blobs/sha256/abc", "a module"),
        ("registry/repositories/app/_tags/v1", "sha256:abc"),
        ("registry/repositories/app/_tags/v1.new", "sha256:abc"),
        ("node/volumes/x", "not state"),
        ("admin.kubeconfig", "made at each start"),
    ] {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let store = open(&data).await;
    for n in 0..200 {
        put(&store, &format!("default/{n}"), "x".repeat(500)).await;
    }
    store.close().await;
    (folder, data)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_back_from_a_backup_taken_under_load() {
    let (folder, data) = filled().await;
    let store = open(&data).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    put(&store, &format!("w{writer}/{}", n % 40), n.to_string()).await;
                    n += 1;
                }
            })
        })
        .collect();
    let before = store.current_revision();
    let archive = folder.path().join("backup.tar.zst");
    let manifest = backup(&data, &layout(), &archive, Existing::Keep)
        .await
        .unwrap();
    assert!(Revision(manifest.revision) >= before);
    let expected = listed(&store, Some(Revision(manifest.revision))).await;
    assert_eq!(manifest.objects(), expected.len() as u64);
    assert_eq!(mode(&archive), 0o600);
    let names: Vec<_> = manifest.files.iter().map(|file| &*file.path).collect();
    assert_eq!(
        names,
        [
            "state.db",
            "pki/ca.crt",
            "pki/ca.key",
            "registry/blobs/sha256/abc",
            "registry/repositories/app/_tags/v1",
            "registry/repositories/app/_tags/v1.new"
        ]
    );
    // Nothing else was left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

    let restored = folder.path().join("below/restored");
    let outcome = restore(&archive, &layout(), &restored).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let last = store.current_revision();
    store.close().await;

    assert_eq!(outcome.manifest, manifest);
    assert!(outcome.revision.0 >= manifest.ceiling + 1_000_000_000);
    assert!(outcome.revision > last);
    assert_eq!(mode(&restored), 0o700);
    for file in &manifest.files[1..] {
        let (was, is) = (data.join(&file.path), restored.join(&file.path));
        assert_eq!(fs::read(was).unwrap(), fs::read(&is).unwrap());
        assert_eq!(mode(&is), 0o600);
    }
    let store = open(&restored).await;
    assert_eq!(listed(&store, None).await, expected);
    assert_eq!(store.current_revision(), outcome.revision);
    let watch = store.watch(Prefix::bucket("configmaps"), last).await;
    assert!(
        matches!(watch, Err(WatchError::Compacted { .. })),
        "{watch:?}"
    );
    assert!(put(&store, "default/new", "x".into()).await > outcome.revision);
    store.close().await;
}

#[tokio::test]
async fn a_stopped_store_and_a_file_that_is_there() {
    let (folder, data) = filled().await;
    let archive = folder.path().join("backup");
    fs::write(&archive, "an older one").unwrap();
    let kept = backup(&data, &layout(), &archive, Existing::Keep)
        .await
        .unwrap_err();
    assert!(matches!(kept, BackupError::Exists { .. }), "{kept}");
    assert!(kept.to_string().contains("--force"), "{kept}");
    assert_eq!(fs::read(&archive).unwrap(), b"an older one");
    let manifest = backup(&data, &layout(), &archive, Existing::Replace)
        .await
        .unwrap();
    assert_eq!((manifest.objects(), manifest.revision), (200, 200));
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).unwrap();
    restore(&archive, &layout(), &restored)
        .await
        .expect("an empty folder is as good as none");
    let store = open(&restored).await;
    assert_eq!(listed(&store, None).await.len(), 200);
    store.close().await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_comes_from_nothing() {
    let (folder, data) = filled().await;
    let archive = folder.path().join("backup");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for missing in [&empty, &folder.path().join("nowhere")] {
        let error = backup(missing, &layout(), &archive, Existing::Keep)
            .await
            .unwrap_err();
        assert!(matches!(error, BackupError::NoState { .. }), "{error}");
        assert!(error.to_string().contains("--data-dir"), "{error}");
    }
    let nowhere = folder.path().join("nowhere/backup");
    let error = backup(&data, &layout(), &nowhere, Existing::Keep)
        .await
        .unwrap_err();
    assert!(matches!(error, BackupError::Io { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");

    backup(&data, &layout(), &archive, Existing::Keep)
        .await
        .unwrap();
    let before = fs::read(data.join("state.db")).unwrap();
    for occupied in [&data, &archive] {
        let error = restore(&archive, &layout(), occupied).await.unwrap_err();
        assert!(matches!(error, RestoreError::Occupied { .. }), "{error}");
        assert!(error.to_string().contains("is not empty"), "{error}");
    }
    assert!(fs::read(data.join("state.db")).unwrap() == before);
}
