//! What a pod is called and which ports it has in networks.

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, int, items, text};
use crate::status::{Errors, FieldError};

use super::super::address::ip;
use super::super::path::{Path, invalid};
use super::Home;

/// What Linux takes for the name of a host.
const MAX_HOSTNAME: usize = 64;

/// In the host's network a container listens on the host's ports. Templates need not say so: their
/// pods are defaulted.
pub(super) fn host_ports(spec: &Value, path: &Path, home: Home<'_>, out: &mut Errors) {
    for (at, container) in items(spec, "containers").iter().enumerate() {
        let path = path.child("containers").index(at).child("ports");
        for (at, port) in items(container, "ports").iter().enumerate() {
            let of = |field| int(port, field).unwrap_or(0);
            let (host, own) = (of("hostPort"), of("containerPort"));
            if host != own && (home != Home::Template || host != 0) {
                let why = "must match `containerPort` when `hostNetwork` is true";
                let here = path.index(at).child("hostPort");
                out.push(|| FieldError::invalid(here, host, why));
            }
        }
    }
}

pub(super) fn hostname_override(spec: &Value, path: &Path, out: &mut Errors) {
    let Some(name) = get(spec, "hostnameOverride").and_then(Value::as_str) else {
        return;
    };
    let here = path.child("hostnameOverride");
    for (field, why) in [
        (
            "setHostnameAsFQDN",
            "may not be specified when setHostnameAsFQDN is true",
        ),
        (
            "hostNetwork",
            "may not be specified when hostNetwork is true",
        ),
    ] {
        if flag(spec, field) {
            out.push(|| FieldError::forbidden(&here, why));
        }
    }
    if name.len() > MAX_HOSTNAME {
        out.push(|| FieldError::too_long(&here, MAX_HOSTNAME));
    }
    invalid(out, &here, name, names::dns1123_subdomain(name));
}

pub(super) fn host_aliases(spec: &Value, path: &Path, out: &mut Errors) {
    for (at, alias) in items(spec, "hostAliases").iter().enumerate() {
        let here = path.child("hostAliases").index(at);
        let address = text(alias, "ip");
        invalid(out, &here.child("ip"), address, ip(address));
        for (at, name) in items(alias, "hostnames").iter().enumerate() {
            let name = name.as_str().unwrap_or("");
            let here = here.child("hostnames").index(at);
            invalid(out, &here, name, names::dns1123_subdomain(name));
        }
    }
}
