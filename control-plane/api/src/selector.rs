//! Selectors: which objects a list, a watch or a controller is about.
//!
//! Label selectors come as strings in URLs and as `LabelSelector` objects in specs; field selectors
//! only as strings. Parse errors are upstream's, word for word. Requirements of node selectors are judged here as well, for the
//! scheduler and for nodes.

mod field;
mod label;
mod lexer;
mod node;

pub use field::{FieldOperator, FieldRequirement, FieldSelector, field_value};
pub use label::{LabelSelector, Operator, Requirement};
pub use node::node_requirement_matches;

/// Longest selector string that is looked at. Each requirement costs work per object.
pub const MAX_SELECTOR_BYTES: usize = 64 * 1024;
