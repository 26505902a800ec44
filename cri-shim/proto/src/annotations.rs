//! Annotations on CRI messages that our agent and our runtime understand: what CRI has no field for.
//!
//! Names below `sampan/` are the agent's own word; no pod can set them where our agent runs. Names
//! below `sampan.dev/` are written by users on pods; any kubelet passes them on with the sandbox.

/// Of a container: "true" if no host path of its mounts holds a symbolic link: the caller has
/// resolved them. The runtime then follows none, so that a guest which writes a volume cannot put
/// one into a path between the caller's check and the mount.
pub const RESOLVED_MOUNTS: &str = "sampan/resolved-mounts";

/// Of a container: how much the folders and files of its mounts may hold, as JSON:
/// `[{"path": "/host/folder", "bytes": 1048576}]`. It counts for every mount at that host path or below it, together with
/// those of other containers; writes beyond it fail with "no space left".
pub const VOLUME_LIMITS: &str = "sampan/volume-limits";

/// Of a sandbox: the names of the capabilities its containers must not have, separated by commas.
/// A container whose module imports one is not made.
pub const FORBIDDEN_CAPABILITIES: &str = "sampan/forbidden-capabilities";

/// The key of a container's capabilities in the `info` of its verbose status: names separated by
/// commas.
pub const CAPABILITIES_INFO: &str = "capabilities";

/// Key of a sandbox's verbose status, present while a CreateContainer call in it waits for a module that is being
/// compiled: the size of that module in bytes, as a decimal number. CRI has no call that tells of such progress.
pub const COMPILING: &str = "sampan/compiling-bytes";

/// Key of a sandbox's verbose status, present while a CreateContainer call in it waits for a module that is not being
/// compiled yet, because others are before it: the number of such modules.
pub const WAITING_TO_COMPILE: &str = "sampan/waiting-to-compile";

/// What a label of a namespace that forbids a capability begins with; its name follows.
pub const FORBID_LABEL: &str = "forbid.sampan.dev/";

/// Of a sandbox: the uid of its namespace, which tells namespaces of one name apart that came one
/// after the other.
pub const NAMESPACE_UID: &str = "sampan/namespace-uid";

/// Of a container: the ConfigMaps that `sampan.dev/wasi-config` names, as a JSON object of objects
/// of strings. It is not told in statuses.
pub const CONFIG_MAPS: &str = "sampan/config-maps";

/// What the annotations begin with by which a pod gets interfaces beyond WASI proper. With
/// `.CONTAINER` behind the name it is for one container, and counts more than without.
pub const WASI_PREFIX: &str = "sampan.dev/wasi-";

/// Of a pod: what `wasi:config` answers, sources separated by commas, the last one counting most:
/// `env` the container's environment, `configmap/NAME` a ConfigMap of the namespace.
pub const WASI_CONFIG: &str = "sampan.dev/wasi-config";

/// Of a pod: the buckets it can open, separated by commas: `NAME`, or `NAME=BUCKET` if the guest
/// knows the namespace's bucket by another name. A guest that opens "" means "default".
pub const WASI_KEYVALUE: &str = "sampan.dev/wasi-keyvalue";

/// Of a pod: "true" if the lines of `wasi:logging` go to its containers' logs.
pub const WASI_LOGGING: &str = "sampan.dev/wasi-logging";
