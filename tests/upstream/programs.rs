//! The programs of `build.sh` as this machine has them, and how they run beside a cluster.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Cluster, have, which};

/// How much of a program's log a failed test shows.
const TAIL: usize = 40;

/// Where `build.sh` puts what it makes.
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("sampan")
}

/// The programs, if all are there; CI does not forgive a missing one.
pub(crate) fn find<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let upstream = cache().join("upstream/bin");
    let other = cache().join("bin");
    let path = |name: &str| {
        let own = [upstream.join(name), other.join(name)];
        let own = own.into_iter().find(|file| file.is_file());
        own.or_else(|| which(name))
    };
    let missing: Vec<&str> = names
        .into_iter()
        .filter(|name| path(name).is_none())
        .collect();
    if !have(&missing.join(", "), missing.is_empty()) {
        return None;
    }
    Some(names.map(|name| path(name).expect("found a moment ago")))
}

/// A program that runs until dropped and logs into a file. A failing test shows the end of it.
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Self {
        let program = Path::new(command.get_program()).file_name();
        let name = program.expect("a program").to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).expect("a log");
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .expect("the program starts");
        Self { name, child, log }
    }

    /// Fails the test if the program has ended by itself.
    #[track_caller]
    pub(crate) fn still_runs(&mut self) {
        let ended = self.child.try_wait().expect("waits");
        assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
    }

    /// Waits for its end, as long as the other one runs.
    #[track_caller]
    pub(crate) fn wait(mut self, other: &mut Daemon) {
        while self.child.try_wait().expect("waits").is_none() {
            other.still_runs();
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // With what it started. Errors mean that it has ended.
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!("--- {}:\n{}", self.name, tail.join("\n"));
        }
    }
}

/// kube-controller-manager with its defaults, except that nobody asks it anything.
pub(crate) fn controller_manager(
    program: &Path,
    cluster: &Cluster,
    controllers: &str,
    folder: &Path,
) -> Daemon {
    let mut command = Command::new(program);
    command
        .args(["--secure-port=0", "--v=2"])
        .arg(format!("--controllers={controllers}"))
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()));
    Daemon::start(&mut command, folder)
}

/// kube-scheduler likewise.
pub(crate) fn scheduler(program: &Path, cluster: &Cluster, folder: &Path) -> Daemon {
    let mut command = Command::new(program);
    command
        .args(["--secure-port=0", "--v=2"])
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()));
    Daemon::start(&mut command, folder)
}
