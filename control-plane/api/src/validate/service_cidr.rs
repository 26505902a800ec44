//! ServiceCIDRs and IPAddresses: where Services get their addresses from, and who has which.

use serde_json::Value;

use crate::names;
use crate::object::{get, items, part};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::address::{Range, canonical_cidr};
use super::change::Change;
use super::path::{Path, invalid, optional_text, required_text};

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("spec.cidrs");
    let ranges = items(value, "spec.cidrs");
    if ranges.is_empty() {
        out.push(|| FieldError::required(path, "at least one CIDR required"));
        return;
    }
    if ranges.len() > 2 {
        let why = "may only hold up to 2 values";
        out.push(|| FieldError::invalid(path, part(value, "spec"), why));
        return;
    }
    for (at, range) in ranges.iter().enumerate() {
        let range = range.as_str().unwrap_or("");
        invalid(out, &path.index(at), range, canonical_cidr(range));
    }
    let families = ranges.iter().filter_map(|range| {
        let range = Range::parse(range.as_str()?)?;
        Some(range.is_ipv4())
    });
    let families: Vec<bool> = families.collect();
    if matches!(families[..], [first, second] if first == second) {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and \
                   2001:db8::/64";
        out.push(|| FieldError::invalid(path, ranges, why));
    }
}

/// A second range may come; what is there stays.
pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    let path = Path::new("spec.cidrs");
    let (now, before) = (items(new, "spec.cidrs"), items(old, "spec.cidrs"));
    let grows = now.len() == 2 && before.len() == 1;
    if now.len() != before.len() && !grows {
        out.push(|| FieldError::invalid(path, now, IMMUTABLE));
        return;
    }
    for (at, (now, before)) in now.iter().zip(before).enumerate() {
        if now != before {
            out.push(|| FieldError::invalid(path.index(at), now, IMMUTABLE));
        }
    }
    if grows {
        create(new, out);
    }
}

pub(super) fn address(value: &Value, out: &mut Errors) {
    let path = Path::new("spec.parentRef");
    let Some(parent) = get(value, "spec.parentRef") else {
        out.push(|| FieldError::required(path, ""));
        return;
    };
    optional_text(out, parent, &path, "group", names::dns1123_subdomain);
    required_text(out, parent, &path, "resource", names::path_segment);
    required_text(out, parent, &path, "name", names::path_segment);
    optional_text(out, parent, &path, "namespace", names::path_segment);
}

pub(super) fn address_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    Change::of(resource, new, old).immutable(out, "spec.parentRef");
}
