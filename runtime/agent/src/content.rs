//! What goes into a container besides its image: environment, arguments, volumes, mounts.

mod atomic;
mod below;
mod dns;
mod env;
mod expand;
mod fields;
mod hosts;
mod mounts;
mod namespace;
mod objects;
mod place;
mod select;
mod services;
mod settings;
mod sources;
mod volumes;

pub(crate) use dns::dns;
pub(crate) use env::{Environment, environment};
pub(crate) use expand::expand;
pub(crate) use hosts::write_hosts;
pub(crate) use mounts::{Limit, Mounts, Source, mounts};
pub(crate) use namespace::Standing;
pub(crate) use objects::Objects;
pub(crate) use place::{VolumePolicy, is_here, local_folder, memory_dir, wants_memory};
pub(crate) use services::Services;
pub(crate) use settings::host_annotations;
pub(crate) use sources::{Sources, Subscription};
pub(crate) use volumes::{
    Means, Refreshed, Tokens, VolumeError, place_of, prepare, refresh, shows_metadata, sources,
};

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
