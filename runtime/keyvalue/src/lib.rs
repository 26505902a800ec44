//! Durable buckets of pairs, by namespace, on one SQLite file.
//!
//! [`KeyValue`] is the file, [`Bucket`] one bucket of it. Namespaces see nothing of each other. See README.md for the
//! invariants and bounds.

mod bucket;
mod error;
mod limits;
mod schema;
mod store;
mod writer;

pub use bucket::{Bucket, Page, Pair};
pub use error::{KeyValueError, OpenError};
pub use limits::Limits;
pub use store::{BucketName, KeyValue, KeyValueConfig, Namespace};
