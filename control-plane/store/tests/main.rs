//! Everything a caller may rely on, through the public interface only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "suite/btrfs.rs"]
mod btrfs;
#[path = "suite/contract.rs"]
mod contract;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/damage.rs"]
mod damage;
#[path = "suite/disk.rs"]
mod disk;
#[path = "suite/gets.rs"]
mod gets;
#[path = "suite/history.rs"]
mod history;
#[path = "suite/long_log.rs"]
mod long_log;
#[path = "suite/model.rs"]
mod model;
#[path = "suite/restart.rs"]
mod restart;
#[path = "suite/small_disk.rs"]
mod small_disk;
#[path = "suite/snapshot.rs"]
mod snapshot;
#[path = "suite/support.rs"]
mod support;
