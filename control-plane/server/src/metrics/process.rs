//! The process, under the names every Prometheus client library uses. What the system does not tell is left out.

use std::fs;

use prometheus::proto::MetricFamily;
use rustix::process::{Resource, getrlimit};

use super::family::{counter, gauge, gauges};
use crate::discovery::build_info;

pub(super) fn families() -> Vec<MetricFamily> {
    let mut families = Vec::new();
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(Stat::parse)
    {
        families.extend(stat.families());
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder being read.
        let open = files.count().saturating_sub(1);
        families.push(gauge(
            "process_open_fds",
            "File descriptors that are open.",
            open as f64,
        ));
    }
    let limit = |resource| getrlimit(resource).current.map_or(-1.0, |most| most as f64);
    families.push(gauge(
        "process_max_fds",
        "File descriptors that may be open.",
        limit(Resource::Nofile),
    ));
    families.push(gauge(
        "process_virtual_memory_max_bytes",
        "Virtual memory the process may have; -1 without a limit.",
        limit(Resource::As),
    ));
    let info = build_info();
    families.push(gauges(
        "kubernetes_build_info",
        "Always 1; the labels say what is running.",
        &[(&info, 1.0)],
    ));
    families
}

/// What is of use in `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name of the program is in brackets and may hold anything. After it comes the third field.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    fn families(&self) -> Vec<MetricFamily> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let resident = self.resident_pages as f64 * rustix::param::page_size() as f64;
        let mut families = vec![
            counter(
                "process_cpu_seconds_total",
                "Processor time used.",
                self.cpu_ticks as f64 / ticks,
            ),
            gauge(
                "process_virtual_memory_bytes",
                "Virtual memory.",
                self.virtual_bytes as f64,
            ),
            gauge(
                "process_resident_memory_bytes",
                "Resident memory.",
                resident,
            ),
        ];
        if let Some(boot) = boot_time() {
            families.push(gauge(
                "process_start_time_seconds",
                "When the process started, since 1970.",
                boot + self.start_ticks as f64 / ticks,
            ));
        }
        families
    }
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces() {
        let text = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 9 0 1234 4096000 321 18446744073709551615";
        let expected = Stat {
            cpu_ticks: 12,
            start_ticks: 1234,
            virtual_bytes: 4_096_000,
            resident_pages: 321,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (a"), None);
    }
}
