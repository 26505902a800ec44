//! The contract between a node agent and a container runtime: CRI v1.
//!
//! [`v1`] holds the messages (wire-compatible with Kubernetes 1.36.2), [`RuntimeService`] and
//! [`ImageService`] the calls. The traits are the seam: in one process the shim implements them
//! directly, between processes a client over a unix socket will.
//!
//! Not here: any implementation, any transport, and the calls nobody makes yet (exec, attach,
//! port-forward, pod metrics, streamed lists, checkpoints).

mod error;
mod service;
pub mod v1;

pub use error::{Code, CriError, PullReason};
pub use service::{ContainerEvents, ImageService, RuntimeService};

/// Annotation of a container, "true" if no host path of its mounts holds a symbolic link: the caller
/// has resolved them. CRI has no field for it. The runtime then follows none, so that a guest which
/// writes a volume cannot put one into a path between the caller's check and the mount.
pub const RESOLVED_MOUNTS: &str = "sampan/resolved-mounts";

/// Annotation of a container: how much the folders and files of its mounts may hold, as JSON:
/// `[{"path": "/host/folder", "bytes": 1048576}]`. It counts for every mount at that host path or below it, together with
/// those of other containers; writes beyond it fail with "no space left". CRI has no field for it.
pub const VOLUME_LIMITS: &str = "sampan/volume-limits";

/// Key of a sandbox's verbose status, present while a CreateContainer call in it waits for a module that is being
/// compiled: the size of that module in bytes, as a decimal number. CRI has no call that tells of such progress.
pub const COMPILING: &str = "sampan/compiling-bytes";
