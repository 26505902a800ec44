use bytes::Bytes;
use futures::stream;

use super::*;

fn open() -> (tempfile::TempDir, ContentDir) {
    let dir = tempfile::tempdir().unwrap();
    let content = ContentDir::open(dir.path()).unwrap();
    (dir, content)
}

fn chunks(parts: &'static [&'static str]) -> BlobStream {
    stream::iter(
        parts
            .iter()
            .map(|part| Ok(Bytes::from_static(part.as_bytes()))),
    )
    .boxed()
}

fn expect(text: &str) -> Expected {
    Expected {
        digest: Digest::of(text.as_bytes()),
        size: text.len() as u64,
    }
}

/// Nothing is left half done.
fn ingest_is_empty(dir: &Path) -> bool {
    fs::read_dir(dir.join("ingest")).unwrap().next().is_none()
}

#[tokio::test]
async fn a_blob_appears_whole_or_not_at_all() {
    let (dir, content) = open();
    let want = expect("hello world");
    content
        .write_stream(&want, chunks(&["hello ", "world"]))
        .await
        .unwrap();
    assert_eq!(
        fs::read(content.path(&want.digest)).unwrap(),
        b"hello world"
    );
    assert_eq!(content.size(&want.digest), Some(11));
    assert_eq!(content.list().unwrap(), vec![want.digest.clone()]);

    let other = Expected {
        digest: Digest::of(b"other"),
        size: 11,
    };
    let lies = content
        .write_stream(&other, chunks(&["hello ", "world"]))
        .await;
    assert!(lies.unwrap_err().to_string().contains("digest mismatch"));
    let short = content
        .write_stream(&expect("hello world!"), chunks(&["hello"]))
        .await;
    assert!(short.unwrap_err().to_string().contains("fewer bytes"));
    let long = content
        .write_stream(&expect("hell"), chunks(&["hello"]))
        .await;
    assert!(long.unwrap_err().to_string().contains("more bytes"));
    let broken = stream::iter([Err(io::Error::other("reset"))]).boxed();
    let broken = content
        .write_stream(&expect("x"), broken)
        .await
        .unwrap_err();
    assert!(matches!(broken, FetchError::Unavailable(_)), "{broken}");
    assert_eq!(content.list().unwrap().len(), 1);
    assert!(ingest_is_empty(dir.path()));

    content.remove(&want.digest).unwrap();
    content.remove(&want.digest).unwrap();
    assert_eq!(content.size(&want.digest), None);
}

#[tokio::test]
async fn an_endless_stream_is_cut_off() {
    let (dir, content) = open();
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 4096]))).boxed();
    let want = Expected {
        digest: Digest::of(b""),
        size: 10_000,
    };
    assert!(content.write_stream(&want, endless).await.is_err());
    assert!(ingest_is_empty(dir.path()));
}

#[tokio::test]
async fn a_dropped_download_leaves_nothing() {
    let (dir, content) = open();
    let want = expect("never");
    {
        let stuck = chunks(&["ne"]).chain(stream::pending()).boxed();
        let mut download = Box::pin(content.write_stream(&want, stuck));
        let waited = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(waited, &mut download).await.is_err());
    }
    assert!(ingest_is_empty(dir.path()));
}

#[test]
fn files_are_adopted_by_link_or_copy_and_verified() {
    let (dir, content) = open();
    let source = dir.path().join("source");
    fs::write(&source, b"module").unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());

    content.adopt(&source, &expect("module"), false).unwrap();
    assert_ne!(inode(&source), inode(&content.path(&Digest::of(b"module"))));
    content.adopt(&source, &expect("module"), true).unwrap();
    assert_eq!(inode(&source), inode(&content.path(&Digest::of(b"module"))));
    assert!(content.adopt(&source, &expect("modul!"), true).is_err());
    assert!(content.adopt(&source, &expect("mod"), false).is_err());
    assert!(ingest_is_empty(dir.path()));
}

#[test]
fn leftovers_of_a_killed_process_are_dropped() {
    let (dir, content) = open();
    content.write_bytes(b"kept").unwrap();
    fs::write(dir.path().join("ingest/7"), b"half a down").unwrap();
    fs::create_dir_all(dir.path().join("ingest/8/etc")).unwrap();
    let again = ContentDir::open(dir.path()).unwrap();
    assert!(ingest_is_empty(dir.path()));
    assert_eq!(again.list().unwrap(), vec![Digest::of(b"kept")]);
}
