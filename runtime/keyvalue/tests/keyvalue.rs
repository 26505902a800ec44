//! The file through its interface: what is kept, what is refused, who sees what.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures::future::join_all;
use sampan_keyvalue::{
    Bucket, BucketName, KeyValue, KeyValueConfig, KeyValueError, Limits, Namespace, OpenError,
};

fn name(namespace: &str, uid: &str, name: &str) -> BucketName {
    BucketName {
        namespace: namespace.into(),
        namespace_uid: uid.into(),
        name: name.into(),
    }
}

struct File {
    dir: tempfile::TempDir,
    store: KeyValue,
}

impl File {
    async fn new() -> File {
        File::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> File {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyvalue.db");
        let store = KeyValue::open(KeyValueConfig { path, limits })
            .await
            .unwrap();
        File { dir, store }
    }

    async fn again(&self) -> KeyValue {
        let path = self.dir.path().join("keyvalue.db");
        KeyValue::open(KeyValueConfig::new(path)).await.unwrap()
    }

    async fn bucket(&self) -> Bucket {
        self.store.bucket(&name("n", "1", "b")).await.unwrap()
    }
}

async fn set(bucket: &Bucket, key: &str, value: &str) -> Result<(), KeyValueError> {
    bucket.set(vec![(key.into(), value.into())]).await
}

async fn get(bucket: &Bucket, key: &str) -> Option<String> {
    let pairs = bucket.get(&[key.to_owned()]).await.unwrap();
    let pair = pairs[0].clone()?;
    Some(String::from_utf8(pair.value).unwrap())
}

#[tokio::test]
async fn what_is_set_can_be_read_after_the_file_was_opened_again() {
    let file = File::new().await;
    let bucket = file.bucket().await;
    assert_eq!(get(&bucket, "k").await, None);
    set(&bucket, "k", "one").await.unwrap();
    set(&bucket, "k", "two").await.unwrap();
    assert_eq!(get(&bucket, "k").await.as_deref(), Some("two"));
    assert!(bucket.exists("k").await.unwrap());
    bucket
        .delete(vec!["k".into(), "none".into()])
        .await
        .unwrap();
    assert!(!bucket.exists("k").await.unwrap());
    set(&bucket, "kept", "three").await.unwrap();
    // The first handle is still open: what was written is in the file, not in the process.
    let again = file
        .again()
        .await
        .bucket(&name("n", "1", "b"))
        .await
        .unwrap();
    assert_eq!(get(&again, "kept").await.as_deref(), Some("three"));
    assert_eq!(get(&again, "k").await, None);
}

#[tokio::test]
async fn namespaces_and_buckets_see_nothing_of_each_other() {
    let file = File::new().await;
    let bucket = file.bucket().await;
    set(&bucket, "k", "mine").await.unwrap();
    for other in [name("m", "1", "b"), name("n", "1", "c"), name("m", "", "b")] {
        let other = file.store.bucket(&other).await.unwrap();
        assert_eq!(get(&other, "k").await, None);
        assert_eq!(other.keys(None).await.unwrap().keys, Vec::<String>::new());
        other.delete(vec!["k".into()]).await.unwrap();
    }
    assert_eq!(get(&bucket, "k").await.as_deref(), Some("mine"));
    for bad in ["", "a b", "a/b", &"x".repeat(64)] {
        let refused = file.store.bucket(&name("n", "1", bad)).await;
        assert_eq!(refused.err(), Some(KeyValueError::BucketName), "{bad}");
    }
}

#[tokio::test]
async fn a_namespace_that_comes_again_begins_empty() {
    let file = File::new().await;
    let old = file.bucket().await;
    let pairs = (0..900).map(|n| (format!("k{n}"), b"v".to_vec()));
    old.set(pairs.collect()).await.unwrap();
    let new = file.store.bucket(&name("n", "2", "b")).await.unwrap();
    assert_eq!(get(&new, "k1").await, None);
    set(&new, "k1", "new").await.unwrap();
    let namespace = |uid: &str| Namespace {
        name: "n".into(),
        uid: uid.into(),
    };
    let both = [namespace("1"), namespace("2")];
    assert_eq!(file.store.namespaces().await.unwrap(), both);
    file.store.namespace_delete(&namespace("1")).await.unwrap();
    file.store.namespace_delete(&namespace("3")).await.unwrap();
    assert_eq!(file.store.namespaces().await.unwrap(), both[1..]);
    // Who still holds the old bucket writes nowhere.
    assert_eq!(set(&old, "k1", "old").await, Err(KeyValueError::BucketGone));
    let late = old.increment("c".into(), 1).await;
    assert_eq!(late, Err(KeyValueError::BucketGone));
    // Writes go on meanwhile, and in the end nothing of the old is left.
    while old.exists("k899").await.unwrap() || old.exists("k1").await.unwrap() {
        set(&new, "k2", "x").await.unwrap();
    }
    assert_eq!(get(&new, "k1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn whoever_comes_with_another_uid_takes_nothing_away() {
    let file = File::new().await;
    let bucket = file.bucket().await;
    set(&bucket, "k", "mine").await.unwrap();
    // A pod left over from an earlier namespace, and one that does not know.
    for uid in ["0", "", "1"] {
        let other = file.store.bucket(&name("n", uid, "b")).await.unwrap();
        assert_eq!(get(&other, "k").await.is_some(), uid == "1", "{uid:?}");
    }
    set(&bucket, "k2", "mine").await.unwrap();
    assert_eq!(get(&bucket, "k").await.as_deref(), Some("mine"));
    // Nor after a restart, which takes up what was not removed yet.
    let again = file.again().await;
    let again = again.bucket(&name("n", "1", "b")).await.unwrap();
    set(&again, "k3", "mine").await.unwrap();
    assert_eq!(get(&again, "k").await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up() {
    let file = File::new().await;
    set(&file.bucket().await, "k", "kept").await.unwrap();
    let File { dir, store } = file;
    drop(store);
    let path = dir.path().join("keyvalue.db");
    let back = "DROP INDEX namespace_alive;
        CREATE UNIQUE INDEX namespace_alive ON namespace (name) WHERE dead = 0;
        UPDATE meta SET schema = 1;";
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql(back).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    for _ in 0..2 {
        let store = KeyValue::open(KeyValueConfig::new(&path)).await.unwrap();
        let bucket = store.bucket(&name("n", "1", "b")).await.unwrap();
        assert_eq!(get(&bucket, "k").await.as_deref(), Some("kept"));
        store.bucket(&name("n", "2", "b")).await.unwrap();
    }
}

#[tokio::test]
async fn counters_lose_no_increment() {
    let file = File::new().await;
    let bucket = file.bucket().await;
    let sums = join_all((0..200).map(|_| bucket.increment("c".into(), 2))).await;
    let mut sums: Vec<i64> = sums.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=200).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(get(&bucket, "c").await.as_deref(), Some("400"));
    assert_eq!(bucket.increment("c".into(), -401).await, Ok(-1));
    set(&bucket, "word", "four").await.unwrap();
    let word = bucket.increment("word".into(), 1).await;
    assert_eq!(word, Err(KeyValueError::NotANumber));
    set(&bucket, "most", &i64::MAX.to_string()).await.unwrap();
    let most = bucket.increment("most".into(), 1).await;
    assert_eq!(most, Err(KeyValueError::Overflow));
}

#[tokio::test]
async fn a_swap_notices_every_other_write() {
    let file = File::new().await;
    let bucket = file.bucket().await;
    let version = async || {
        let pairs = bucket.get(&["k".to_owned()]).await.unwrap();
        pairs[0].as_ref().map(|pair| pair.version)
    };
    let swap = async |expected, value: &str| {
        let done = bucket.swap("k".into(), expected, value.into()).await;
        done.unwrap()
    };
    assert!(!swap(Some(1), "x").await, "there is nothing yet");
    assert!(swap(None, "a").await);
    assert!(!swap(None, "b").await, "there is something now");
    let first = version().await;
    // A value that went and came back is another one.
    bucket.delete(vec!["k".into()]).await.unwrap();
    set(&bucket, "k", "a").await.unwrap();
    assert!(!swap(first, "b").await);
    assert!(swap(version().await, "b").await);
    assert_eq!(get(&bucket, "k").await.as_deref(), Some("b"));
}

#[tokio::test]
async fn pages_show_each_key_once() {
    let limits = Limits {
        page_keys: 7,
        ..Limits::default()
    };
    let file = File::with(limits).await;
    let bucket = file.bucket().await;
    for count in [0, 7, 20] {
        let pairs = (0..count).map(|n| (format!("k{n}"), Vec::new()));
        bucket.set(pairs.collect()).await.unwrap();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = bucket.keys(cursor).await.unwrap();
            assert!(page.keys.len() <= 7);
            seen.extend(page.keys);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            // Changes meanwhile disturb nobody.
            bucket.delete(vec!["k0".into()]).await.unwrap();
        }
        seen.sort();
        let mut expected: Vec<String> = (0..count).map(|n| format!("k{n}")).collect();
        expected.sort();
        assert_eq!(seen, expected);
    }
    assert_eq!(
        bucket.keys(Some(u64::MAX)).await,
        Err(KeyValueError::Cursor)
    );
    assert_eq!(
        bucket.keys(Some(1 << 60)).await.unwrap().keys,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn everything_has_a_limit_and_refusals_change_nothing() {
    let limits = Limits {
        key_bytes: 4,
        value_bytes: 100,
        call_items: 10,
        call_bytes: 500,
        bucket_keys: 12,
        namespace_buckets: 2,
        namespace_bytes: 600,
        ..Limits::default()
    };
    let file = File::with(limits).await;
    let bucket = file.bucket().await;
    let pairs = |count: usize, bytes: usize| -> Vec<(String, Vec<u8>)> {
        (0..count)
            .map(|n| (format!("k{n}"), vec![0; bytes]))
            .collect()
    };
    for (pairs, text) in [
        (vec![(String::new(), vec![])], "a key must not be empty"),
        (
            vec![("12345".into(), vec![])],
            "a key has 5 bytes, at most 4",
        ),
        (pairs(1, 101), "a value has 101 bytes, at most 100"),
        (pairs(11, 0), "names 11 keys, at most 10"),
        (pairs(10, 99), "more than 500 bytes"),
    ] {
        let refused = bucket.set(pairs).await.unwrap_err().to_string();
        assert!(refused.contains(text), "{refused}");
    }
    assert_eq!(bucket.keys(None).await.unwrap().keys, Vec::<String>::new());
    bucket.set(pairs(10, 40)).await.unwrap();
    let more: Vec<_> = (10..13).map(|n| (format!("k{n}"), vec![])).collect();
    let refused = bucket.set(more).await;
    assert_eq!(refused, Err(KeyValueError::TooManyKeys { limit: 12 }));
    assert!(!bucket.exists("k10").await.unwrap(), "all or nothing");
    // The namespace's bytes are those of all its buckets.
    let other = file.store.bucket(&name("n", "1", "c")).await.unwrap();
    let refused = other.set(pairs(2, 90)).await;
    assert_eq!(refused, Err(KeyValueError::NamespaceFull { limit: 600 }));
    set(&other, "k", &"v".repeat(90)).await.unwrap();
    let third = file.store.bucket(&name("n", "1", "d")).await;
    assert_eq!(
        third.err(),
        Some(KeyValueError::TooManyBuckets { limit: 2 })
    );
    // Room that was given back can be used again, also after the counts were read from the file.
    bucket
        .delete((0..10).map(|n| format!("k{n}")).collect())
        .await
        .unwrap();
    other.set(pairs(2, 90)).await.unwrap();
}

#[tokio::test]
async fn a_full_file_is_an_error_for_who_fills_it() {
    let limits = Limits {
        file_bytes: 400 << 10,
        ..Limits::default()
    };
    let file = File::with(limits).await;
    let bucket = file.bucket().await;
    set(&bucket, "small", "1").await.unwrap();
    let big = bucket.set(vec![("big".into(), vec![7; 1 << 20])]);
    let small = bucket.increment("small".into(), 1);
    let (big, small) = futures::join!(big, small);
    assert!(matches!(big, Err(KeyValueError::Storage(_))), "{big:?}");
    assert_eq!(small, Ok(2), "one failure is not its neighbours'");
    assert!(!bucket.exists("big").await.unwrap());
}

#[tokio::test]
async fn a_strange_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyvalue.db");
    std::fs::write(&path, "this is not a database, and long enough to be none").unwrap();
    let error = KeyValue::open(KeyValueConfig::new(&path))
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::Sqlite { .. }), "{error:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("this is not"));
}
