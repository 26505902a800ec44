//! The part of `metadata` that belongs to the server.

use jiff::Timestamp;
use rand::seq::IndexedRandom;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::Value;

use crate::api::Result;
use crate::chain::fresh_uuid;

/// What follows `generateName`: letters and digits that spell no words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// So that the name stays below 63 bytes.
const MAX_BASE: usize = 58;

/// A name made from `generateName`.
pub(crate) fn generated_name(base: &str) -> String {
    let mut end = base.len().min(MAX_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    let mut random = rand::rng();
    for _ in 0..SUFFIX_LENGTH {
        name.extend(
            ALPHABET
                .choose(&mut random)
                .map(|letter| char::from(*letter)),
        );
    }
    name
}

/// The namespace and name of a body must be those of the path.
pub(super) fn check_identity(value: &mut Value, namespace: &str, name: &str) -> Result<()> {
    check_namespace(value, namespace)?;
    let said = object::name(value);
    if said.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if said != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({said}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

/// The version a write is based on; none when the client leaves it out or says 0.
pub(super) fn asked_version(value: &Value) -> &str {
    match object::resource_version(value) {
        "0" => "",
        version => version,
    }
}

/// The namespace of a body, when it names one, must be that of the path. What is in none may name one nevertheless, which
/// is forgotten: charts give all their objects the namespace of the release.
pub(crate) fn check_namespace(value: &mut Value, namespace: &str) -> Result<()> {
    if namespace.is_empty() {
        object::remove(value, "metadata.namespace");
        return Ok(());
    }
    let said = object::namespace(value);
    if !said.is_empty() && said != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object::set(value, "metadata.namespace", namespace);
    Ok(())
}

/// Gives a new object what only the server may.
pub(super) fn stamp_new(resource: &Resource, value: &mut Value) -> Result<()> {
    if !asked_version(value).is_empty() {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    for field in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        object::remove(value, &format!("metadata.{field}"));
    }
    object::set(value, "metadata.uid", fresh_uuid().hyphenated().to_string());
    object::set(
        value,
        "metadata.creationTimestamp",
        time::seconds(Timestamp::now()),
    );
    if resource.generation {
        object::set(value, "metadata.generation", 1);
    } else if object::generation(value) == 0 {
        // Any other stays, where nobody counts.
        object::remove(value, "metadata.generation");
    }
    Ok(())
}

/// Marks an object as being deleted.
pub(super) fn mark_deleted(value: &mut Value, resource: &Resource, at: Timestamp, grace: i64) {
    object::set(value, "metadata.deletionTimestamp", time::seconds(at));
    // Upstream marks these two on paths of their own.
    if matches!(resource.kind, "Namespace" | "CustomResourceDefinition") {
        return;
    }
    object::set(value, "metadata.deletionGracePeriodSeconds", grace);
    bump_generation(value, resource);
}

pub(super) fn bump_generation(value: &mut Value, resource: &Resource) {
    if resource.generation {
        let generation = object::generation(value).max(0) + 1;
        object::set(value, "metadata.generation", generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_short_and_lower_case() {
        let name = generated_name(&"x".repeat(80));
        assert_eq!(name.len(), MAX_BASE + SUFFIX_LENGTH);
        assert!(generated_name("a-").starts_with("a-"));
        assert_ne!(generated_name("a-"), generated_name("a-"));
    }
}
