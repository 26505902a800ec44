//! Every limit of the crate, in one place. What comes from a registry is outside input: nothing it
//! sends may grow memory or disk without end.

use std::time::Duration;

/// Limits of one image and of the work on it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A manifest, index or config, which are held in memory.
    pub manifest_bytes: u64,
    /// One layer as it travels.
    pub layer_bytes: u64,
    /// All layers of one image as they travel.
    pub image_bytes: u64,
    /// Layers of one image.
    pub layers: usize,
    /// A root filesystem after unpacking all layers.
    pub unpacked_bytes: u64,
    /// Files, directories and links of a root filesystem, counted over all layers.
    pub entries: u64,
    /// How many times larger than its compressed form a layer may become, once it is larger than
    /// [`RATIO_FLOOR`]. gzip reaches 1000 only on constant data.
    pub unpack_ratio: u64,
    /// Downloads from registries of others at one time. Local sources do not wait for slow ones.
    pub downloads: usize,
    /// Attempts at one request, the first included, when the registry cannot be reached.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles. A registry that says how long to wait is obeyed instead.
    pub backoff: Duration,
    /// A longer wait than this is left to whoever asked for the image.
    pub longest_wait: Duration,
    /// All network work for one image. What came of large layers is kept for the next pull.
    pub pull_time: Duration,
    /// An answer that is held in memory must be here within this time, and of a layer at least `slow_bytes`.
    pub slow_window: Duration,
    /// See `slow_window`.
    pub slow_bytes: u64,
    /// All that is kept of layers that broke off.
    pub partial_bytes: u64,
    /// Disk of our whole registry: blobs, and uploads under way.
    pub registry_bytes: u64,
    /// Manifests in our whole registry: what it knows of them is in memory.
    pub registry_manifests: usize,
    /// Tags in our whole registry.
    pub registry_tags: usize,
    /// What the manifests of our registry name, all together.
    pub registry_references: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            manifest_bytes: 4 << 20,
            layer_bytes: 1 << 30,
            image_bytes: 2 << 30,
            layers: 128,
            unpacked_bytes: 4 << 30,
            entries: 200_000,
            unpack_ratio: 200,
            downloads: 32,
            attempts: 3,
            backoff: Duration::from_millis(200),
            longest_wait: Duration::from_secs(30),
            pull_time: Duration::from_secs(3600),
            slow_window: Duration::from_secs(60),
            slow_bytes: 256 << 10,
            partial_bytes: 1 << 30,
            registry_bytes: u64::MAX,
            registry_manifests: 100_000,
            registry_tags: 100_000,
            registry_references: 400_000,
        }
    }
}

/// Layers smaller than this when unpacked are never called bombs.
pub(crate) const RATIO_FLOOR: u64 = 16 << 20;
/// The window a zstd layer may ask for, 32 MiB as a power of two: the decoder's memory before a byte of it is seen. The
/// usual levels, up to 19, ask for 8 MiB.
pub(crate) const ZSTD_WINDOW_LOG: u32 = 25;
/// Connecting to a registry.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// An attempt that brings at least this much of a layer is not counted as failed.
pub(crate) const PROGRESS_BYTES: u64 = 1 << 20;
/// A token or an error text from a registry or its authorization server.
pub(crate) const SMALL_BODY_BYTES: u64 = 256 << 10;
/// Downloads at one time for one image.
pub(crate) const IMAGE_DOWNLOADS: usize = 3;
/// Platforms in an image index.
pub(crate) const INDEX_ENTRIES: usize = 1024;
/// Indexes within indexes.
pub(crate) const INDEX_DEPTH: usize = 3;
