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

use std::sync::Arc;

use crate::room::Room;

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
#[derive(Clone, Default)]
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    pub(crate) host_ip: String,
    pub(crate) room: Arc<Room>,
}

impl NodeFacts {
    /// What a container without a limit is told its limit is, CPU in thousandths, anything else in its own unit: what the
    /// node has for pods now.
    pub(crate) fn allocatable(&self, resource: &str) -> i64 {
        i64::try_from(self.room.whole(resource)).unwrap_or(i64::MAX)
    }
}
