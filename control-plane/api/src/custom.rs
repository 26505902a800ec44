//! Custom resources: what a CustomResourceDefinition says about its objects, and the rules that follow.
//!
//! A [`Definition`] is read from the bytes of its object and compiles the schema of a version when it
//! is first asked for, so one that nobody uses costs little beside its bytes. A [`Catalog`] makes the
//! rows under which versions are served; rows are `&'static` like those of built-in kinds.

mod approval;
mod catalog;
mod columns;
pub mod conditions;
mod definition;
mod format;
mod jsonpath;
mod naming;
mod order;
mod pattern;
mod publish;
mod scale;
mod schema;
mod shape;
mod text;
mod types;
mod validate;
mod warnings;

pub mod decode;

pub use catalog::{Catalog, CatalogFull, Cell, Served};
pub use definition::{Custom, Definition, Names, Version};
pub use naming::{UsedNames, accept, names};
pub use order::compare_versions;
pub use scale::Scale;
pub use schema::Node;
pub use warnings::{definition_warnings, finalizer_warnings};

pub(crate) use types::convert;

pub(crate) use approval::validate as validate_approval;
pub use columns::{cells, definitions as column_definitions};
pub(crate) use validate::default_errors;

/// What is wrong with a regular expression in Go's syntax.
pub(crate) fn check_pattern(pattern: &str) -> Option<String> {
    pattern::compile(pattern).err()
}

/// The row custom objects rest under: their own rows come and go.
pub static RESTING: crate::resource::Resource = crate::resource::CUSTOM;

pub(crate) use validate::{create as validate_create, status_update, update as validate_update};
