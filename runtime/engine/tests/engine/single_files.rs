//! Single files in folders that others use too: shared ones, and an image's root.

use crate::support::{Bench, Collected, until};
use sampan_engine::{ContainerSpec, Exit, Mount, StartError};
use std::fs;
use std::path::Path;

const EROFS: i32 = 69;

fn mount(host: &Path, guest: &str, read_only: bool) -> Mount {
    Mount {
        host: host.to_owned(),
        guest: guest.to_owned(),
        read_only,
    }
}

fn with(mounts: &[Mount]) -> impl FnOnce(&mut ContainerSpec) + use<> {
    let mounts = mounts.to_vec();
    move |spec| spec.mounts.extend(mounts)
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_share_a_folder_share_a_file_in_it() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, file, other) = (
        dir.path().join("volume"),
        dir.path().join("file"),
        dir.path().join("other"),
    );
    fs::create_dir(&volume).unwrap();
    fs::write(&file, "first").unwrap();
    fs::write(&other, "other").unwrap();
    for read_only in [true, false] {
        fs::write(&file, "first").unwrap();
        let mounts = [
            mount(&volume, "/data", false),
            mount(&file, "/data/name", read_only),
        ];
        let one = bench.start_with("spin", &[], with(&mounts)).await;
        let two = bench.start_with("spin", &[], with(&mounts)).await;
        one.container.kill();
        one.container.wait().await;
        drop(one);
        let (exit, stdout, _) = bench.run_with("read-file", &["name"], with(&mounts)).await;
        assert_eq!(
            (exit, stdout.as_str()),
            (Exit::Code(0), "first"),
            "{read_only}"
        );
        if read_only {
            // A volume brings a newer version to those that start after it.
            let newer = dir.path().join("newer");
            fs::write(&newer, "second").unwrap();
            fs::rename(&newer, &file).unwrap();
            let (exit, stdout, _) = bench.run_with("read-file", &["name"], with(&mounts)).await;
            assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "second"));
        } else {
            let mounts = [mounts[0].clone(), mount(&other, "/data/name", false)];
            let (module, sink) = (bench.load("spin").await, Collected::new());
            let mut spec = ContainerSpec::new("x", sink.clone(), sink.clone());
            with(&mounts)(&mut spec);
            let error = bench.engine.start(&module, spec).await.unwrap_err();
            assert!(matches!(error, StartError::Mount { .. }), "{error:?}");
        }
        two.container.kill();
        two.container.wait().await;
        drop(two);
        until(|| fs::read_dir(&volume).unwrap().count() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_may_be_read_in_a_writable_folder() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, file) = (dir.path().join("volume"), dir.path().join("file"));
    fs::create_dir(&volume).unwrap();
    let large = fs::File::create(&file).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let mounts = [
        mount(&volume, "/data", false),
        mount(&file, "/data/name", true),
    ];
    let (exit, stdout, _) = bench.run_with("read-file", &["name"], with(&mounts)).await;
    assert_eq!((exit, stdout.len()), (Exit::Code(0), 4096));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_mounted_directly_in_an_images_root() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (root, file) = (dir.path().join("root"), dir.path().join("file"));
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/own"), "of the image").unwrap();
    fs::write(root.join("conf"), "hidden").unwrap();
    fs::write(&file, "mounted").unwrap();
    for read_only in [true, false] {
        let mounts = [mount(&root, "/", true), mount(&file, "/conf", read_only)];
        for (name, content) in [("conf", "mounted"), ("etc/own", "of the image")] {
            let (exit, stdout, _) = bench.run_with("read-file", &[name], with(&mounts)).await;
            assert_eq!((exit, stdout.as_str()), (Exit::Code(0), content), "{name}");
        }
        let (exit, ..) = bench
            .run_with("write-file", &["conf", "written"], with(&mounts))
            .await;
        let expected = if read_only { EROFS } else { 0 };
        assert_eq!(exit, Exit::Code(expected));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "written");
    assert_eq!(fs::read_to_string(root.join("conf")).unwrap(), "hidden");
}
