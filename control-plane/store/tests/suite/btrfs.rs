//! A full btrfs. It copies what is written over, so that even that needs room, and where there is none a write to memory
//! that a file is mapped to ends the process. An image plays it, in a mount namespace of a child process.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use sampan_store::{Expect, Key, Op, Prefix, Store};

use crate::small_disk::{is_full, room_comes, text};
use crate::support::*;

/// The mount goes with the namespace, and the loop device with the mount.
const SCRIPT: &str = r#"
truncate -s 128M "$1/image" && mkfs.btrfs -q "$1/image" && mkdir "$1/mount" || exit 1
mount -o loop "$1/image" "$1/mount" || { echo "skipped: needs a mount"; exit; }
exec "$2" --exact btrfs::child --nocapture
"#;

fn on_btrfs(test: &str) {
    if Command::new("mkfs.btrfs")
        .arg("--version")
        .output()
        .is_err()
    {
        assert!(std::env::var_os("CI").is_none(), "needs mkfs.btrfs");
        println!("skipped: needs mkfs.btrfs");
        return;
    }
    let namespace = Command::new("unshare").args(["-m", "true"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root");
        return;
    }
    let folder = folder();
    let mut child = Command::new("unshare");
    child.args(["-m", "sh", "-c", SCRIPT, "sh"]);
    child
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap());
    let mount = folder.path().join("mount");
    let output = child
        .env(CHILD_TEST, test)
        .env(CHILD_FOLDER, mount)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}{errors}", output.status);
    if text.starts_with("skipped") {
        println!("skipped: needs a loop device and btrfs: {errors}");
        return;
    }
    assert!(text.contains("btrfs survived"), "{text}");
}

#[tokio::test]
async fn child() {
    let Some((test, folder)) = childs_part() else {
        return;
    };
    let folder = folder.as_path();
    match test.as_str() {
        "deletes" => deletes(folder, fill_up).await,
        "start" => start(folder, fill_up).await,
        "files" => files(folder).await,
        "quota" => quota(folder).await,
        other => panic!("no test {other}"),
    }
    println!("btrfs survived");
}

#[test]
fn a_full_btrfs_takes_deletes() {
    on_btrfs("deletes");
}

#[test]
fn a_start_on_a_full_btrfs_has_room() {
    on_btrfs("start");
}

#[test]
fn a_quota_of_btrfs_that_is_used_up_is_a_full_disk() {
    on_btrfs("quota");
}

#[test]
fn files_on_btrfs_are_written_in_place() {
    on_btrfs("files");
}

/// Has everything written out: what comes after that is written over.
fn settle(folder: &Path) {
    rustix::fs::syncfs(File::open(folder).unwrap()).unwrap();
}

/// Takes all the room there is, and what comes free of it when all is written out.
fn fill_up(folder: &Path) {
    let mut ballast = File::create(folder.join("ballast")).unwrap();
    for piece in [1 << 20, 4096] {
        let piece = vec![0; piece];
        for _ in 0..3 {
            while ballast.write_all(&piece).is_ok() {}
            settle(folder);
        }
    }
}

/// Leaves a quota no more than what is used.
fn use_up(folder: &Path) {
    settle(folder);
    let shown = btrfs(&["qgroup", "show", "-rf", "--raw"], folder);
    let used = shown.lines().last().unwrap().split_whitespace().nth(1);
    btrfs(&["qgroup", "limit", used.unwrap()], folder);
}

fn btrfs(args: &[&str], path: &Path) -> String {
    let output = Command::new("btrfs").args(args).arg(path).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn deletes(folder: &Path, fill_up: fn(&Path)) {
    let store = open(folder).await;
    let text = text(64);
    let key = |n: usize| pod(&format!("default/{n}"));
    for n in 0..100 {
        write(&*store, key(n), put(&text)).await;
    }
    fill_up(folder);
    // The log has room for some.
    let mut count = 100;
    loop {
        let written = store.txn(key(count), Expect::Any, put(&text)).await;
        settle(folder);
        if is_full(&written) {
            break;
        }
        written.unwrap();
        count += 1;
    }
    for n in 0..count {
        settle(folder);
        write(&*store, key(n), Op::Delete).await;
    }
    assert!(
        list(&*store, Prefix::bucket("pods"))
            .await
            .entries
            .is_empty()
    );
    store.compact(store.current_revision()).await.unwrap();
    room_comes(&store, &key(0), &text).await;
    store.close().await;
    let store = open(folder).await;
    let pods = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(pods.entries.len(), 1);
    store.close().await;
}

async fn start(folder: &Path, fill_up: fn(&Path)) {
    let store = open(folder).await;
    write(&*store, pod("default/a"), put(&text(64))).await;
    store.close().await;
    fill_up(folder);
    let store = open(folder).await;
    write(&*store, pod("default/a"), Op::Delete).await;
    store.close().await;
}

/// Then a write to mapped memory ends the process even if what is written over has its place.
async fn quota(folder: &Path) {
    let data = folder.join("data");
    btrfs(&["quota", "enable"], folder);
    btrfs(&["subvolume", "create"], &data);
    deletes(&data, use_up).await;
    start(&data, use_up).await;
}

fn in_place(folder: &Path, name: &str) -> bool {
    let file = File::open(folder.join(name)).unwrap();
    ioctl_getflags(file).unwrap().contains(IFlags::NOCOW)
}

async fn files(folder: &Path) {
    let named = ["state.db", "state.db-wal", "state.db-shm"];
    let written = |folder: &Path| named.map(|name| in_place(folder, name));
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    // A folder's attribute that excludes the other.
    ioctl_setflags(File::open(&data).unwrap(), IFlags::COMPRESSED).unwrap();
    let store = open(&data).await;
    write(&*store, pod("default/a"), put("one")).await;
    assert_eq!(written(&data), [true; 3]);
    assert!(!data.join("state.db-new-shm").exists());
    store.close().await;
    assert!(!data.join("state.db-shm").exists());
    ioctl_setflags(File::open(&data).unwrap(), IFlags::empty()).unwrap();

    // Without the attribute, as an earlier version made it and left it when it was killed; and another owner's.
    let old = folder.join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(
        old.join("state.db"),
        std::fs::read(data.join("state.db")).unwrap(),
    )
    .unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(old.join("state.db"), mode).unwrap();
    std::os::unix::fs::chown(old.join("state.db"), Some(7), Some(7)).unwrap();
    std::fs::write(old.join("state.db-wal"), "").unwrap();
    std::fs::write(old.join("state.db-shm"), [7; 32 << 10]).unwrap();
    let store = open(&old).await;
    write(&*store, Key::new("pods", "default/b"), put("two")).await;
    assert_eq!(written(&old), [false, true, true]);
    store.close().await;
    let store = open(&old).await;
    let pods = list(&*store, Prefix::bucket("pods")).await;
    assert_eq!(shown(&pods), ["default/a=one", "default/b=two"]);
    for name in named {
        let metadata = std::fs::metadata(old.join(name)).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (7, 0o600),
            "{name}"
        );
    }
    store.close().await;
}
