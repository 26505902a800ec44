//! What one caller may put into the shim. Everything here is checked when a request arrives.

use std::time::Duration;

/// Sandboxes at one time, stopped ones included: twice the pods a node is meant to hold.
pub const MAX_SANDBOXES: usize = 20_000;
/// Containers of one sandbox, exited ones included until they are removed.
pub const MAX_CONTAINERS_PER_SANDBOX: usize = 256;
/// Each part of a name: pod, namespace, uid, container, host name.
pub const MAX_NAME_BYTES: usize = 1 << 10;
/// All labels of one sandbox or container, keys and values.
pub const MAX_LABEL_BYTES: usize = 256 << 10;
/// All annotations of one sandbox or container. Kubernetes allows 256 KiB on a pod; agents add to them.
pub const MAX_ANNOTATION_BYTES: usize = 512 << 10;
/// Arguments and environment of one container, as Linux bounds them by default.
pub const MAX_ARGUMENT_BYTES: usize = 2 << 20;
/// Mounts of one container.
pub const MAX_MOUNTS: usize = 512;
/// Ports of one container that an HTTP handler listens on.
pub const MAX_PORTS: usize = 100;
/// The longest piece of output written as one log line; longer lines are cut into partial ones.
pub const MAX_LOG_LINE_BYTES: usize = 16 << 10;
/// Event streams open at one time.
pub const MAX_EVENT_SUBSCRIBERS: usize = 16;
/// Events an open stream may lag behind before it is ended.
pub const EVENTS_PER_SUBSCRIBER: usize = 16_384;
/// How long a killed container may take to be gone before the call that killed it fails.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(10);
/// Ids may be given as a prefix of at least this many digits, as crictl prints them shortened.
pub(crate) const MIN_ID_PREFIX: usize = 6;
