//! What goes into a container besides its image: environment, arguments, volumes, mounts.

mod atomic;
mod env;
mod expand;
mod fields;
mod mounts;
mod objects;
mod select;
mod volumes;

pub(crate) use env::{Environment, environment};
pub(crate) use expand::expand;
pub(crate) use mounts::mounts;
pub(crate) use objects::{ObjectKind, Objects};
pub(crate) use volumes::{prepare, volume_dir};

/// Facts of the node that pods may ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    pub(crate) host_ip: String,
    /// Allocatable CPU in thousandths, memory and ephemeral storage in bytes: what a container
    /// without a limit is told its limit is.
    pub(crate) cpu_milli: i64,
    pub(crate) memory: i64,
    pub(crate) ephemeral_storage: i64,
}
