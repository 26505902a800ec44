//! The Wasm runtime: loads modules, runs them as containers, and bounds what they can use.
//!
//! One [`Engine`] per process. [`Engine::load`] turns a file into a [`Module`] (compiled once per digest, cached on
//! disk, shared by every container that uses it); [`Engine::start`] turns a module and a [`ContainerSpec`] into a
//! [`Container`] that can be waited for, terminated and killed.
//!
//! The crate knows no Kubernetes type and no CRI. See README.md for the security model and the decisions.

mod backend;
mod capability;
mod command;
mod config;
mod container;
mod cpu;
mod engine;
mod exit;
mod files;
mod group;
mod held;
mod host;
mod http;
mod limits;
mod module;
mod network;
mod output;
mod places;
mod random;
mod schedule;
mod signals;
mod sleep;
mod sockets;
mod spec;
mod state;

pub use capability::Capability;
pub use config::EngineConfig;
pub use container::{Container, StartError, Stats};
pub use cpu::{CpuLimits, CpuQuota};
pub use engine::{Engine, EngineError, EngineStats};
pub use exit::Exit;
pub use files::widen_descriptor_table;
pub use group::Group;
pub use host::keyvalue::{KeyPage, KeyValueBucket, KeyValueError, KeyValuePair, KeyValueStore};
pub use host::{HostInterfaces, Settings};
pub use module::{Compiling, Entry, LoadError, Module, ModuleSource, Workload};
pub use network::{Directory, Network, PodNetwork, Protocol, Route};
pub use output::OutputSink;
pub use schedule::Priority;
pub use spec::{ContainerSpec, GuestFile, HttpLimits, Mount, Reuse, VolumeLimit};
