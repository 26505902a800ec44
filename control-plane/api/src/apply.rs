//! Server-side apply and `managedFields`: who owns which field of an object, and what follows.
//!
//! Two entry points carry every write. [`track`] brings ownership in line with an update of any
//! kind; [`apply`] merges a configuration under the rules of ownership. Both are functions of the
//! live object, what the client sent, a [`Kind`] and a [`Writer`], and know nothing of built-in
//! kinds beyond the registry they are given.
//!
//! The behaviour is that of upstream's structured-merge-diff and `managedfields` packages, whose
//! tests and outputs it was compared with.

// Sets of fields.
mod fields_v1;
mod path;
mod set;

// What a type says about merging.
mod place;
mod typed_set;

// Walks over objects.
mod alike;
mod check;
mod compare;
mod extract;
mod merge;
mod remove;

// Ownership.
mod conflict;
mod kind;
mod managed;
mod ownership;
mod prune;
mod reach;

// What the server calls.
mod configuration;
mod last_applied;
mod manager;
mod scale;
mod track;

pub use configuration::apply;
pub use kind::Kind;
pub(crate) use manager::validate as validate_managers;
pub use manager::{from_user_agent, validate_manager};
pub use reach::Reach;
pub use scale::Parent;
pub use track::{MANAGED_FIELDS, Writer, track};

#[cfg(test)]
mod tests;
