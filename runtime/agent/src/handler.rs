//! What hooks and probes do: ask a container's address something, or wait.
//!
//! Where to ask is worked out by plain functions ([`target`]); asking is [`http`]. Nothing here decides what an
//! answer means.

pub(crate) mod http;
pub(crate) mod target;
