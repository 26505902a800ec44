//! The contract between a node agent and a container runtime: CRI v1.
//!
//! [`v1`] holds the messages (wire-compatible with Kubernetes 1.36.2), [`RuntimeService`] and
//! [`ImageService`] the calls. The traits are the seam: in one process the shim implements them
//! directly, between processes a client over a unix socket will. What CRI has no field for goes
//! as an annotation; their names are here too.
//!
//! Not here: any implementation, any transport, and the calls nobody makes yet (exec, attach,
//! port-forward, pod metrics, streamed lists, checkpoints).

mod annotations;
mod error;
mod service;
pub mod v1;

pub use annotations::{
    CAPABILITIES_INFO, COMPILING, CONFIG_MAPS, FORBID_LABEL, FORBIDDEN_CAPABILITIES, NAMESPACE_UID,
    RESOLVED_MOUNTS, VOLUME_LIMITS, WAITING_TO_COMPILE, WASI_CONFIG, WASI_KEYVALUE, WASI_LOGGING,
    WASI_PREFIX,
};
pub use error::{Code, CriError, PullReason};
pub use service::{ContainerEvents, ImageService, RuntimeService};
