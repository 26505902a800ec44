//! Containers of all three sorts.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, int, is_empty, items, text};
use crate::status::FieldError;

use super::super::address::ip;
use super::super::path::{
    Path, in_range, invalid, optional_choice, optional_text, required_choice, required_text,
};
use super::volume::Volumes;
use super::{IDS, env, probe, resources};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Every container of the pod.
pub(super) fn all(spec: &Value, path: &Path, volumes: &Volumes<'_>, out: &mut Vec<FieldError>) {
    let mut names = HashSet::new();
    let mut host_ports = HashSet::new();
    let containers = items(spec, "containers");
    if containers.is_empty() {
        out.push(FieldError::required(path.child("containers"), ""));
    }
    for (list, required) in [("containers", true), ("initContainers", false)] {
        for (at, one) in items(spec, list).iter().enumerate() {
            let here = path.child(list).index(at);
            unique_name(one, &here, &mut names, out);
            container(one, &here, volumes, out);
            let sidecar = text(one, "restartPolicy") == "Always";
            if required || sidecar {
                probe::all(one, &here, out);
                host_port_conflicts(one, &here, &mut host_ports, out);
            } else {
                no_probes(one, &here, out);
            }
        }
    }
    for (at, one) in items(spec, "ephemeralContainers").iter().enumerate() {
        let here = path.child("ephemeralContainers").index(at);
        unique_name(one, &here, &mut names, out);
        container(one, &here, volumes, out);
        if !is_empty(one, "resources.limits") || !is_empty(one, "resources.requests") {
            let why = "cannot be set for an Ephemeral Container";
            out.push(FieldError::forbidden(here.child("resources"), why));
        }
    }
}

/// The image of a container, on create and on update.
pub(super) fn image(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let image = text(container, "image");
    if image.is_empty() {
        out.push(FieldError::required(path.child("image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        out.push(FieldError::invalid(path.child("image"), image, why));
    }
}

fn unique_name<'a>(
    container: &'a Value,
    path: &Path,
    seen: &mut HashSet<&'a str>,
    out: &mut Vec<FieldError>,
) {
    required_text(out, container, path, "name", names::dns1123_label);
    let name = text(container, "name");
    if !name.is_empty() && !seen.insert(name) {
        out.push(FieldError::duplicate(path.child("name"), name));
    }
}

fn container(one: &Value, path: &Path, volumes: &Volumes<'_>, out: &mut Vec<FieldError>) {
    image(one, path, out);
    required_choice(
        out,
        one,
        path,
        "terminationMessagePolicy",
        &MESSAGE_POLICIES,
    );
    required_choice(out, one, path, "imagePullPolicy", &PULL_POLICIES);
    optional_choice(
        out,
        one,
        path,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
    );
    ports(one, path, out);
    env::all(one, path, volumes, out);
    mounts(one, path, volumes, out);
    resources::container(one, path, out);
    probe::lifecycle(one, path, out);
    if let Some(context) = get(one, "securityContext") {
        security_context(context, &path.child("securityContext"), out);
    }
}

/// An init container that runs to its end has nobody who would ask whether it is well.
fn no_probes(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ] {
        if get(container, field).is_some() {
            let why = "may not be set for init containers without restartPolicy=Always";
            out.push(FieldError::forbidden(path.child(field), why));
        }
    }
}

fn ports(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (at, port) in items(container, "ports").iter().enumerate() {
        let here = path.child("ports").index(at);
        let name = text(port, "name");
        optional_text(out, port, &here, "name", names::port_name);
        if !name.is_empty() && !seen.insert(name) {
            out.push(FieldError::duplicate(here.child("name"), name));
        }
        match int(port, "containerPort").unwrap_or(0) {
            0 => out.push(FieldError::required(here.child("containerPort"), "")),
            number => {
                invalid(
                    out,
                    &here.child("containerPort"),
                    number,
                    names::port_number(number),
                );
            }
        }
        if int(port, "hostPort").unwrap_or(0) != 0 {
            in_range(out, port, &here, "hostPort", (1, 65535));
        }
        required_choice(out, port, &here, "protocol", &PROTOCOLS);
        optional_text(out, port, &here, "hostIP", ip);
    }
}

/// Two containers of a pod cannot have the same port of the host.
fn host_port_conflicts(
    container: &Value,
    path: &Path,
    seen: &mut HashSet<String>,
    out: &mut Vec<FieldError>,
) {
    for (at, port) in items(container, "ports").iter().enumerate() {
        let number = int(port, "hostPort").unwrap_or(0);
        if number == 0 {
            continue;
        }
        let identity = format!(
            "{}/{}/{number}",
            text(port, "protocol"),
            text(port, "hostIP")
        );
        if seen.contains(&identity) {
            let here = path.child("ports").index(at).child("hostPort");
            out.push(FieldError::duplicate(here, identity.as_str()));
        }
        seen.insert(identity);
    }
}

fn mounts(container: &Value, path: &Path, volumes: &Volumes<'_>, out: &mut Vec<FieldError>) {
    let mut targets = HashSet::new();
    for (at, mount) in items(container, "volumeMounts").iter().enumerate() {
        let here = path.child("volumeMounts").index(at);
        let name = text(mount, "name");
        if name.is_empty() {
            out.push(FieldError::required(here.child("name"), ""));
        } else if !volumes.contains(name) {
            out.push(FieldError::not_found(here.child("name"), name));
        }
        let target = text(mount, "mountPath");
        if target.is_empty() {
            out.push(FieldError::required(here.child("mountPath"), ""));
        } else if !targets.insert(target) {
            out.push(FieldError::invalid(
                here.child("mountPath"),
                target,
                "must be unique",
            ));
        }
        for field in ["subPath", "subPathExpr"] {
            optional_text(out, mount, &here, field, inner_path);
        }
        if !is_empty(mount, "subPath") && !is_empty(mount, "subPathExpr") {
            let why = "subPathExpr and subPath are mutually exclusive";
            let at = here.child("subPathExpr");
            out.push(FieldError::invalid(at, text(mount, "subPathExpr"), why));
        }
        let propagations = ["Bidirectional", "HostToContainer", "None"];
        optional_choice(out, mount, &here, "mountPropagation", &propagations);
    }
}

/// A path inside a volume that cannot lead out of it.
pub(super) fn inner_path(path: &str) -> Vec<String> {
    if path.starts_with('/') {
        vec!["must be a relative path".to_owned()]
    } else if path.split('/').any(|part| part == "..") {
        vec!["must not contain '..'".to_owned()]
    } else {
        Vec::new()
    }
}

fn security_context(context: &Value, path: &Path, out: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup"] {
        in_range(out, context, path, field, IDS);
    }
    let escalation = get(context, "allowPrivilegeEscalation").and_then(Value::as_bool);
    if escalation == Some(false) {
        let clash = if flag(context, "privileged") {
            Some("cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        } else if items(context, "capabilities.add")
            .iter()
            .any(|one| one == "CAP_SYS_ADMIN")
        {
            Some(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            )
        } else {
            None
        };
        out.extend(clash.map(|why| FieldError::invalid(path, context.clone(), why)));
    }
}
