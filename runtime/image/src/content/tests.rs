use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::*;
use crate::distribution::BlobStream;
use crate::limits::Limits;

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

/// Receives a blob in one attempt.
async fn write_stream(
    content: &ContentDir,
    want: &Expected,
    stream: BlobStream,
) -> Result<(), FetchError> {
    let mut arrival = Parts::new(content.clone(), 1 << 20).begin(want);
    arrival.receive(0, stream, &Limits::default()).await?;
    arrival.finish().await
}

/// Nothing is left half done.
fn ingest_is_empty(dir: &Path) -> bool {
    fs::read_dir(dir.join("ingest")).unwrap().next().is_none()
}

#[tokio::test]
async fn a_blob_appears_whole_or_not_at_all() {
    let (dir, content) = open();
    let want = expect("hello world");
    write_stream(&content, &want, chunks(&["hello ", "world"]))
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
    let lies = write_stream(&content, &other, chunks(&["hello ", "world"])).await;
    assert!(lies.unwrap_err().to_string().contains("digest mismatch"));
    let short = write_stream(&content, &expect("hello world!"), chunks(&["hello"])).await;
    assert!(short.unwrap_err().to_string().contains("fewer bytes"));
    let long = write_stream(&content, &expect("hell"), chunks(&["hello"])).await;
    assert!(long.unwrap_err().to_string().contains("more bytes"));
    let broken = stream::iter([Err(io::Error::other("reset"))]).boxed();
    let broken = write_stream(&content, &expect("x"), broken)
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
    assert!(write_stream(&content, &want, endless).await.is_err());
    assert!(ingest_is_empty(dir.path()));
}

#[tokio::test]
async fn a_dropped_download_leaves_nothing() {
    let (dir, content) = open();
    let want = expect("never");
    {
        let stuck = chunks(&["ne"]).chain(stream::pending()).boxed();
        let mut download = Box::pin(write_stream(&content, &want, stuck));
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

/// A blob large enough to be kept in part.
fn large() -> (Bytes, Expected) {
    let bytes = Bytes::from(vec![7; 1 << 20]);
    let expected = Expected {
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
    };
    (bytes, expected)
}

/// `bytes`, and then the source breaks off.
fn cut(bytes: Bytes) -> BlobStream {
    let broken = io::Error::other("reset");
    stream::iter([Ok(bytes), Err(broken)]).boxed()
}

#[tokio::test]
async fn a_blob_that_broke_off_goes_on_where_it_stopped() {
    let (dir, content) = open();
    let parts = Parts::new(content.clone(), 2 << 20);
    let limits = Limits::default();
    let (bytes, want) = large();
    let half = bytes.len() / 2;
    let mut arrival = parts.begin(&want);
    let failed = arrival.receive(0, cut(bytes.slice(..half)), &limits).await;
    assert!(matches!(failed, Err(FetchError::Unavailable(_))));
    // Another pull, later.
    drop(arrival);
    let mut arrival = parts.begin(&want);
    assert_eq!(arrival.bytes(), half as u64);
    let rest = stream::iter([Ok(bytes.slice(half..))]).boxed();
    assert!(arrival.receive(7, chunks(&[]), &limits).await.is_err());
    arrival.receive(half as u64, rest, &limits).await.unwrap();
    arrival.finish().await.unwrap();
    assert_eq!(fs::read(content.path(&want.digest)).unwrap(), bytes);
    drop(arrival);
    assert!(ingest_is_empty(dir.path()));
    assert_eq!(parts.begin(&want).bytes(), 0);
}

#[tokio::test]
async fn a_wrong_part_is_known_as_one_of_several() {
    let (dir, content) = open();
    let parts = Parts::new(content.clone(), 2 << 20);
    let limits = Limits::default();
    let (bytes, want) = large();
    let half = bytes.len() / 2;
    let mut arrival = parts.begin(&want);
    let wrong = Bytes::from(vec![8; half]);
    let failed = arrival.receive(0, cut(wrong), &limits).await;
    assert!(failed.is_err() && !arrival.is_pieced());
    let rest = stream::iter([Ok(bytes.slice(half..))]).boxed();
    arrival.receive(half as u64, rest, &limits).await.unwrap();
    assert!(arrival.is_pieced());
    let mismatch = arrival.finish().await.unwrap_err();
    assert!(mismatch.to_string().contains("digest mismatch"));
    assert_eq!(arrival.bytes(), 0);
    let all = stream::iter([Ok(bytes.clone())]).boxed();
    arrival.receive(0, all, &limits).await.unwrap();
    arrival.finish().await.unwrap();
    drop(arrival);
    assert!(ingest_is_empty(dir.path()));
}

#[tokio::test]
async fn parts_are_bounded() {
    let (dir, content) = open();
    let parts = Parts::new(content.clone(), 1 << 20);
    for n in 0..5 {
        let bytes = Bytes::from(vec![n; 400 << 10]);
        let want = Expected {
            digest: Digest::of(&[n]),
            size: 1 << 20,
        };
        let mut arrival = parts.begin(&want);
        let failed = arrival.receive(0, cut(bytes), &Limits::default()).await;
        assert!(failed.is_err());
    }
    assert_eq!(fs::read_dir(dir.path().join("ingest")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_source_that_drips_is_given_up() {
    let (dir, content) = open();
    let limits = Limits {
        slow_window: Duration::from_millis(20),
        ..Limits::default()
    };
    let drips = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok(Bytes::from_static(b"x")), ()))
    });
    let (_, want) = large();
    let mut arrival = Parts::new(content, 1 << 20).begin(&want);
    let failed = arrival.receive(0, drips.boxed(), &limits).await;
    assert!(failed.unwrap_err().to_string().contains("slower than"));
    drop(arrival);
    assert!(ingest_is_empty(dir.path()));
}
