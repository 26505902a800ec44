//! Containers that run from a pod's start, first or for long.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, in_range, invalid, required_choice, required_text};
use super::{Context, env, mounts, probe, resources, restart, security};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// The containers that run for long, and those that run before them.
pub(super) fn all(context: &Context<'_>, path: &Path, out: &mut Errors) {
    let mut names = HashSet::new();
    let mut host_ports = HashSet::new();
    let here = path.child("containers");
    let containers = items(context.spec, "containers");
    if containers.is_empty() {
        out.push(|| FieldError::required(&here, ""));
    }
    for (at, one) in containers.iter().enumerate() {
        let here = here.index(at);
        common(one, context, &here, out);
        unique_name(one, &here, &mut names, out);
        probe::all(one, context, &here, out);
        restart::policy(one, &here, out);
    }
    for (at, one) in containers.iter().enumerate() {
        host_port_conflicts(one, &here.index(at), &mut host_ports, out);
    }
    let here = path.child("initContainers");
    for (at, one) in items(context.spec, "initContainers").iter().enumerate() {
        let here = here.index(at);
        common(one, context, &here, out);
        restart::policy(one, &here, out);
        unique_name(one, &here, &mut names, out);
        // They run one after the other, so each has the host's ports for itself.
        host_port_conflicts(one, &here, &mut HashSet::new(), out);
        if text(one, "restartPolicy") == "Always" {
            probe::all(one, context, &here, out);
        } else {
            no_probes(one, &here, out);
            restart::resize_of_init(one, &here, out);
        }
    }
}

/// What holds for containers of all sorts.
pub(super) fn common(one: &Value, context: &Context<'_>, path: &Path, out: &mut Errors) {
    required_text(out, one, path, "name", names::dns1123_label);
    if is_empty(one, "image") {
        out.push(|| FieldError::required(path.child("image"), ""));
    }
    let field = "terminationMessagePolicy";
    required_choice(out, one, path, field, &MESSAGE_POLICIES);
    ports(one, path, out);
    env::all(one, path, out);
    mounts::all(one, context, path, out);
    required_choice(out, one, path, "imagePullPolicy", &PULL_POLICIES);
    resources::container(one, context, path, out);
    restart::resize_policy(one, context, path, out);
    let here = path.child("securityContext");
    security::of_container(one, &here, context.host_users(), out);
}

/// Templates may hold an image that somebody else replaces; pods may not.
pub(super) fn image_spaces(container: &Value, path: &Path, out: &mut Errors) {
    let image = text(container, "image");
    if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        out.push(|| FieldError::invalid(path.child("image"), image, why));
    }
}

/// Names are unique among containers of all sorts.
pub(super) fn unique_name<'a>(
    container: &'a Value,
    path: &Path,
    seen: &mut HashSet<&'a str>,
    out: &mut Errors,
) {
    let name = text(container, "name");
    if !name.is_empty() && !seen.insert(name) {
        out.push(|| FieldError::duplicate(path.child("name"), name));
    }
}

/// An init container that runs to its end has nobody who would ask whether it is well.
fn no_probes(container: &Value, path: &Path, out: &mut Errors) {
    for field in [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ] {
        if get(container, field).is_some() {
            let why = "may not be set for init containers without restartPolicy=Always";
            out.push(|| FieldError::forbidden(path.child(field), why));
        }
    }
}

fn ports(container: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, port) in items(container, "ports").iter().enumerate() {
        let here = path.child("ports").index(at);
        let (name, at_name) = (text(port, "name"), here.child("name"));
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !seen.insert(name) {
                out.push(|| FieldError::duplicate(&at_name, name));
            }
            invalid(out, &at_name, name, wrong);
        }
        let at_number = here.child("containerPort");
        match int(port, "containerPort").unwrap_or(0) {
            0 => out.push(|| FieldError::required(at_number, "")),
            number => invalid(out, &at_number, number, names::port_number(number)),
        }
        if int(port, "hostPort").unwrap_or(0) != 0 {
            in_range(out, port, &here, "hostPort", (1, 65535));
        }
        required_choice(out, port, &here, "protocol", &PROTOCOLS);
    }
}

/// Two containers of a pod cannot have the same port of the host.
fn host_port_conflicts(
    container: &Value,
    path: &Path,
    seen: &mut HashSet<String>,
    out: &mut Errors,
) {
    for (at, port) in items(container, "ports").iter().enumerate() {
        let number = int(port, "hostPort").unwrap_or(0);
        if number == 0 {
            continue;
        }
        let (protocol, address) = (text(port, "protocol"), text(port, "hostIP"));
        let identity = format!("{protocol}/{address}/{number}");
        if seen.contains(&identity) {
            let here = path.child("ports").index(at).child("hostPort");
            out.push(|| FieldError::duplicate(here, identity.as_str()));
        }
        seen.insert(identity);
    }
}
