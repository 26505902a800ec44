//! Request bodies in JSON and YAML.

use serde_json::Value;

/// A body as an object of its type.
#[derive(Debug)]
pub struct Decoded {
    /// The object: fields known, scalars of the right type, no nulls, `apiVersion` and `kind` first.
    pub value: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`.
    pub warnings: Vec<String>,
}

/// A body that is no object of its type.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// For the client; answered with 400.
    pub message: String,
}
