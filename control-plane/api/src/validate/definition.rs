//! CustomResourceDefinitions.
//!
//! Upstream moves what all versions say alike to the top before it validates, so a definition with one
//! version has its schema's errors at `spec.validation` and not below `spec.versions[0]`.

mod conversion;
mod defaults;
mod names;
mod rules;
mod schema;
mod structural;
mod versions;

use std::collections::HashSet;

use serde_json::Value;

use super::path::Path;
use crate::custom;
use crate::names::{dns1035_label, dns1123_subdomain};
use crate::object::{self, get, items, text};
use crate::status::{Errors, FieldError};

pub(super) fn create(definition: &Value, out: &mut Errors) {
    let (name, group) = (object::name(definition), text(definition, "spec.group"));
    if name != format!("{}.{group}", text(definition, "spec.names.plural")) {
        let why = r#"must be spec.names.plural+"."+spec.group"#;
        out.push(|| FieldError::invalid("metadata.name", name, why));
    }
    common(definition, None, out);
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    common(new, Some(old), out);
    let mut immutable = vec!["spec.group", "spec.names.plural"];
    if custom::conditions::holds(old, "Established") {
        immutable.extend(["spec.scope", "spec.names.kind"]);
    }
    for path in immutable {
        if get(new, path) != get(old, path) {
            let value = get(new, path).cloned().unwrap_or_default();
            out.push(|| FieldError::invalid(path, value, super::IMMUTABLE));
        }
    }
}

pub(super) fn status_update(new: &Value, out: &mut Errors) {
    names::check(new, &Path::new("status").child("acceptedNames"), out);
}

fn common(definition: &Value, old: Option<&Value>, out: &mut Errors) {
    let spec = Path::new("spec");
    match text(definition, "spec.group") {
        "" => out.push(|| FieldError::required(spec.child("group"), "")),
        group => {
            let wrong = dns1123_subdomain(group).join(",");
            let why = match wrong.as_str() {
                "" if group.contains('.') => None,
                "" => Some("should be a domain with at least one dot".to_owned()),
                _ => Some(wrong),
            };
            if let Some(why) = why {
                out.push(|| FieldError::invalid(spec.child("group"), group, why));
            }
        }
    }
    let scopes = &["Cluster", "Namespaced"];
    let spec_value = get(definition, "spec").unwrap_or(&Value::Null);
    super::path::required_choice(out, spec_value, &spec, "scope", scopes);
    versions::check(definition, out);
    names::required(spec_value, &spec.child("names"), out);
    names::check_spec(spec_value, &spec.child("names"), out);
    conversion::check(definition, &spec.child("conversion"), out);
    names::check(definition, &Path::new("status").child("acceptedNames"), out);
    stored_versions(definition, out);
    out.extend(custom::validate_approval(definition, old));
    if object::flag(definition, "spec.preserveUnknownFields") {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                   spec.versions[*].schema instead";
        let path = spec.child("preserveUnknownFields");
        out.push(|| FieldError::invalid(path, true, why));
    }
}

/// Versions in which objects may still rest stay in the definition.
fn stored_versions(definition: &Value, out: &mut Errors) {
    let path = Path::new("status").child("storedVersions");
    let stored = items(definition, "status.storedVersions");
    if stored.is_empty() {
        let why = "must have at least one stored version";
        out.push(|| FieldError::invalid(path, stored, why));
        return;
    }
    let versions = items(definition, "spec.versions");
    let known: HashSet<&str> = stored.iter().filter_map(Value::as_str).collect();
    for version in versions.iter().filter(|it| object::flag(it, "storage")) {
        let name = text(version, "name");
        if !known.contains(name) {
            let why = format!("must have the storage version {name}");
            out.push(|| FieldError::invalid(&path, stored, why));
        }
    }
    let served: HashSet<&str> = versions.iter().map(|it| text(it, "name")).collect();
    for (at, name) in stored.iter().enumerate() {
        let name = name.as_str().unwrap_or("");
        if !served.contains(name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must \
                 remain in spec.versions until a storage migration ensures no data remains \
                 persisted in {name} and removes {name} from status.storedVersions"
            );
            out.push(|| FieldError::invalid(path.index(at), name, why));
        }
    }
}

/// A name that is a DNS label once its letters are small.
fn mixed_case(name: &str) -> Option<String> {
    let wrong = dns1035_label(&name.to_lowercase());
    (!wrong.is_empty()).then(|| {
        let wrong = wrong.join(",");
        format!("may have mixed case, but should otherwise match: {wrong}")
    })
}

#[cfg(test)]
mod tests;
