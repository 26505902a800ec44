//! The node agent: the kubelet's role.
mod agent;
mod config;
pub mod limits;

pub use agent::{Agent, AgentError};
pub use config::{AgentConfig, ServingIdentity};
