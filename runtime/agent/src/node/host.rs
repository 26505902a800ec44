//! Facts about the machine.

use std::path::PathBuf;

/// The machine as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Host {
    pub(crate) cpus: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) memory_available_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) disk_free_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
}

/// Reads the facts; `folder` says whose disk counts.
#[derive(Clone, Debug)]
pub(crate) struct HostSource {
    pub(crate) folder: PathBuf,
}

impl HostSource {
    pub(crate) async fn read(&self) -> Host {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || read(&folder))
            .await
            .unwrap_or_default()
    }
}

/// What cannot be read is empty or zero: a node without a machine id is still a node.
fn read(folder: &std::path::Path) -> Host {
    let memory = text("/proc/meminfo");
    let disk = rustix::fs::statvfs(folder).ok();
    Host {
        cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
        memory_bytes: meminfo(&memory, "MemTotal:"),
        memory_available_bytes: meminfo(&memory, "MemAvailable:"),
        disk_bytes: disk
            .as_ref()
            .map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
        disk_free_bytes: disk
            .as_ref()
            .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        os_image: os_image(&text("/etc/os-release")),
        machine_id: text("/etc/machine-id").trim().to_owned(),
        boot_id: text("/proc/sys/kernel/random/boot_id").trim().to_owned(),
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A line of `/proc/meminfo` in bytes; the file counts in KiB.
pub(crate) fn meminfo(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0).saturating_mul(1024)
}

fn os_image(text: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(
        || "Linux".to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        let memory = "MemTotal:        8145484 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(meminfo(memory, "MemTotal:"), 8_145_484 * 1024);
        assert_eq!(meminfo(memory, "MemAvailable:"), 400 * 1024);
        assert_eq!(meminfo("", "MemTotal:"), 0);
        assert_eq!(os_image("NAME=x\nPRETTY_NAME=\"Debian 13\"\n"), "Debian 13");
        assert_eq!(os_image(""), "Linux");
    }

    #[test]
    fn this_machine_has_something() {
        let host = read(std::path::Path::new("/"));
        assert!(
            host.cpus > 0 && host.memory_bytes > 0 && host.disk_bytes > 0,
            "{host:?}"
        );
        assert!(!host.kernel.is_empty());
    }
}
