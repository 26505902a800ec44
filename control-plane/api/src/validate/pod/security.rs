//! Security contexts of pods and of their containers.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, in_range, invalid, optional_choice};
use super::mounts::inner_path;
use super::{Context, IDS, containers};

const MAX_SYSCTL: usize = 253;
/// Longest path there is.
const MAX_PROFILE: usize = 4095;
const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Settings of the kernel that each namespace of processes has for itself.
const OF_IPC: [&str; 4] = ["kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue."];

pub(super) fn of_pod(spec: &Value, path: &Path, out: &mut Errors) {
    let context = part(spec, "securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        in_range(out, context, path, field, IDS);
    }
    for (at, group) in items(context, "supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or(-1);
        let here = path.child("supplementalGroups").index(at);
        invalid(out, &here, group, names::in_range(group, IDS.0, IDS.1));
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        let here = path.child("shareProcessNamespace");
        out.push(|| FieldError::invalid(here, true, why));
    }
    sysctls(spec, &path.child("sysctls"), out);
    let policies = ["Always", "OnRootMismatch"];
    optional_choice(out, context, path, "fsGroupChangePolicy", &policies);
    profiles(context, path, out);
    let policies = ["Merge", "Strict"];
    optional_choice(out, context, path, "supplementalGroupsPolicy", &policies);
    let policies = ["MountOption", "Recursive"];
    optional_choice(out, context, path, "seLinuxChangePolicy", &policies);
}

pub(super) fn of_container(container: &Value, path: &Path, host_users: bool, out: &mut Errors) {
    let Some(context) = get(container, "securityContext") else {
        return;
    };
    for field in ["runAsUser", "runAsGroup"] {
        in_range(out, context, path, field, IDS);
    }
    optional_choice(out, context, path, "procMount", &["Default", "Unmasked"]);
    if host_users && text(context, "procMount") == "Unmasked" {
        let why = "`hostUsers` must be false to use `Unmasked`";
        let here = path.child("procMount");
        out.push(|| FieldError::invalid(here, "Unmasked", why));
    }
    if let Some(profile) = get(context, "seccompProfile") {
        seccomp(profile, &path.child("seccompProfile"), out);
    }
    let escalation = get(context, "allowPrivilegeEscalation").and_then(Value::as_bool);
    if escalation == Some(false) {
        let mut clash = |why| out.push(|| FieldError::invalid(path, context, why));
        if flag(context, "privileged") {
            clash("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        let added = items(context, "capabilities.add");
        if added.iter().any(|one| one == "CAP_SYS_ADMIN") {
            clash(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` \
                 CAP_SYS_ADMIN",
            );
        }
    }
    if let Some(profile) = get(context, "appArmorProfile") {
        app_armor(profile, &path.child("appArmorProfile"), out);
    }
}

/// A pod whose users are its own shares no other namespace with the host.
pub(super) fn own_users(context: &Context<'_>, path: &Path, out: &mut Errors) {
    if context.host_users() {
        return;
    }
    const WHY: &str = "when `hostUsers` is false";
    for (field, shown) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if flag(context.spec, field) {
            out.push(|| FieldError::forbidden(path.child(shown), WHY));
        }
    }
    for (container, here) in containers(context.spec, path) {
        if !is_empty(container, "volumeDevices") {
            out.push(|| FieldError::forbidden(here.child("volumeDevices"), WHY));
        }
    }
}

fn sysctls(spec: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    let all = items(spec, "securityContext.sysctls");
    for (at, sysctl) in all.iter().enumerate() {
        let (here, name) = (path.index(at).child("name"), text(sysctl, "name"));
        if name.is_empty() {
            out.push(|| FieldError::required(&here, ""));
        } else if !is_sysctl(name) {
            let why = format!(
                "must have at most {MAX_SYSCTL} characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            );
            out.push(|| FieldError::invalid(&here, name, why));
        } else if !seen.insert(name) {
            out.push(|| FieldError::duplicate(&here, name));
        }
        let dotted = name.replace('/', ".");
        let of_ipc = || OF_IPC.iter().any(|prefix| dotted.starts_with(prefix));
        let why = if flag(spec, "hostNetwork") && dotted.starts_with("net.") {
            "may not be specified when 'hostNetwork' is true"
        } else if flag(spec, "hostIPC") && of_ipc() {
            "may not be specified when 'hostIPC' is true"
        } else {
            continue;
        };
        out.push(|| FieldError::invalid(here, name, why));
    }
}

fn is_sysctl(name: &str) -> bool {
    let segment = |segment: &str| {
        let (bytes, plain) = (segment.as_bytes(), |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit()
        });
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || b"-_".contains(byte))
    };
    name.len() <= MAX_SYSCTL && name.split(['.', '/']).all(segment)
}

fn profiles(context: &Value, path: &Path, out: &mut Errors) {
    if let Some(profile) = get(context, "seccompProfile") {
        seccomp(profile, &path.child("seccompProfile"), out);
    }
    if let Some(profile) = get(context, "appArmorProfile") {
        app_armor(profile, &path.child("appArmorProfile"), out);
    }
}

fn seccomp(profile: &Value, path: &Path, out: &mut Errors) {
    match text(profile, "type") {
        "" => {
            let why = "type is required when seccompProfile is set";
            out.push(|| FieldError::required(path.child("type"), why));
        }
        _ => optional_choice(out, profile, path, "type", &PROFILE_TYPES),
    }
    let here = path.child("localhostProfile");
    let local = get(profile, "localhostProfile").and_then(Value::as_str);
    match (text(profile, "type"), local) {
        ("Localhost", None) => {
            let why = "must be set when seccomp type is Localhost";
            out.push(|| FieldError::required(here, why));
        }
        ("Localhost", Some(local)) => invalid(out, &here, local, inner_path(local)),
        (_, Some(_)) => {
            let why = "can only be set when seccomp type is Localhost";
            out.push(|| FieldError::invalid(here, profile, why));
        }
        (_, None) => {}
    }
}

fn app_armor(profile: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("localhostProfile");
    let local = get(profile, "localhostProfile").and_then(Value::as_str);
    match (text(profile, "type"), local) {
        ("Localhost", local) => {
            let name = local.unwrap_or("");
            if name.trim() != name {
                let why = "must not be padded with whitespace";
                out.push(|| FieldError::invalid(&here, name, why));
            } else if name.is_empty() {
                let why = "must be set when AppArmor type is Localhost";
                out.push(|| FieldError::required(&here, why));
            }
            if name.len() > MAX_PROFILE {
                out.push(|| FieldError::too_long(here, MAX_PROFILE));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(local)) => {
            let why = "can only be set when AppArmor type is Localhost";
            out.push(|| FieldError::invalid(here, local, why));
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            let why = "type is required when appArmorProfile is set";
            out.push(|| FieldError::required(path.child("type"), why));
        }
        _ => optional_choice(out, profile, path, "type", &PROFILE_TYPES),
    }
}
