//! The node agent: the kubelet's role.
//!
//! It makes the pods that are bound to its node run, by calls on the container runtime (CRI), and
//! reports what became of them to the API server, by a [`kube::Client`]. It knows neither the
//! engine nor the server.
//!
//! Shape: [`plan`] is pure (pod + what is known of the runtime + clock -> actions + status); one
//! worker task per pod runs its actions and folds the outcomes back in. Nothing polls: workers
//! wake on pod changes, container events, finished actions and planned moments.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod agent;
mod config;
mod content;
mod cri;
mod ends;
mod events;
mod handler;
mod housekeeping;
mod images;
mod kubelet_api;
pub mod limits;
mod local_volumes;
mod logs;
mod namespace_data;
mod node;
mod plan;
mod pods;
mod probe;
mod quantity;
mod registry;
mod room;
mod worker;

pub use agent::{Agent, AgentError};
pub use config::{AgentConfig, HostFolder, ImageCollection, ServingIdentity};
pub use ends::{EndsError, keep_ends};
pub use namespace_data::{NamespaceData, NamespaceDataError};
