//! Mounts: what guests see, may write, and cannot reach.

use crate::support::Bench;
use sampan_engine::{ContainerSpec, Exit, Mount, StartError};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const EMFILE: i32 = 33;
const EPERM: i32 = 63;
const EROFS: i32 = 69;

fn mount(host: &Path, guest: &str, read_only: bool) -> impl FnOnce(&mut ContainerSpec) {
    let mount = Mount {
        host: host.to_owned(),
        guest: guest.to_owned(),
        read_only,
    };
    move |spec| spec.mounts.push(mount)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_folder_is_read_and_written() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (exit, ..) = bench
        .run_with(
            "write-file",
            &["note", "from the guest"],
            mount(dir.path(), "/data", false),
        )
        .await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(
        fs::read_to_string(dir.path().join("note")).unwrap(),
        "from the guest"
    );
    let (exit, stdout, _) = bench
        .run_with("read-file", &["note"], mount(dir.path(), "/data", true))
        .await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "from the guest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_a_read_only_mount_are_erofs() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "untouched").unwrap();
    for name in ["f", "new"] {
        let (exit, ..) = bench
            .run_with("write-file", &[name, "x"], mount(dir.path(), "/data", true))
            .await;
        assert_eq!(exit, Exit::Code(EROFS), "{name}");
    }
    let running = bench
        .start_with("change-files", &[], mount(dir.path(), "/data", true))
        .await;
    running.container.wait().await;
    assert_eq!(running.stdout.bytes(), [EROFS as u8; 7]);
    assert_eq!(
        fs::read_to_string(dir.path().join("f")).unwrap(),
        "untouched"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_a_mount_is_reached() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, inside.join("absolute")).unwrap();
    symlink("../secret", inside.join("relative")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    let secret = secret.to_str().unwrap();
    for path in [
        "../secret",
        "./x/../../secret",
        "absolute",
        "relative",
        "up/secret",
        secret,
        "/etc/passwd",
    ] {
        for read_only in [true, false] {
            let (exit, stdout, _) = bench
                .run_with("read-file", &[path], mount(&inside, "/data", read_only))
                .await;
            assert!(matches!(exit, Exit::Code(1..)), "{path}: {exit:?}");
            assert_eq!(stdout, "", "{path}");
        }
        let (exit, ..) = bench
            .run_with(
                "write-file",
                &[path, "overwritten"],
                mount(&inside, "/data", false),
            )
            .await;
        assert!(matches!(exit, Exit::Code(1..)), "{path}: {exit:?}");
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("secret")).unwrap(),
        "secret"
    );
    let (exit, ..) = bench
        .run_with("read-file", &["../secret"], mount(&inside, "/data", true))
        .await;
    assert_eq!(
        exit,
        Exit::Code(EPERM),
        "reading outside is no matter of read-only mounts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_where_it_was() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for number in 0..500 {
        fs::write(dir.path().join(format!("file-{number}")), "").unwrap();
    }
    let mounted = mount(dir.path(), "/data", false);
    let (exit, ..) = bench.run_with("empty-folder", &[], mounted).await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mounts_there_are_no_files() {
    let bench = Bench::new();
    let (exit, ..) = bench.run("read-file", &["/etc/passwd"]).await;
    assert!(matches!(exit, Exit::Code(1..)), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_are_limited() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "").unwrap();
    let mounted = mount(dir.path(), "/data", true);
    let (exit, ..) = bench
        .run_with("fd-flood", &[], |spec| {
            mounted(spec);
            spec.max_open_files = 100;
        })
        .await;
    assert_eq!(exit, Exit::Code(EMFILE));
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_mounted_without_its_siblings() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (log, sibling) = (dir.path().join("log-0"), dir.path().join("sibling"));
    fs::write(&log, "").unwrap();
    fs::write(&sibling, "private").unwrap();
    let (exit, ..) = bench
        .run_with(
            "write-file",
            &["termination-log", "the last words"],
            mount(&log, "/dev/termination-log", false),
        )
        .await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(fs::read_to_string(&log).unwrap(), "the last words");
    for name in ["sibling", "log-0", "../sibling"] {
        let (exit, stdout, _) = bench
            .run_with(
                "read-file",
                &[name],
                mount(&log, "/dev/termination-log", false),
            )
            .await;
        assert!(matches!(exit, Exit::Code(1..)), "{name}: {exit:?}");
        assert_eq!(stdout, "");
    }
    let left = fs::read_dir(bench.dir.path().join("cache/mounts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    crate::support::until(|| fs::read_dir(left.path()).unwrap().count() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_is_safe_beside_a_writable_one() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (ro, rw) = (dir.path().join("ro"), dir.path().join("rw"));
    fs::write(&ro, "original").unwrap();
    fs::write(&rw, "").unwrap();
    let (exit, stdout, _) = bench
        .run_with("read-file", &["conf"], mount(&ro, "/etc/conf", true))
        .await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "original"));
    let (exit, ..) = bench
        .run_with("write-file", &["conf", "x"], mount(&ro, "/etc/conf", true))
        .await;
    assert_eq!(exit, Exit::Code(EROFS));
    // Whether the guest may write its copy depends on who runs the engine; the original is out of reach.
    bench
        .run_with("write-file", &["conf", "x"], |spec| {
            mount(&ro, "/etc/conf", true)(spec);
            mount(&rw, "/etc/scratch", false)(spec);
        })
        .await;
    assert_eq!(fs::read_to_string(&ro).unwrap(), "original");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_appears_in_a_mounted_folder_while_the_container_runs() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, file) = (dir.path().join("volume"), dir.path().join("file"));
    fs::create_dir(&volume).unwrap();
    fs::write(&file, "content").unwrap();
    let (exit, stdout, _) = bench
        .run_with("read-file", &["name"], |spec| {
            mount(&volume, "/data", false)(spec);
            mount(&file, "/data/name", true)(spec);
        })
        .await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "content"));
    crate::support::until(|| fs::read_dir(&volume).unwrap().count() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_is_safe_in_a_writable_folder() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, file) = (dir.path().join("volume"), dir.path().join("file"));
    fs::create_dir_all(volume.join("sub")).unwrap();
    fs::write(&file, "original").unwrap();
    for name in ["name", "sub/name"] {
        // Whether the guest may write its copy depends on who runs the engine; the original is out of reach.
        bench
            .run_with("write-file", &[name, "x"], |spec| {
                mount(&volume, "/data", false)(spec);
                mount(&file, &format!("/data/{name}"), true)(spec);
            })
            .await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "original", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_left_in_a_mounted_folder_go_with_the_next_start_of_an_engine() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, file) = (dir.path().join("volume"), dir.path().join("file"));
    fs::create_dir(&volume).unwrap();
    fs::write(&file, "content").unwrap();
    let change = |spec: &mut ContainerSpec| {
        mount(&volume, "/data", false)(spec);
        mount(&file, "/data/copy", true)(spec);
        mount(&file, "/data/link", false)(spec);
    };
    let running = bench.start_with("spin", &[], change).await;
    // What is on disk now is what a crash would leave.
    let mounts = bench.dir.path().join("cache/mounts");
    let own = fs::read_dir(&mounts).unwrap().next().unwrap().unwrap();
    let left = mounts.join("of-a-crashed-one");
    fs::create_dir(&left).unwrap();
    for entry in fs::read_dir(own.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), left.join(entry.file_name())).unwrap();
    }
    running.container.kill();
    running.container.wait().await;
    crate::support::until(|| fs::read_dir(&volume).unwrap().count() == 0).await;
    for name in ["copy", "link", "of the guest"] {
        fs::write(volume.join(name), "left").unwrap();
    }
    let again = sampan_engine::Engine::new(crate::support::config(bench.dir.path())).unwrap();
    let names: Vec<_> = fs::read_dir(&volume)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["of the guest"]);
    drop(again);
    let (exit, stdout, _) = bench.run_with("read-file", &["copy"], change).await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "content"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_is_not_there_is_an_error() {
    let bench = Bench::new();
    let module = bench.load("hello").await;
    let sink = crate::support::Collected::new();
    for (host, guest) in [
        ("/nonexistent/folder", "/data"),
        ("/etc", "data"),
        ("/etc", "/a/../b"),
    ] {
        let mut spec = ContainerSpec::new("x", sink.clone(), sink.clone());
        mount(Path::new(host), guest, true)(&mut spec);
        let error = bench.engine.start(&module, spec).await.unwrap_err();
        assert!(matches!(error, StartError::Mount { .. }), "{error:?}");
    }
    assert_eq!(bench.engine.stats().instances, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_a_link_since_it_was_checked_is_refused() {
    let bench = Bench::new();
    let module = bench.load("read-file").await;
    let sink = crate::support::Collected::new();
    let dir = tempfile::tempdir().unwrap();
    let (outside, volume) = (dir.path().join("outside"), dir.path().join("volume"));
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::create_dir(&volume).unwrap();
    fs::write(outside.join("f"), "secret").unwrap();
    // Each named a folder or file of the volume once; now a guest has swapped it, or what leads to it.
    symlink("../outside", volume.join("a")).unwrap();
    symlink("../outside/f", volume.join("file")).unwrap();
    for host in ["a", "a/sub", "a/f", "file"] {
        for read_only in [true, false] {
            let mut spec = ContainerSpec::new("x", sink.clone(), sink.clone());
            mount(&volume.join(host), "/data/x", read_only)(&mut spec);
            let error = bench.engine.start(&module, spec).await.unwrap_err();
            let StartError::Mount { source, .. } = error else {
                panic!("{host}: {error:?}");
            };
            assert!(source.to_string().contains("symbolic link"), "{source}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_mounted_into_a_folder_that_moves_does_not_follow_its_path() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (volume, moved) = (dir.path().join("volume"), dir.path().join("moved"));
    let (outside, file) = (dir.path().join("outside"), dir.path().join("file"));
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("name"), "of the host").unwrap();
    fs::write(&file, "content").unwrap();
    let running = bench
        .start_with("spin", &[], |spec| {
            mount(&volume, "/data", false)(spec);
            mount(&file, "/data/name", true)(spec);
        })
        .await;
    fs::rename(&volume, &moved).unwrap();
    symlink(&outside, &volume).unwrap();
    running.container.kill();
    running.container.wait().await;
    crate::support::until(|| fs::read_dir(&moved).unwrap().count() == 0).await;
    assert_eq!(
        fs::read_to_string(outside.join("name")).unwrap(),
        "of the host"
    );
}
