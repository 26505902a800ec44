//! The node's limits and rhythms, in one place. Where upstream's kubelet has the same knob the
//! value is its default, unless a line says why not.

use std::time::Duration;

/// Pods a node offers to hold: an idle Wasm pod is a hundred times smaller than a process.
pub const DEFAULT_PODS: u32 = 10_000;

/// How often the node's Lease is renewed.
pub const LEASE_RENEW: Duration = Duration::from_secs(10);
/// How long the Lease says the node is alive after a renewal.
pub const LEASE_DURATION_SECONDS: i32 = 40;
/// How often an unchanged node status is written anyway, for its heartbeat times.
pub const NODE_STATUS_PERIOD: Duration = Duration::from_secs(300);
/// How often the node's own facts (disk, runtime health) are looked at. They have no event.
pub const NODE_FACTS_PERIOD: Duration = Duration::from_secs(60);
/// Images that a Node's status tells of, and names of each.
pub const NODE_IMAGES: usize = 50;
pub const NODE_IMAGE_NAMES: usize = 5;
/// First and longest pause between attempts when the API server does not answer.
pub const API_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How long a call to the API server may take that others wait behind: heartbeats, node status, events. A connection
/// whose other end went away without a word would hold them up for minutes.
pub const API_CALL: Duration = Duration::from_secs(10);
/// Free space of the data folder's disk below which the node says DiskPressure, in percent.
pub const DISK_PRESSURE_PERCENT: u64 = 5;
/// Available memory below which the node says MemoryPressure (kubelet's `memory.available<100Mi`).
pub const MEMORY_PRESSURE_BYTES: u64 = 100 << 20;

/// First and longest pause before a crashed container starts again, and before a failed image
/// pull or container creation is tried again.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// A container that ran this long starts its back-off over.
pub const BACKOFF_RESET: Duration = Duration::from_secs(600);
/// First and longest pause before a container that could not be resized is tried again.
pub const RESIZE_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How long ErrImagePull is shown before it turns into ImagePullBackOff.
pub const PULL_ERROR_SHOWN: Duration = Duration::from_secs(2);
/// First and longest pause while a ConfigMap, Secret or other prerequisite is missing: short,
/// because people create them moments later.
pub const CONFIG_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// The grace period of a pod that does not say.
pub const DEFAULT_GRACE_SECONDS: i64 = 30;
/// The shortest time a container gets between SIGTERM and kill, in seconds.
pub const MIN_GRACE_SECONDS: i64 = 1;

/// The least a container gets between SIGTERM and kill, whatever a hook before it took (kubelet's minimum).
pub const MIN_STOP_SECONDS: i64 = 2;
/// The longest an HTTP hook waits for its answer. Upstream has no such bound; a start would hang for ever.
pub const HOOK_HTTP_MAX: Duration = Duration::from_secs(300);

/// Container starts (create, start) under way at once. Image pulls and compilations have their own limits, so that
/// neither a slow registry nor a large module holds these up.
pub const CONCURRENT_STARTS: usize = 64;
/// How often the disk is looked at for images to remove.
pub const IMAGE_COLLECTION_PERIOD: Duration = Duration::from_secs(300);
/// How often the namespaces that the node keeps buckets of are asked for. A node watches none; what is gone is only in
/// nobody's way.
pub const NAMESPACE_DATA_PERIOD: Duration = Duration::from_secs(600);
/// Image pulls under way at once.
pub const CONCURRENT_PULLS: usize = 8;
/// How long a status that only says "being created" is held back: usually the container runs
/// before, and writes are saved on the path to Running, most of all in a burst.
pub const STATUS_DEFER: Duration = Duration::from_secs(1);

/// Events waiting to be sent; more are dropped, oldest kept.
pub const EVENT_QUEUE: usize = 1_000;
/// Events sent per second, and in a burst (kubelet's eventRecordQPS and eventBurst).
pub const EVENT_RATE: (f64, f64) = (50.0, 100.0);
/// Per object: tokens for new events, and seconds until one comes back (client-go's spam filter).
pub const EVENT_SPAM: (f64, f64) = (25.0, 300.0);
/// Different messages of one reason and object within `EVENT_SIMILAR_WINDOW` before they are
/// folded into one "(combined from similar events)".
pub const EVENT_SIMILAR_MAX: usize = 10;
pub const EVENT_SIMILAR_WINDOW: Duration = Duration::from_secs(600);
/// Objects the event recorder remembers for counting.
pub const EVENT_CACHE: usize = 4_096;
/// Bytes of an event's message; longer ones are cut.
pub const EVENT_MESSAGE_MAX: usize = 1_024;

/// Bytes of a termination message read from its file.
pub const TERMINATION_MESSAGE_MAX: usize = 4_096;
/// Lines and bytes of log a termination message falls back to.
pub const TERMINATION_LOG_LINES: usize = 80;
pub const TERMINATION_LOG_BYTES: usize = 2_048;
/// Bytes of an error message put into a pod's status; longer ones are cut.
pub const STATUS_MESSAGE_MAX: usize = 4_096;

/// Size at which a container's log is rotated, files kept per container, and how often that is
/// looked at while containers run.
pub const LOG_MAX_BYTES: u64 = 10 << 20;
pub const LOG_MAX_FILES: usize = 5;
pub const LOG_ROTATE_PERIOD: Duration = Duration::from_secs(10);
/// The longest line the log reader holds; a longer one is passed on in pieces.
pub const LOG_LINE_MAX: usize = 256 << 10;
/// Log streams served at once. Each has the file open that it reads, and the next one while it goes on to that.
pub const LOG_STREAMS: usize = 256;
/// Further files of their logs that all these streams together have open, so that rotation takes none from them. More
/// are opened when they are come to.
pub const LOG_FILES_AHEAD: usize = 64;
/// Connections of the kubelet API at once, and the time a handshake and a request head may take.
pub const API_CONNECTIONS: usize = 512;
pub const API_HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection of the kubelet API may be open without a request: what the API server's client keeps them for.
pub const API_IDLE: Duration = Duration::from_secs(90);
/// How often a connection of HTTP/2 is asked whether its other end is still there.
pub const API_PING: Duration = Duration::from_secs(30);

/// Bytes of one volume of ConfigMaps, Secrets, fields and tokens, which is put together in memory: a projected one may
/// show many objects of the API's own limit, and one of them many times.
pub const VOLUME_BYTES_MAX: usize = 16 << 20;
/// Bytes of the ConfigMaps that settings of one container come from.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Bytes of all environment values of one container, and of its arguments.
pub const ENV_BYTES_MAX: usize = 4 << 20;
/// The same with the values that later ones replace.
pub const ENV_WORK_MAX: usize = 4 * ENV_BYTES_MAX;
/// Bytes of a subPath that is put together from variables: longer paths no system knows.
pub const SUB_PATH_MAX: usize = 4_096;
/// The oldest a ServiceAccount token in a volume gets, however long it is good for (kubelet's bound).
pub const TOKEN_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Pods whose volumes are put together at once, at their start or after a change of what they show: one ConfigMap may be
/// in all of them, and each holds up to `VOLUME_BYTES_MAX` meanwhile.
pub const CONCURRENT_RENDERS: usize = 16;
/// How long a container's start waits for the first list of services.
pub const SERVICES_WAIT: Duration = Duration::from_secs(5);
/// Bytes a container may write into its termination message file; only the last `TERMINATION_MESSAGE_MAX` are shown.
pub const TERMINATION_FILE_MAX: u64 = 1 << 20;
