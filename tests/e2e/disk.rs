//! A small file system of its own, without being root.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Program, have, sampan};

/// A small file system of its own, in a mount namespace that lives as long as this.
pub(crate) struct Disk {
    keeper: Program,
    folder: tempfile::TempDir,
}

impl Disk {
    /// Made, unless this machine has no user namespaces.
    pub(crate) fn mount(size_mib: usize) -> Option<Disk> {
        let tried = Command::new("unshare").args(["-rm", "true"]).output();
        let works = tried.is_ok_and(|output| output.status.success());
        if !have("user namespaces", works) {
            return None;
        }
        let folder = tempfile::tempdir().expect("temp dir");
        let script = format!(
            "mount -t tmpfs -o size={size_mib}m none \"$1\" && echo mounted && exec sleep infinity"
        );
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script, "sh"]);
        let mut keeper = Program::start(command.arg(folder.path()));
        keeper.wait_for("mounted");
        Some(Disk { keeper, folder })
    }

    /// A file on the disk, as seen from here.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let inside = self.folder.path().strip_prefix("/").expect("absolute");
        root.join(inside).join(name)
    }

    /// As programs on the disk's side of the world name it.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `sampan`, where the disk is mounted.
    pub(crate) fn sampan(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--mount", "--preserve-credentials", "-t"])
            .arg(self.keeper.id().to_string())
            .arg(Path::new(sampan().get_program()));
        command
    }
}
