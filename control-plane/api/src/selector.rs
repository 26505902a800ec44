//! Selectors: which objects a list, a watch or a controller is about.
//!
//! Label selectors come as strings in URLs and as `LabelSelector` objects in specs; field selectors
//! only as strings. Parse errors are upstream's, word for word.

mod field;
mod label;
mod lexer;

pub use field::{FieldOperator, FieldRequirement, FieldSelector, field_value};
pub use label::{LabelSelector, Operator, Requirement};

/// Longest selector string that is looked at. Each requirement costs work per object.
pub const MAX_SELECTOR_BYTES: usize = 64 * 1024;
