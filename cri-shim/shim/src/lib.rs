//! The CRI v1 contract on our own engine, images and network.
//!
//! [`Shim`] implements `RuntimeService` and `ImageService` for an agent in the same process. It
//! owns the state of sandboxes and containers (in memory: guests die with their process), the log
//! files and the event stream.
//!
//! Not here: the unix socket, streaming (exec, attach, port-forward), restarts and back-off (the
//! agent's), anything of Kubernetes beyond the conventions CRI itself carries.

mod annotations;
mod capabilities;
mod config;
mod container;
mod error;
mod etc;
mod events;
mod filter;
mod host;
mod hosts;
mod id;
mod image_service;
mod launch;
mod limits;
mod loading;
mod log;
mod mounts;
mod peers;
mod phase;
mod pods;
mod ports;
mod resources;
mod runtime;
mod sandbox;
mod shim;
mod signal;
mod time;
mod workload;

pub use config::{LogRate, ShimConfig};
pub use limits::{
    EVENTS_PER_SUBSCRIBER, MAX_ANNOTATION_BYTES, MAX_ARGUMENT_BYTES, MAX_CONTAINERS_PER_SANDBOX,
    MAX_EVENT_SUBSCRIBERS, MAX_LABEL_BYTES, MAX_LOG_LINE_BYTES, MAX_MOUNTS, MAX_NAME_BYTES,
    MAX_PORTS, MAX_SANDBOXES,
};
pub use shim::Shim;
