//! Images that are small on the way and large on disk, or claim to be large.

use sampan_image::Limits;

use crate::fixtures::*;
use crate::hostile::{archive, check};
use crate::layouts::rootfs;

#[tokio::test]
async fn bombs_are_stopped() {
    let zeros = vec![0; 20 << 20];
    let ratio = Limits {
        unpack_ratio: 10,
        ..Limits::default()
    };
    check(
        archive(Tar::new().file("zeros", &zeros)),
        ratio,
        "TooLarge",
        "unpacks to more",
    )
    .await;
    let bytes = Limits {
        unpacked_bytes: 1 << 20,
        ..Limits::default()
    };
    check(
        archive(Tar::new().file("zeros", &zeros)),
        bytes,
        "TooLarge",
        "unpacks to more",
    )
    .await;
    let mut many = Tar::new();
    for n in 0..200 {
        many = many.file(&format!("f{n}"), b"");
    }
    let entries = Limits {
        entries: 100,
        ..Limits::default()
    };
    check(archive(many), entries, "TooLarge", "more than 100 files").await;
    let name = vec![b'a'; 2 << 20];
    let long = Tar::new().raw(tar::EntryType::GNULongName, "././@LongLink", "", &name);
    check(
        archive(long),
        Limits::default(),
        "TooLarge",
        "extension header",
    )
    .await;
    let pax = Tar::new().raw(tar::EntryType::XHeader, "pax", "", b"19 size=9999999999\n");
    check(
        archive(pax.file("a", b"a")),
        Limits::default(),
        "Invalid",
        "overrides",
    )
    .await;
}

#[tokio::test]
async fn folders_that_an_archive_implies_are_counted() {
    let entries = Limits {
        entries: 100,
        ..Limits::default()
    };
    // Five entries in a hundred folders.
    let mut few = Tar::new();
    for n in 0..5 {
        few = few.file(&format!("{n}{}/x", "/d".repeat(20)), b"");
    }
    check(archive(few), entries, "TooLarge", "more than 100 files").await;
    let deep = Tar::new().file(&format!("{}x", "d/".repeat(40)), b"");
    let (_dir, store, _) = store_of(archive(deep));
    let root = rootfs(&store.pull("app:v1", None).await.unwrap());
    assert!(root.join("d/".repeat(40)).join("x").is_file());
    let deeper = Tar::new().long(&format!("{}x", "d/".repeat(129)), b"");
    check(
        archive(deeper),
        Limits::default(),
        "TooLarge",
        "more than 128 folders",
    )
    .await;
}

#[tokio::test]
async fn announced_sizes_are_limited_before_the_download() {
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &module("large"));
    let limits = Limits {
        layer_bytes: 10,
        ..Limits::default()
    };
    check(shelf, limits, "TooLarge", "at most 10").await;
    let mut shelf = Shelf::default();
    shelf.artifact("v1", &module("large"));
    let limits = Limits {
        manifest_bytes: 100,
        ..Limits::default()
    };
    check(shelf, limits, "TooLarge", "manifest").await;
}
