//! Writes: decode, default, admit, validate, commit.
//!
//! A write that changes nothing is not one: it bumps no revision. Whether an update ends in a new version or in the
//! object's removal (its last finalizer went, its grace period is over) is decided in the same commit.

mod apply;
mod attempts;
mod collection;
mod commit;
mod create;
mod delete;
mod managers;
mod meta;
mod options;
mod patch;
mod stored;
mod update;

pub(crate) use attempts::{Attempts, Lines};
pub(crate) use collection::delete_collection;
pub(crate) use commit::{put as replace, remove, txn_failed};
pub(crate) use create::{create, store_new, store_own};
pub(crate) use delete::{DeleteOptions, delete, delete_one, evict};
pub(crate) use managers::{Managers, settle_answer};
pub(crate) use meta::{check_namespace, generated_name};
pub(crate) use options::WriteOptions;
pub(crate) use patch::patch;
pub(crate) use update::update;
