//! The agent as a whole, against a scripted runtime and an API server of a few hundred lines.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admission;
mod api;
mod capabilities;
mod cluster;
mod hooks;
mod image_access;
mod kubelet;
mod namespaces;
mod node;
mod places;
mod pods;
mod probes;
mod resize;
mod runtime;
mod trouble;
mod volumes;
