//! EndpointSlices.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::names;
use crate::object::{get, items, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::address::{self, canonical_ip, ip};
use super::change::Change;
use super::domain;
use super::path::{Path, invalid, labels, optional_choice, optional_text, text_if_set};

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_TOPOLOGY_LABELS: usize = 16;
const MAX_HINTS: usize = 8;
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn create(value: &Value, out: &mut Errors) {
    general(value, out);
    endpoints(value, out);
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    general(new, out);
    let change = Change::of(resource, new, old);
    // What was accepted under older rules and stays as it is is no news.
    if change.differs("endpoints") {
        endpoints(new, out);
    }
    change.immutable(out, "addressType");
}

fn general(value: &Value, out: &mut Errors) {
    match text(value, "addressType") {
        "" => out.push(|| FieldError::required("addressType", "")),
        "FQDN" | "IPv4" | "IPv6" => {}
        other => {
            let known = ["FQDN", "IPv4", "IPv6"];
            out.push(|| FieldError::not_supported("addressType", other, &known));
        }
    }
    let (path, list) = (Path::new("ports"), items(value, "ports"));
    if list.len() > MAX_PORTS {
        out.push(|| FieldError::too_many(path, list.len(), MAX_PORTS));
        return;
    }
    let mut seen = HashSet::new();
    for (at, port) in list.iter().enumerate() {
        let here = path.index(at);
        let name = text(port, "name");
        optional_text(out, port, &here, "name", names::dns1123_label);
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(here.child("name"), name));
        }
        if get(port, "protocol").is_none() {
            out.push(|| FieldError::required(here.child("protocol"), ""));
        }
        optional_choice(out, port, &here, "protocol", &PROTOCOLS);
        text_if_set(out, port, &here, "appProtocol", names::qualified_name);
    }
}

fn endpoints(value: &Value, out: &mut Errors) {
    let (path, list) = (Path::new("endpoints"), items(value, "endpoints"));
    if list.len() > MAX_ENDPOINTS {
        out.push(|| FieldError::too_many(path, list.len(), MAX_ENDPOINTS));
        return;
    }
    let kind = text(value, "addressType");
    for (at, endpoint) in list.iter().enumerate() {
        let here = path.index(at);
        addresses(endpoint, kind, &here.child("addresses"), out);
        for (field, rule) in [
            (
                "nodeName",
                names::dns1123_subdomain as fn(&str) -> Vec<String>,
            ),
            ("hostname", names::dns1123_label),
        ] {
            if let Some(name) = get(endpoint, field).and_then(Value::as_str) {
                invalid(out, &here.child(field), name, rule(name));
            }
        }
        let topology = get(endpoint, "deprecatedTopology").and_then(Value::as_object);
        let count = topology.map_or(0, serde_json::Map::len);
        if count > MAX_TOPOLOGY_LABELS {
            let at = here.child("deprecatedTopology");
            out.push(|| FieldError::too_many(at, count, MAX_TOPOLOGY_LABELS));
        }
        labels(out, endpoint, &here, "deprecatedTopology");
        let hints = here.child("hints");
        let zones = items(endpoint, "hints.forZones");
        names_of(zones, &hints.child("forZones"), names::label_value, out);
        let nodes = items(endpoint, "hints.forNodes");
        names_of(
            nodes,
            &hints.child("forNodes"),
            names::dns1123_subdomain,
            out,
        );
    }
}

fn addresses(endpoint: &Value, kind: &str, path: &Path, out: &mut Errors) {
    let list = items(endpoint, "addresses");
    if list.is_empty() {
        out.push(|| FieldError::required(path, "must contain at least 1 address"));
    } else if list.len() > MAX_ADDRESSES {
        out.push(|| FieldError::too_many(path, list.len(), MAX_ADDRESSES));
    }
    for (at, found) in list.iter().enumerate() {
        let (here, found) = (path.index(at), found.as_str().unwrap_or(""));
        let (wrong, family) = match kind {
            "IPv4" => (ip(found), "an IPv4"),
            "IPv6" => (canonical_ip(found), "an IPv6"),
            "FQDN" => {
                domain::name(found, &here, out);
                continue;
            }
            _ => continue,
        };
        if !wrong.is_empty() {
            invalid(out, &here, found, wrong);
            continue;
        }
        let is_ipv4 = found.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4());
        if is_ipv4 != (kind == "IPv4") {
            let why = format!("must be {family} address");
            out.push(|| FieldError::invalid(path, found, why));
        }
        address::endpoint(found, &here, out);
    }
}

/// Who an endpoint is meant for.
fn names_of(list: &[Value], path: &Path, rule: fn(&str) -> Vec<String>, out: &mut Errors) {
    if list.len() > MAX_HINTS {
        out.push(|| FieldError::too_many(path, list.len(), MAX_HINTS));
        return;
    }
    let mut seen = HashSet::new();
    for (at, one) in list.iter().enumerate() {
        let (here, name) = (path.index(at).child("name"), text(one, "name"));
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(&here, name));
        }
        invalid(out, &here, name, rule(name));
    }
}
