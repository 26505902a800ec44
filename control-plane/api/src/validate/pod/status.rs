//! What a node agent may say about its pod.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{by_name, get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::IMMUTABLE;
use super::super::address::ip;
use super::super::path::{Path, invalid, optional_text};
use super::annotations;

/// Conditions that the system itself sets.
const OF_SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

pub(in super::super) fn status_update(new: &Value, old: &Value, out: &mut Errors) {
    annotations::changes(new, old, out);
    let path = Path::new("status");
    let status = part(new, "status");
    conditions(status, &path.child("conditions"), out);
    if text(new, "spec.nodeName") != text(old, "spec.nodeName") {
        let why = "may not be changed directly";
        out.push(|| FieldError::forbidden(path.child("nodeName"), why));
    }
    nominated(new, old, &path, out);
    observed(status, &path, out);
    let (now, before) = (text(new, "status.qosClass"), text(old, "status.qosClass"));
    if !is_empty(old, "status.qosClass") && now != before {
        let here = path.child("qosClass");
        out.push(|| FieldError::invalid(here, now, IMMUTABLE));
    }
    for (statuses, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
        ("ephemeralContainerStatuses", "ephemeralContainers"),
    ] {
        transitions(new, old, statuses, containers, out);
    }
    claims(new, &path.child("resourceClaimStatuses"), out);
    addresses(status, part(old, "status"), "podIPs", &path, out);
    let first = items(status, "hostIPs").first();
    if let Some(first) = first.map(|first| text(first, "ip"))
        && first != text(status, "hostIP")
    {
        let here = path.child("hostIPs").index(0).child("ip");
        out.push(|| FieldError::invalid(here, first, "must be equal to `hostIP`"));
    }
    addresses(status, part(old, "status"), "hostIPs", &path, out);
}

fn conditions(status: &Value, path: &Path, out: &mut Errors) {
    for (at, condition) in items(status, "conditions").iter().enumerate() {
        let here = path.index(at);
        observed(condition, &here, out);
        let kind = text(condition, "type");
        if !OF_SYSTEM.contains(&kind) {
            invalid(out, &here.child("Type"), kind, names::qualified_name(kind));
        }
    }
}

fn observed(value: &Value, path: &Path, out: &mut Errors) {
    if let Some(seen) = int(value, "observedGeneration").filter(|seen| *seen < 0) {
        let why = "must be a non-negative integer";
        let here = path.child("observedGeneration");
        out.push(|| FieldError::invalid(here, seen, why));
    }
}

/// The node on which room is made for a pod; one that has a node needs none.
fn nominated(new: &Value, old: &Value, path: &Path, out: &mut Errors) {
    let field = "nominatedNodeName";
    let now = text(new, "status.nominatedNodeName");
    if now.is_empty() || now == text(old, "status.nominatedNodeName") {
        return;
    }
    let rule = names::dns1123_subdomain;
    optional_text(out, part(new, "status"), path, field, rule);
    if !is_empty(old, "spec.nodeName") {
        let why = "may not be set on pods that are already bound to a node";
        out.push(|| FieldError::forbidden(path.child(field), why));
    }
}

/// A container that ran to its end for good does not run again.
fn transitions(new: &Value, old: &Value, statuses: &str, list: &str, out: &mut Errors) {
    let lists = ["spec.initContainers", "spec.containers"];
    let mut rules = lists
        .iter()
        .flat_map(|list| items(old, list))
        .flat_map(|container| items(container, "restartPolicyRules"));
    let all = rules.any(|rule| text(rule, "action") == "RestartAllContainers");
    let ephemeral = list == "ephemeralContainers";
    if all && !ephemeral {
        return;
    }
    let at = format!("status.{statuses}");
    let containers = by_name(old, &format!("spec.{list}"));
    let current = by_name(new, &at);
    for (index, before) in items(old, &at).iter().enumerate() {
        let Some(ended) = get(before, "state.terminated") else {
            continue;
        };
        let name = text(before, "name");
        let now = current.get(name);
        if now.is_none_or(|now| get(now, "state.terminated").is_some()) {
            continue;
        }
        let container = containers.get(name);
        let code = int(ended, "exitCode").unwrap_or(0);
        let pod = text(old, "spec.restartPolicy");
        if ephemeral || !container.is_some_and(|one| restarts(one, pod, code)) {
            let why = "may not be transitioned to non-terminated state";
            let here = Path::new(&at).index(index).child("state");
            out.push(|| FieldError::forbidden(here, why));
        }
    }
}

/// Whether a container that ended with `code` is started again.
fn restarts(container: &Value, of_pod: &str, code: i64) -> bool {
    let matches = |rule: &Value| {
        let codes = items(rule, "exitCodes.values");
        let listed = codes.iter().any(|one| one.as_i64() == Some(code));
        match text(rule, "exitCodes.operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    };
    let own = text(container, "restartPolicy");
    let mut rules = items(container, "restartPolicyRules").iter();
    if !own.is_empty() && rules.any(matches) {
        return true;
    }
    match if own.is_empty() { of_pod } else { own } {
        "OnFailure" => code != 0,
        "Never" => false,
        _ => true,
    }
}

fn claims(pod: &Value, path: &Path, out: &mut Errors) {
    let claims = items(pod, "spec.resourceClaims").iter();
    let known: HashSet<&str> = claims.map(|claim| text(claim, "name")).collect();
    let mut seen = HashSet::new();
    let statuses = items(pod, "status.resourceClaimStatuses");
    for (at, status) in statuses.iter().enumerate() {
        let here = path.index(at);
        let (name, at_name) = (text(status, "name"), here.child("name"));
        if !known.contains(name) {
            let why = "must match the name of an entry in `spec.resourceClaims`";
            out.push(|| FieldError::invalid(&at_name, name, why));
        }
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(at_name, name));
        }
        let rule = names::dns1123_subdomain;
        optional_text(out, status, &here, "resourceClaimName", rule);
    }
}

/// Addresses, one of each family; those that were there before are not news.
fn addresses(status: &Value, old: &Value, field: &str, path: &Path, out: &mut Errors) {
    let path = path.child(field);
    let of = |status: &Value| -> Vec<String> {
        let all = items(status, field).iter();
        all.map(|one| text(one, "ip").to_owned()).collect()
    };
    let (now, before) = (of(status), of(old));
    for (at, address) in now.iter().enumerate() {
        if !before.contains(address) {
            invalid(out, &path.index(at), address.as_str(), ip(address));
        }
    }
    let wide = |address: &&String| address.contains(':');
    let both = now.len() == 2 && now.iter().filter(wide).count() == 1;
    if now.len() > 1 && !both {
        let why = "may specify no more than one IP for each IP family";
        let shown = part(status, field);
        out.push(|| FieldError::invalid(path, shown, why));
    }
}
