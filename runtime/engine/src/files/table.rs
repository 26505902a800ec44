//! Room for descriptors before guests need it.
//!
//! The kernel doubles a process's table of descriptors when it is full, and makes everybody who opens, accepts or
//! connects meanwhile wait until no processor can still see the old one: 10 to 20 ms where there are several threads. A
//! guest that opens files could make all others wait so. The table never shrinks, so it is made large once.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};

/// Descriptors there is room for at least, where the process may have so many: 256 KiB of the kernel's memory.
const ROOM: u64 = 32_768;

/// Makes room for as many descriptors as this process may have (`RLIMIT_NOFILE`), within reason. [`crate::Engine::new`]
/// does it; where a process does it before it has a second thread, nobody waits. Doing it again costs nothing.
pub fn widen_descriptor_table() {
    if let Err(error) = widen() {
        tracing::debug!(%error, "the table of descriptors grows when it is full");
    }
}

fn widen() -> Result<(), Errno> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(ROOM);
    let Some(last) = limit.min(ROOM).checked_sub(1) else {
        return Ok(());
    };
    let any = open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // Closed again at once: it is the number that counts.
    fcntl_dupfd_cloexec(&any, i32::try_from(last).unwrap_or(i32::MAX)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_room_for_what_the_process_may_open() {
        widen_descriptor_table();
        let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        let size: u64 = size
            .and_then(|size| size.trim().parse().ok())
            .expect("a number");
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(ROOM);
        assert!(size >= limit.min(ROOM), "{size}");
    }
}
