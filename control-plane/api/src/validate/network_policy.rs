//! NetworkPolicies.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::address::{Range, cidr};
use super::path::{Path, invalid, optional_choice};
use super::selector::label_selector;

const TYPES: [&str; 2] = ["Ingress", "Egress"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let at = path.child("podSelector");
    label_selector(part(spec, "podSelector"), &at, out);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in items(spec, direction).iter().enumerate() {
            let here = path.child(direction).index(at);
            for (at, one) in items(rule, "ports").iter().enumerate() {
                port(one, &here.child("ports").index(at), out);
            }
            for (at, one) in items(rule, peers).iter().enumerate() {
                peer(one, &here.child(peers).index(at), out);
            }
        }
    }
    let (here, types) = (path.child("policyTypes"), items(spec, "policyTypes"));
    if types.len() > TYPES.len() {
        let why = "may not specify more than two policyTypes";
        out.push(|| FieldError::invalid(here, types, why));
        return;
    }
    for (at, kind) in types.iter().enumerate() {
        let kind = kind.as_str().unwrap_or("");
        if !TYPES.contains(&kind) {
            out.push(|| FieldError::not_supported(here.index(at), kind, &TYPES));
        }
    }
}

fn port(port: &Value, path: &Path, out: &mut Errors) {
    optional_choice(out, port, path, "protocol", &PROTOCOLS);
    let end = int(port, "endPort");
    let (at, at_end) = (path.child("port"), path.child("endPort"));
    match get(port, "port") {
        None => {
            if let Some(end) = end {
                let why = "may not be specified when `port` is not specified";
                out.push(|| FieldError::invalid(at_end, end, why));
            }
        }
        Some(Value::String(name)) => {
            if let Some(end) = end {
                let why = "may not be specified when `port` is non-numeric";
                out.push(|| FieldError::invalid(at_end, end, why));
            }
            invalid(out, &at, name.as_str(), names::port_name(name));
        }
        Some(number) => {
            let number = number.as_i64().unwrap_or(0);
            invalid(out, &at, number, names::port_number(number));
            let Some(end) = end else { return };
            if end < number {
                let why = "must be greater than or equal to `port`";
                out.push(|| FieldError::invalid(&at_end, number, why));
            }
            invalid(out, &at_end, end, names::port_number(end));
        }
    }
}

fn peer(peer: &Value, path: &Path, out: &mut Errors) {
    let mut found = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = get(peer, field) {
            found += 1;
            label_selector(selector, &path.child(field), out);
        }
    }
    if let Some(block) = get(peer, "ipBlock") {
        ip_block(block, &path.child("ipBlock"), out);
        if found > 0 {
            let why = "may not specify both ipBlock and another peer";
            out.push(|| FieldError::forbidden(path, why));
        }
    } else if found == 0 {
        out.push(|| FieldError::required(path, "must specify a peer"));
    }
}

fn ip_block(block: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("cidr");
    if is_empty(block, "cidr") {
        out.push(|| FieldError::required(at, ""));
        return;
    }
    let whole = text(block, "cidr");
    invalid(out, &at, whole, cidr(whole));
    let Some(whole) = Range::parse(whole) else {
        return;
    };
    for (at, except) in items(block, "except").iter().enumerate() {
        let (here, except) = (
            path.child("except").index(at),
            except.as_str().unwrap_or(""),
        );
        invalid(out, &here, except, cidr(except));
        if Range::parse(except).is_some_and(|except| !whole.strictly_contains(except)) {
            let why = "must be a strict subset of `cidr`";
            out.push(|| FieldError::invalid(here, except, why));
        }
    }
}
