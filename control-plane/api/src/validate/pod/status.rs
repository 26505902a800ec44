//! What a node agent may say about its pod.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::FieldError;

use super::super::IMMUTABLE;
use super::super::address::ip;
use super::super::path::{Path, invalid, optional_text};

pub(in super::super) fn status_update(new: &Value, old: &Value, out: &mut Vec<FieldError>) {
    if text(new, "spec.nodeName") != text(old, "spec.nodeName") {
        out.push(FieldError::forbidden(
            "status.nodeName",
            "may not be changed directly",
        ));
    }
    let path = Path::new("status");
    let status = get(new, "status").unwrap_or(&Value::Null);
    optional_text(
        out,
        status,
        &path,
        "nominatedNodeName",
        names::dns1123_subdomain,
    );
    // A container that ran to its end for good does not run again.
    let policy = text(old, "spec.restartPolicy");
    for list in ["containerStatuses", "initContainerStatuses"] {
        transitions(new, old, list, policy, out);
    }
    for field in ["podIPs", "hostIPs"] {
        for (at, address) in items(status, field).iter().enumerate() {
            let address = text(address, "ip");
            invalid(out, &path.child(field).index(at), address, ip(address));
        }
    }
    let (now, before) = (text(new, "status.qosClass"), text(old, "status.qosClass"));
    if !is_empty(old, "status.qosClass") && now != before {
        out.push(FieldError::invalid("status.qosClass", now, IMMUTABLE));
    }
}

fn transitions(new: &Value, old: &Value, list: &str, policy: &str, out: &mut Vec<FieldError>) {
    if policy == "Always" {
        return;
    }
    let at = format!("status.{list}");
    let path = Path::new(&at);
    for before in items(old, &at) {
        let Some(ended) = get(before, "state.terminated") else {
            continue;
        };
        // What failed may be restarted under OnFailure.
        if policy == "OnFailure" && int(ended, "exitCode").unwrap_or(0) != 0 {
            continue;
        }
        if restartable(new, text(before, "name")) {
            continue;
        }
        let same = |(_, now): &(usize, &Value)| text(now, "name") == text(before, "name");
        if let Some((index, now)) = items(new, &at).iter().enumerate().find(same)
            && get(now, "state.terminated").is_none()
        {
            let why = "may not be transitioned to non-terminated state";
            out.push(FieldError::forbidden(path.index(index).child("state"), why));
        }
    }
}

/// A container with a restart policy of its own: a sidecar, or one that overrides the pod's.
fn restartable(pod: &Value, name: &str) -> bool {
    let lists = ["spec.containers", "spec.initContainers"];
    let mut all = lists.into_iter().flat_map(|list| items(pod, list));
    all.any(|one| text(one, "name") == name && !is_empty(one, "restartPolicy"))
}
