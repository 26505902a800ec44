//! Limits of what mounts hold, files among an image's own, and guests that fight over a shared folder.

use crate::support::{Bench, soon};
use sampan_engine::{ContainerSpec, Exit, GuestFile, Mount, VolumeLimit};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const ENOSPC: i32 = 51;
const EROFS: i32 = 69;
/// `insufficient-space` of p2, as the guest reports it.
const INSUFFICIENT_SPACE: i32 = 123;

/// And of p3.
const P3_INSUFFICIENT_SPACE: i32 = 122;
const P3_READ_ONLY: i32 = 132;

fn mount(host: &Path, guest: &str, read_only: bool) -> Mount {
    Mount {
        host: host.to_owned(),
        guest: guest.to_owned(),
        read_only,
    }
}

/// One folder that holds at most so much.
fn limited(dir: &Path, bytes: u64) -> impl Fn(&mut ContainerSpec) {
    let (mount, path) = (mount(dir, "/data", false), dir.to_owned());
    move |spec| {
        spec.mounts.push(mount.clone());
        spec.volume_limits.push(VolumeLimit {
            path: path.clone(),
            bytes,
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_is_enospc() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 100 << 10);
    let (exit, ..) = bench.run_with("fill", &["a"], &limit).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    let length = |name: &str| fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
    assert_eq!(length("a"), 100 << 10, "filled to the last byte");
    // What one container wrote counts for the next.
    let (exit, ..) = bench.run_with("fill", &["b"], &limit).await;
    assert_eq!((exit, length("b")), (Exit::Code(ENOSPC), 0));
    fs::remove_file(dir.path().join("a")).unwrap();
    let (exit, ..) = bench.run_with("fill", &["b", "again"], &limit).await;
    assert_eq!(
        (exit, length("b")),
        (Exit::Code(0), 1 << 10),
        "truncated and written anew"
    );
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_containers_share_a_limit() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 256 << 10);
    let one = bench.start_with("fill", &["a"], &limit).await;
    let other = bench.start_with("fill", &["b"], &limit).await;
    assert_eq!(soon(one.container.wait()).await, Exit::Code(ENOSPC));
    assert_eq!(soon(other.container.wait()).await, Exit::Code(ENOSPC));
    let lengths: Vec<u64> = ["a", "b"]
        .map(|name| fs::metadata(dir.path().join(name)).unwrap().len())
        .into();
    assert_eq!(lengths.iter().sum::<u64>(), 256 << 10, "{lengths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_files_count_too() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 1 << 10);
    let (exit, ..) = bench.run_with("many-files", &[], &limit).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    let made = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(made, 1025, "1,024, and one for the kibibyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn further_names_of_a_file_count_too() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 1 << 10);
    let (exit, ..) = bench.run_with("many-links", &[], &limit).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1025);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_lost_its_name_counts_while_it_is_open() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 100 << 10);
    for _ in 0..2 {
        let (exit, ..) = bench.run_with("fill-quietly", &["a"], &limit).await;
        assert_eq!(exit, Exit::Code(ENOSPC));
    }
    // It is gone with the container.
    let (exit, ..) = bench.run_with("fill", &["b"], &limit).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    let length = fs::metadata(dir.path().join("b")).unwrap().len();
    assert_eq!(length, 100 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_image_has_beside_a_writable_file_is_no_store() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let (root, log) = (dir.path().join("root"), dir.path().join("0"));
    fs::create_dir_all(root.join("dev/sub")).unwrap();
    for name in ["dev/sibling", "dev/sub/termination-log"] {
        fs::write(root.join(name), "of the image").unwrap();
    }
    symlink("termination-log", root.join("dev/link")).unwrap();
    fs::write(&log, "").unwrap();
    let change = |spec: &mut ContainerSpec| {
        spec.mounts.push(mount(&root, "/", true));
        spec.mounts.push(mount(&log, "/dev/termination-log", false));
        spec.volume_limits.push(VolumeLimit {
            path: log.clone(),
            bytes: 4 << 10,
        });
    };
    for name in ["sibling", "link", "sub/termination-log"] {
        let args = &[name, "4"];
        let (exit, ..) = bench.run_with("fill-quietly", args, change).await;
        assert_eq!(exit, Exit::Code(ENOSPC), "{name}");
    }
    // The image's own can be changed, in the container's view of it.
    let args = &["sibling", "changed", "4"];
    let (exit, ..) = bench.run_with("write-file", args, change).await;
    assert_eq!(exit, Exit::Code(0));
    let sibling = fs::read_to_string(root.join("dev/sibling")).unwrap();
    assert_eq!(sibling, "of the image");
    let args = &["termination-log", "4"];
    let (exit, ..) = bench.run_with("fill-quietly", args, change).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    assert_eq!(fs::metadata(&log).unwrap().len(), 4 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_of_a_component() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let limit = limited(dir.path(), 10 << 10);
    let (exit, ..) = bench
        .run_with("p2-files", &["fill", "the", "volume"], &limit)
        .await;
    assert_eq!(exit, Exit::Code(INSUFFICIENT_SPACE));
    assert_eq!(fs::metadata(dir.path().join("f")).unwrap().len(), 10 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_of_a_p3_component() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    // Six words: it writes three bytes by a stream.
    let args = ["w", "r", "i", "t", "e"];
    for (room, code, length) in [(2, P3_INSUFFICIENT_SPACE, 0), (3, 0, 3)] {
        fs::write(&file, "").unwrap();
        let (exit, ..) = bench
            .run_with("p3-files", &args, limited(dir.path(), room))
            .await;
        assert_eq!(exit, Exit::Code(code), "{room}");
        assert_eq!(fs::metadata(&file).unwrap().len(), length, "{room}");
    }
    // Beside a file that is mounted alone no folder can be made.
    let alone = |spec: &mut ContainerSpec| spec.mounts.push(mount(&file, "/dev/f", false));
    let (exit, ..) = bench.run_with("p3-files", &["folder"], alone).await;
    assert_eq!(exit, Exit::Code(P3_READ_ONLY));
    let (exit, ..) = bench.run_with("p3-files", &args, alone).await;
    assert_eq!(exit, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_has_a_limit_and_no_new_neighbours() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("0");
    fs::write(&log, "").unwrap();
    let change = |spec: &mut ContainerSpec| {
        spec.mounts.push(mount(&log, "/dev/termination-log", false));
        spec.volume_limits.push(VolumeLimit {
            path: log.clone(),
            bytes: 4 << 10,
        });
    };
    let (exit, ..) = bench.run_with("fill", &["termination-log"], change).await;
    assert_eq!(exit, Exit::Code(ENOSPC));
    assert_eq!(fs::metadata(&log).unwrap().len(), 4 << 10);
    let (exit, ..) = bench.run_with("fill", &["other"], change).await;
    assert_eq!(exit, Exit::Code(EROFS));
    let running = bench.start_with("change-files", &[], change).await;
    running.container.wait().await;
    let refused = running.stdout.bytes();
    assert!(
        refused
            .iter()
            .filter(|errno| **errno == EROFS as u8)
            .count()
            >= 5,
        "{refused:?}"
    );
    assert!(log.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_shown_among_an_images_own() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("etc/ssl")).unwrap();
    fs::create_dir_all(root.join("usr")).unwrap();
    fs::write(root.join("etc/passwd"), "users").unwrap();
    fs::write(root.join("etc/hosts"), "of the image").unwrap();
    fs::write(root.join("etc/ssl/cert"), "certificate").unwrap();
    fs::write(root.join("usr/os"), "release").unwrap();
    fs::write(dir.path().join("outside"), "secret").unwrap();
    symlink("../usr/os", root.join("etc/os")).unwrap();
    symlink("ssl", root.join("etc/tls")).unwrap();
    symlink("../../outside", root.join("etc/up")).unwrap();
    let hosts = dir.path().join("hosts");
    fs::write(&hosts, "of the pod").unwrap();
    let change = |spec: &mut ContainerSpec| {
        spec.mounts.push(mount(&root, "/", true));
        spec.mounts.push(mount(&hosts, "/etc/hosts", true));
        spec.files.push(GuestFile {
            guest: "/etc/hostname".into(),
            content: b"web\n".as_slice().into(),
        });
    };
    // Private folders come last: the image is descriptor 3, /etc is 4.
    for (name, expected) in [
        ("hosts", "of the pod"),
        ("hostname", "web\n"),
        ("passwd", "users"),
        ("ssl/cert", "certificate"),
        ("tls/cert", "certificate"),
        ("os", "release"),
    ] {
        let (exit, stdout, _) = bench.run_with("read-file", &[name, "4"], change).await;
        assert_eq!((exit, stdout.as_str()), (Exit::Code(0), expected), "{name}");
    }
    let (exit, stdout, _) = bench.run_with("read-file", &["up", "4"], change).await;
    assert!(matches!(exit, Exit::Code(1..)), "{exit:?}");
    assert_eq!(stdout, "");
    for (name, kept) in [("hosts", &hosts), ("passwd", &root.join("etc/passwd"))] {
        let before = fs::read(kept).unwrap();
        let (exit, ..) = bench
            .run_with("write-file", &[name, "x", "4"], change)
            .await;
        assert_eq!(exit, Exit::Code(EROFS), "{name}");
        assert_eq!(fs::read(kept).unwrap(), before);
    }
}

/// One guest swaps a folder for a link that leads out, another opens what is in it: in 20,000 attempts it never gets
/// out, and a neighbour is served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn guests_that_swap_folders_and_links_do_not_get_out() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let dir = tempfile::tempdir().unwrap();
    let (volume, outside) = (dir.path().join("volume"), dir.path().join("outside"));
    fs::create_dir_all(volume.join("dir")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(volume.join("dir/file"), "inside").unwrap();
    fs::write(outside.join("file"), "Secret").unwrap();
    let shared = |spec: &mut ContainerSpec| spec.mounts.push(mount(&volume, "/data", false));
    let swapping = bench.start_with("swap", &[], shared).await;
    let opening = bench.start_with("open-swapped", &[], shared).await;
    neighbour.is_healthy().await;
    assert_eq!(soon(opening.container.wait()).await, Exit::Code(0));
    // A component at the same game: it makes folders where the link may lead.
    let dir_name = volume.join("d");
    fs::create_dir(&dir_name).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let exit = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                fs::rename(volume.join("d"), volume.join("d-real")).ok();
                symlink("../outside", volume.join("d")).ok();
                fs::remove_file(volume.join("d")).ok();
                fs::rename(volume.join("d-real"), volume.join("d")).ok();
            }
        });
        let args = &["make", "folders", "very", "often"];
        let run = bench.run_with("p2-files", args, shared);
        let exit = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        exit.0
    });
    assert_eq!(exit, Exit::Code(0));
    swapping.container.kill();
    swapping.container.wait().await;
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"], "nothing was made outside");
    neighbour.is_healthy().await;
}
