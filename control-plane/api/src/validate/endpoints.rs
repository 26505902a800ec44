//! Endpoints: the older form of EndpointSlices.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::address::{self, ip};
use super::change::Change;
use super::path::{Path, invalid, optional_text, required_choice, text_if_set};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("subsets");
    for (at, subset) in items(value, "subsets").iter().enumerate() {
        let here = path.index(at);
        if is_empty(subset, "addresses") && is_empty(subset, "notReadyAddresses") {
            let why = "must specify `addresses` or `notReadyAddresses`";
            out.push(|| FieldError::required(&here, why));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (at, one) in items(subset, list).iter().enumerate() {
                endpoint(one, &here.child(list).index(at), out);
            }
        }
        let ports = items(subset, "ports");
        for (at, one) in ports.iter().enumerate() {
            port(one, ports.len() > 1, &here.child("ports").index(at), out);
        }
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let mut wrong = Errors::new();
    create(new, &mut wrong);
    if wrong.found() > 0 && Change::of(resource, new, old).differs("subsets") {
        out.extend(wrong.into_list());
    }
}

fn endpoint(one: &Value, path: &Path, out: &mut Errors) {
    let (at, found) = (path.child("ip"), text(one, "ip"));
    invalid(out, &at, found, ip(found));
    optional_text(out, one, path, "hostname", names::dns1123_label);
    if let Some(node) = get(one, "nodeName").and_then(Value::as_str) {
        let at = path.child("nodeName");
        invalid(out, &at, node, names::dns1123_subdomain(node));
    }
    address::endpoint(found, &at, out);
}

fn port(one: &Value, needs_name: bool, path: &Path, out: &mut Errors) {
    if needs_name && is_empty(one, "name") {
        out.push(|| FieldError::required(path.child("name"), ""));
    }
    optional_text(out, one, path, "name", names::dns1123_label);
    let number = int(one, "port").unwrap_or(0);
    invalid(out, &path.child("port"), number, names::port_number(number));
    required_choice(out, one, path, "protocol", &PROTOCOLS);
    text_if_set(out, one, path, "appProtocol", names::qualified_name);
}
