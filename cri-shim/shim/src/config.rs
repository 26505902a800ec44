//! What the composition root decides for the shim.

use std::path::PathBuf;

use sampan_engine::HttpLimits;

/// Settings of a [`Shim`](crate::Shim).
#[derive(Clone, Debug)]
pub struct ShimConfig {
    /// How fast one container may write its log; None does not bound it. A guest that writes
    /// faster waits in its write call, so a flood slows only the guest itself.
    pub log_rate: Option<LogRate>,
    /// Files and folders one container may hold open.
    pub max_open_files: u32,
    /// Sockets of its own one container may hold open.
    pub max_sockets: u32,
    /// Limits of each HTTP container.
    pub http: HttpLimits,
    /// The file of the buckets of `wasi:keyvalue`; its folder must exist. None offers no buckets.
    pub keyvalue_file: Option<PathBuf>,
}

/// A token bucket, in bytes of output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogRate {
    pub bytes_per_second: u64,
    /// How much may be written at once after a quiet time.
    pub burst_bytes: u64,
}

impl Default for ShimConfig {
    fn default() -> ShimConfig {
        ShimConfig {
            log_rate: Some(LogRate::default()),
            max_open_files: 1024,
            max_sockets: 1024,
            http: HttpLimits::default(),
            keyvalue_file: None,
        }
    }
}

impl Default for LogRate {
    /// 4 MiB/s after a burst of 8 MiB: far above what programs log on purpose, far below what fills
    /// a disk between two rotations.
    fn default() -> LogRate {
        LogRate {
            bytes_per_second: 4 << 20,
            burst_bytes: 8 << 20,
        }
    }
}
