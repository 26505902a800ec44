//! A trivial codec and short words for what the tests do all the time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sampan_store::{
    Codec, Committed, DecodeError, Durability, Entry, Event, EventKind, Expect, Key, Op, Page,
    Prefix, RangeRequest, Revision, SqliteStore, Store, StoreConfig, TxnError, Watch,
};
use tempfile::TempDir;

/// The resting form: text and the revision the codec was told, to check that it is told the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) revision: Revision,
}

/// Refuses bytes that are not UTF-8.
#[derive(Clone, Copy)]
pub(crate) struct TextCodec;

impl Codec for TextCodec {
    type Object = Text;

    fn decode(&self, _: &Key, revision: Revision, stored: &Bytes) -> Result<Text, DecodeError> {
        let text = std::str::from_utf8(stored).map_err(|error| DecodeError::new(error.to_string()));
        Ok(Text {
            text: text?.to_owned(),
            revision,
        })
    }

    fn restamp(&self, object: &Text, revision: Revision) -> Text {
        Text {
            text: object.text.clone(),
            revision,
        }
    }

    fn size(&self, object: &Text) -> usize {
        object.text.len()
    }
}

pub(crate) type TextStore = Arc<SqliteStore<TextCodec>>;
pub(crate) type DynStore = Arc<dyn Store<Text>>;

/// A folder that goes when the test ends, on the disk of the build and not in a memory file system.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn config(folder: &Path) -> StoreConfig {
    StoreConfig::new(folder.join("state.db"))
}

pub(crate) async fn open(folder: &Path) -> TextStore {
    SqliteStore::open(config(folder), TextCodec).await.unwrap()
}

pub(crate) fn put(text: &str) -> Op {
    Op::Put {
        value: Bytes::copy_from_slice(text.as_bytes()),
        durability: Durability::Durable,
    }
}

pub(crate) fn lazy(text: &str) -> Op {
    Op::Put {
        value: Bytes::copy_from_slice(text.as_bytes()),
        durability: Durability::Lazy,
    }
}

pub(crate) fn pod(path: &str) -> Key {
    Key::new("pods", path)
}

pub(crate) async fn write(store: &dyn Store<Text>, key: Key, op: Op) -> Committed<Text> {
    store.txn(key, Expect::Any, op).await.unwrap()
}

pub(crate) async fn list(store: &dyn Store<Text>, prefix: Prefix) -> Page<Text> {
    store.range(RangeRequest::all(prefix)).await.unwrap()
}

pub(crate) async fn list_at(store: &dyn Store<Text>, prefix: Prefix, at: Revision) -> Page<Text> {
    store
        .range(RangeRequest {
            at: Some(at),
            ..RangeRequest::all(prefix)
        })
        .await
        .unwrap()
}

/// `path=text` of every entry.
pub(crate) fn shown(page: &Page<Text>) -> Vec<String> {
    page.entries.iter().map(|entry| show(entry)).collect()
}

pub(crate) fn show(entry: &Entry<Text>) -> String {
    assert_eq!(
        entry.object.revision, entry.revision,
        "the codec was told the entry's revision"
    );
    format!("{}={}", entry.key.path(), entry.object.text)
}

/// `+path=text` or `-path=text`.
pub(crate) fn show_event(event: &Event<Text>) -> String {
    assert_eq!(event.entry.revision, event.revision);
    let sign = if event.kind == EventKind::Put {
        '+'
    } else {
        '-'
    };
    format!("{sign}{}", show(&event.entry))
}

/// Reads until `count` events came, and no more than that.
pub(crate) async fn events(watch: &mut Watch<Text>, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(
            within(watch.next())
                .await
                .unwrap()
                .iter()
                .map(|event| show_event(event)),
        );
    }
    assert_eq!(seen.len(), count, "{seen:?}");
    seen
}

/// A test that hangs should say where.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it took over a minute")
}

/// The revision of the version that stood in the way.
pub(crate) fn conflict(result: Result<Committed<Text>, TxnError<Text>>) -> Option<Revision> {
    match result {
        Err(TxnError::Conflict { current }) => current.map(|entry| entry.revision),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// The parts of tests that a child process does, in a mount namespace of its own: which test it is, and the folder to work
/// in.
pub(crate) const CHILD_TEST: &str = "SAMPAN_STORE_TEST";
pub(crate) const CHILD_FOLDER: &str = "SAMPAN_STORE_FOLDER";

/// What this process is to do, if it is such a child.
pub(crate) fn childs_part() -> Option<(String, std::path::PathBuf)> {
    let folder = std::env::var_os(CHILD_FOLDER)?;
    Some((std::env::var(CHILD_TEST).ok()?, folder.into()))
}
