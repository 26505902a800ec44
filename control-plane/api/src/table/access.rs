//! Tables of who may do what, and of requests for certificates.

use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{int, items, text};
use crate::time;

use super::{AGE, NAME, NONE, PLAIN, Printer, age, column, name, or, shown, wide};

/// Of a namespace or of the cluster.
pub(super) const BINDING: Printer = Printer {
    columns: &[
        NAME,
        column("Role", "Role that is given."),
        AGE,
        wide("Users", "Users it is given to."),
        wide("Groups", "Groups it is given to."),
        wide("ServiceAccounts", "Service accounts it is given to."),
    ],
    cells: binding,
    ..PLAIN
};

pub(super) const SIGNING_REQUEST: Printer = Printer {
    columns: &[
        NAME,
        AGE,
        column("SignerName", "Who is asked to sign."),
        column("Requestor", "Who asks."),
        column("RequestedDuration", "How long the certificate should last."),
        column("Condition", "What became of the request."),
    ],
    cells: signing_request,
    ..PLAIN
};

fn binding(value: &Value, now: Timestamp) -> Vec<Value> {
    let (kind, role) = (text(value, "roleRef.kind"), text(value, "roleRef.name"));
    let subjects = |kind: &str| {
        let of_kind = items(value, "subjects")
            .iter()
            .filter(|subject| text(subject, "kind") == kind);
        let named = of_kind.map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
            _ => text(subject, "name").to_owned(),
        });
        json!(named.collect::<Vec<_>>().join(", "))
    };
    vec![
        name(value),
        json!(format!("{kind}/{role}")),
        age(value, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

fn signing_request(request: &Value, now: Timestamp) -> Vec<Value> {
    let duration = int(request, "spec.expirationSeconds").map_or_else(
        || NONE.to_owned(),
        |seconds| time::human(SignedDuration::from_secs(seconds)),
    );
    vec![
        name(request),
        age(request, now),
        or(text(request, "spec.signerName"), NONE),
        shown(request, "spec.username"),
        json!(duration),
        json!(verdict(request)),
    ]
}

fn verdict(request: &Value) -> String {
    let has = |kind: &str| {
        let mut conditions = items(request, "status.conditions").iter();
        conditions.any(|one| text(one, "type") == kind)
    };
    let mut verdict = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        verdict.push_str(",Failed");
    }
    if !text(request, "status.certificate").is_empty() {
        verdict.push_str(",Issued");
    }
    verdict
}
