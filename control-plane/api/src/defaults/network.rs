//! Defaults of the kinds that say what may talk to what, and where.

use serde_json::{Map, Value};

use crate::object::{get, is_empty, set, set_default};

use super::{default_text, each, within};

pub(super) fn network_policy(value: &mut Value) {
    set_default(value, "spec.podSelector", Map::new());
    for direction in ["spec.ingress", "spec.egress"] {
        each(value, direction, |rule| {
            each(rule, "ports", |port| set_default(port, "protocol", "TCP"));
        });
    }
    if is_empty(value, "spec.policyTypes") {
        let mut types = vec!["Ingress"];
        if !is_empty(value, "spec.egress") {
            types.push("Egress");
        }
        set(value, "spec.policyTypes", types);
    }
}

pub(super) fn ingress_class(value: &mut Value) {
    within(value, "spec.parameters", |parameters| {
        set_default(parameters, "scope", "Cluster");
    });
}

pub(super) fn endpoints(value: &mut Value) {
    each(value, "subsets", |subset| {
        each(subset, "ports", |port| {
            default_text(port, "protocol", "TCP");
        });
    });
}

pub(super) fn endpoint_slice(value: &mut Value) {
    each(value, "ports", |port| {
        if get(port, "name").is_none() {
            set(port, "name", "");
        }
        set_default(port, "protocol", "TCP");
    });
}
