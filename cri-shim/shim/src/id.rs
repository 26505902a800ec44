//! Ids of sandboxes and containers: 64 hexadecimal digits, random. Kubelets cut log names at '-',
//! so an id must hold none.

use std::sync::Arc;

/// Cheap to clone: an id sits in tables, tasks and events.
pub(crate) type Id = Arc<str>;

/// An id that has not been used before, by the odds of 256 random bits.
pub(crate) fn new() -> Id {
    hex::encode(rand::random::<[u8; 32]>()).into()
}
