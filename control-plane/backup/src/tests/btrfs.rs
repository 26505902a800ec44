//! What is restored on btrfs. An image plays it, in a mount namespace of a child process.

use std::process::Command;

use rustix::fs::{IFlags, ioctl_getflags};

use super::*;

/// Where the child works.
const FOLDER: &str = "SAMPAN_BACKUP_BTRFS";

/// The mount goes with the namespace, and the loop device with the mount.
const SCRIPT: &str = r#"
truncate -s 128M "$1/image" && mkfs.btrfs -q "$1/image" && mkdir "$1/mount" || exit 1
mount -o loop "$1/image" "$1/mount" || { echo "skipped: needs a mount"; exit; }
exec "$2" --exact tests::btrfs::child --nocapture
"#;

#[test]
fn a_database_that_was_restored_on_btrfs_is_written_in_place() {
    let made = Command::new("mkfs.btrfs").arg("--version").output();
    if made.is_err() {
        assert!(std::env::var_os("CI").is_none(), "needs mkfs.btrfs");
        println!("skipped: needs mkfs.btrfs");
        return;
    }
    let namespace = Command::new("unshare").args(["-m", "true"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("unshare");
    child.args(["-m", "sh", "-c", SCRIPT, "sh"]);
    child.arg(folder.path());
    child.arg(std::env::current_exe().unwrap());
    let output = child.env(FOLDER, folder.path().join("mount")).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    if text.starts_with("skipped") {
        println!("skipped: needs a loop device and btrfs: {errors}");
        return;
    }
    assert!(text.contains("restored in place"), "{text}");
}

#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let (elsewhere, data) = filled().await;
    let archive = elsewhere.path().join("backup");
    let saved = backup(&data, &layout(), &archive, Existing::Keep).await;
    saved.unwrap();
    // Below the mount point, and into it.
    for restored in [folder.join("data"), folder.clone()] {
        restore(&archive, &layout(), &restored).await.unwrap();
        let database = fs::File::open(restored.join("state.db")).unwrap();
        let flags = ioctl_getflags(database).unwrap();
        assert!(flags.contains(IFlags::NOCOW), "{flags:?}");
        if restored != folder {
            fs::remove_dir_all(&restored).unwrap();
        }
    }
    println!("restored in place");
}
