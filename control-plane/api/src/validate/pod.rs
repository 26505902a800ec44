//! Pods: the spec as a whole. Containers, volumes, scheduling terms and updates have files of
//! their own.

mod container;
pub(super) mod diff;
mod env;
mod parts;
mod probe;
mod resources;
mod scheduling;
mod status;
mod update;
mod volume;

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, int, is_empty, items, part, text};
use crate::status::FieldError;

use super::address::ip;
use super::path::{
    Path, amounts, in_range, invalid, labels, optional_choice, optional_text, required_choice,
    required_text,
};

pub(super) use parts::{ephemeral, resize};
pub(super) use scheduling::{node_selector, tolerations};
pub(super) use status::status_update;
pub(super) use update::update;

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
/// Most nameservers in `dnsConfig`.
const MAX_NAMESERVERS: usize = 3;
/// User and group ids are signed 32 bit numbers to the kernel's ABI as upstream sees it.
const IDS: (i64, i64) = (0, i32::MAX as i64);

pub(super) fn create(pod: &Value, out: &mut Vec<FieldError>) {
    spec(part(pod, "spec"), &Path::new("spec"), out);
    if !is_empty(pod, "spec.ephemeralContainers") {
        out.push(FieldError::forbidden(
            "spec.ephemeralContainers",
            "cannot be set on create",
        ));
    }
    if !is_empty(pod, "spec.schedulingGates") && !is_empty(pod, "spec.nodeName") {
        let why = "cannot be set until all schedulingGates have been cleared";
        out.push(FieldError::forbidden("spec.nodeName", why));
    }
}

/// The spec of a pod, or of the pods a template makes.
pub(super) fn spec(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let volumes = volume::all(spec, &path.child("volumes"), out);
    container::all(spec, path, &volumes, out);
    required_choice(out, spec, path, "restartPolicy", &RESTART_POLICIES);
    required_choice(out, spec, path, "dnsPolicy", &DNS_POLICIES);
    dns_config(spec, path, out);
    labels(out, spec, path, "nodeSelector");
    security_context(spec, path, out);
    names_and_gates(spec, path, out);
    host_aliases(spec, path, out);
    scheduling::all(spec, path, out);
    in_range(
        out,
        spec,
        path,
        "activeDeadlineSeconds",
        (1, i64::from(i32::MAX)),
    );
    optional_choice(
        out,
        spec,
        path,
        "preemptionPolicy",
        &["Never", "PreemptLowerPriority"],
    );
    amounts(out, spec, path, "overhead");
    resources::pod(spec, path, out);
    if let Some(os) = get(spec, "os") {
        required_choice(out, os, &path.child("os"), "name", &["linux", "windows"]);
    }
}

fn names_and_gates(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in [
        "nodeName",
        "serviceAccountName",
        "runtimeClassName",
        "priorityClassName",
    ] {
        optional_text(out, spec, path, field, names::dns1123_subdomain);
    }
    for field in ["hostname", "subdomain"] {
        optional_text(out, spec, path, field, names::dns1123_label);
    }
    for (at, secret) in items(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            let here = path.child("imagePullSecrets").index(at).child("name");
            out.push(FieldError::required(here, ""));
        }
    }
    for (at, gate) in items(spec, "readinessGates").iter().enumerate() {
        let here = path.child("readinessGates").index(at);
        let condition = text(gate, "conditionType");
        invalid(
            out,
            &here.child("conditionType"),
            condition,
            names::qualified_name(condition),
        );
    }
    let mut seen = HashSet::new();
    for (at, gate) in items(spec, "schedulingGates").iter().enumerate() {
        let here = path.child("schedulingGates").index(at);
        required_text(out, gate, &here, "name", names::qualified_name);
        if !seen.insert(text(gate, "name")) {
            out.push(FieldError::duplicate(&here, text(gate, "name")));
        }
    }
}

fn dns_config(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let none = text(spec, "dnsPolicy") == "None";
    let path = path.child("dnsConfig");
    let Some(config) = get(spec, "dnsConfig") else {
        if none {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            out.push(FieldError::required(path, why));
        }
        return;
    };
    let servers = items(config, "nameservers");
    let here = path.child("nameservers");
    if none && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        out.push(FieldError::required(&here, why));
    }
    if servers.len() > MAX_NAMESERVERS {
        let why = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        out.push(FieldError::invalid(&here, Value::from(servers), why));
    }
    for (at, server) in servers.iter().enumerate() {
        let server = server.as_str().unwrap_or("");
        invalid(out, &here.index(at), server, ip(server));
    }
    for (at, option) in items(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            let here = path.child("options").index(at);
            out.push(FieldError::required(here, "must not be empty"));
        }
    }
}

fn host_aliases(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
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

fn security_context(spec: &Value, whole: &Path, out: &mut Vec<FieldError>) {
    let path = whole.child("securityContext");
    let Some(context) = get(spec, "securityContext") else {
        return;
    };
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        in_range(out, context, &path, field, IDS);
    }
    for (at, group) in items(context, "supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or(-1);
        let here = path.child("supplementalGroups").index(at);
        invalid(out, &here, group, names::in_range(group, IDS.0, IDS.1));
    }
    let shared = flag(spec, "shareProcessNamespace") && flag(spec, "hostPID");
    if shared {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        out.push(FieldError::invalid(
            path.child("shareProcessNamespace"),
            true,
            why,
        ));
    }
    if flag(spec, "hostNetwork") {
        for list in ["containers", "initContainers"] {
            host_ports(spec, list, whole, out);
        }
    }
}

/// In the host's network a container listens on the host's ports.
fn host_ports(spec: &Value, list: &str, path: &Path, out: &mut Vec<FieldError>) {
    for (at, container) in items(spec, list).iter().enumerate() {
        for (port_at, port) in items(container, "ports").iter().enumerate() {
            let number = int(port, "containerPort").unwrap_or(0);
            if int(port, "hostPort").unwrap_or(0) != number {
                let path = path.child(list).index(at).child("ports").index(port_at);
                let why = "must match `hostPort` when `hostNetwork` is true";
                out.push(FieldError::invalid(
                    path.child("containerPort"),
                    number,
                    why,
                ));
            }
        }
    }
}
