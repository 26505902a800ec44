//! Claims of devices that a pod makes, and containers' shares of them.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, part, text};
use crate::status::{Errors, FieldError, MAX_SHOWN};

use super::super::path::{Path, invalid, optional_text};

const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn all(spec: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, claim) in items(spec, "resourceClaims").iter().enumerate() {
        let here = path.index(at);
        let name = text(claim, "name");
        let at_name = here.child("name");
        if name.is_empty() {
            out.push(|| FieldError::required(at_name, ""));
        } else if !seen.insert(name) {
            out.push(|| FieldError::duplicate(at_name, name));
        } else {
            invalid(out, &at_name, name, names::dns1123_label(name));
        }
        let fields = ["resourceClaimName", "resourceClaimTemplateName"];
        let given = fields.map(|field| get(claim, field).is_some());
        if given[0] == given[1] {
            let why = if given[0] {
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            } else {
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            };
            out.push(|| FieldError::invalid(&here, claim, why));
        }
        for field in fields {
            optional_text(out, claim, &here, field, names::dns1123_subdomain);
        }
    }
}

/// The agent of a node that runs a pod from a file asks nobody for devices.
pub(super) fn of_mirrors(metadata: &Value, spec: &Value, out: &mut Errors) {
    let mirror = part(metadata, "annotations").get(MIRROR).is_some();
    if mirror && !is_empty(spec, "resourceClaims") {
        let why = "static pods do not support resource claims";
        out.push(|| FieldError::forbidden("", why));
    }
}

/// The names of the pod's claims, for all its containers.
pub(super) fn names_of(spec: &Value) -> BTreeSet<&str> {
    items(spec, "resourceClaims")
        .iter()
        .map(|claim| text(claim, "name"))
        .filter(|name| !name.is_empty())
        .collect()
}

/// `resources.claims` of a container: parts of the pod's claims, none of them twice.
pub(super) fn shares(resources: &Value, of_pod: &BTreeSet<&str>, path: &Path, out: &mut Errors) {
    // Names of claims taken whole; names taken at all; names with requests.
    let (mut whole, mut touched, mut parts) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (at, share) in items(resources, "claims").iter().enumerate() {
        let here = path.index(at);
        let (name, request) = (text(share, "name"), text(share, "request"));
        if name.is_empty() {
            out.push(|| FieldError::required(here, ""));
            continue;
        }
        if whole.contains(name) {
            out.push(|| FieldError::duplicate(&here, name));
        } else if request.is_empty() {
            if touched.contains(name) {
                out.push(|| FieldError::duplicate(&here, name));
            }
            whole.insert(name);
        } else {
            let wrong = names::dns1123_label(request);
            invalid(out, &here.child("request"), request, wrong);
            if !parts.insert((name, request)) {
                out.push(|| FieldError::duplicate(&here, format!("{name}/{request}")));
            }
        }
        touched.insert(name);
        if !of_pod.contains(name) {
            out.push(|| unknown(&here, name, of_pod));
        }
    }
}

fn unknown(path: &Path, name: &str, known: &BTreeSet<&str>) -> FieldError {
    let mut why = "must be one of the names in pod.spec.resourceClaims".to_owned();
    if known.is_empty() {
        why.push_str(" which is empty");
    }
    for (at, name) in known.iter().enumerate() {
        // As much as an error shows.
        if why.len() > MAX_SHOWN {
            break;
        }
        why.push_str(if at == 0 { ": " } else { ", " });
        why.push_str(name);
    }
    FieldError::not_found(path, name).because(why)
}
