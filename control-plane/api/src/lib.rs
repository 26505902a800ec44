//! Kinds of the Kubernetes API and the pure rules over them: what a field is called and looks
//! like, how a request body becomes a [`serde_json::Value`], how patches merge, what is defaulted,
//! what is refused, and how it is described to clients.
//!
//! Everything here is a plain function of data: no IO, no clock, no async, no HTTP.

// The registry and what is read from it.
pub mod discovery;
pub mod openapi;
pub mod resource;
pub mod schema;

// Request bodies.
pub mod decode;
pub mod protobuf;

// Rules.
pub mod amounts;
pub mod apply;
pub mod convert;
pub mod custom;
pub mod defaults;
pub mod ephemeral;
pub mod limits;
pub mod patch;
pub mod quota;
pub mod scale;
pub mod validate;
pub mod warnings;

// What answers are made of.
pub mod status;
pub mod table;

// Vocabulary.
pub mod names;
pub mod object;
pub mod quantity;
pub mod selector;
pub mod time;
