//! FlowSchemas and PriorityLevelConfigurations: which requests wait for which.

mod rule;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::names;
use crate::object::{self, entry, get, int, is_empty, items, part, remove, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::path::{Path, in_range, invalid};
use super::semantic::normal;
use super::volume_source::at_least;

const MAX_PRECEDENCE: i64 = 10_000;
const MAX_QUEUES: i64 = 10_000_000;
/// Bits of a hash that choose the queues a flow may use.
const MAX_HASH_BITS: i64 = 60;
const ZERO_SHARES: &str = "flowcontrol.k8s.io/preserve-zero-concurrency-shares";
const NOT_NEGATIVE: &str = "must be a non-negative integer";

pub(super) fn schema(resource: &Resource, value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let name = object::name(value);
    let (at, precedence) = (
        path.child("matchingPrecedence"),
        int(spec, "matchingPrecedence").unwrap_or(0),
    );
    if precedence <= 0 {
        out.push(|| FieldError::invalid(&at, precedence, "must be a positive value"));
    }
    if precedence > MAX_PRECEDENCE {
        let why = format!("must not be greater than {MAX_PRECEDENCE}");
        out.push(|| FieldError::invalid(&at, precedence, why));
    }
    if precedence == 1 && name != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        out.push(|| FieldError::invalid(&at, precedence, why));
    }
    if let Some(method) = get(spec, "distinguisherMethod") {
        let kinds = ["ByNamespace", "ByUser"];
        if !kinds.contains(&text(method, "type")) {
            let at = path.child("distinguisherMethod").child("type");
            out.push(|| FieldError::not_supported(at, method, &kinds));
        }
    }
    let at = path.child("priorityLevelConfiguration").child("name");
    match text(spec, "priorityLevelConfiguration.name") {
        "" => out.push(|| FieldError::required(at, "must reference a priority level")),
        level => invalid(out, &at, level, names::dns1123_subdomain(level)),
    }
    for (at, one) in items(spec, "rules").iter().enumerate() {
        rule::check(one, &path.child("rules").index(at), out);
    }
    fixed(resource, value, fixed_schema(name), "", out);
    conditions(value, out);
}

/// Schemas without which the server could lock its administrators, or itself, out.
fn fixed_schema(name: &str) -> Option<Value> {
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
        "clusterScope": true, "namespaces": ["*"]}]);
    let rules = |groups: &[&str]| {
        let subject = |group| json!({"kind": "Group", "group": {"name": group}});
        let subjects: Vec<Value> = groups.iter().map(subject).collect();
        json!([{"subjects": subjects, "resourceRules": everything,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}])
    };
    match name {
        "exempt" => Some(json!({"priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 1, "rules": rules(&["system:masters"])})),
        "catch-all" => Some(json!({"priorityLevelConfiguration": {"name": "catch-all"},
            "matchingPrecedence": 10_000, "distinguisherMethod": {"type": "ByUser"},
            "rules": rules(&["system:unauthenticated", "system:authenticated"])})),
        _ => None,
    }
}

fn fixed(resource: &Resource, value: &Value, wanted: Option<Value>, but: &str, out: &mut Errors) {
    let Some(mut wanted) = wanted.map(|spec| json!({"spec": spec})) else {
        return;
    };
    let mut found = json!({"spec": part(value, "spec")});
    if !but.is_empty() {
        remove(&mut wanted, &format!("spec.{but}"));
        remove(&mut found, &format!("spec.{but}"));
    }
    if normal(&found, resource.type_name) != normal(&wanted, resource.type_name) {
        let but = match but {
            "" => String::new(),
            field => format!(" except the 'spec.{field}' field"),
        };
        let why = format!(
            "spec of '{}'{but} must equal the fixed value",
            object::name(value)
        );
        let shown = part(value, "spec");
        out.push(|| FieldError::invalid("spec", shown, why));
    }
}

pub(super) fn level(resource: &Resource, value: &Value, out: &mut Errors) {
    if entry(value, "metadata.annotations", ZERO_SHARES).is_some() {
        let why = format!("annotation '{ZERO_SHARES}' is forbidden");
        out.push(|| FieldError::forbidden("metadata.annotations", why));
    }
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let (name, kind) = (object::name(value), text(spec, "type"));
    if (name == "exempt") != (kind == "Exempt") {
        let why = "must be 'Exempt' if and only if `name` is 'exempt'";
        out.push(|| FieldError::invalid(path.child("type"), kind, why));
    }
    let (exempt, limited) = (get(spec, "exempt"), get(spec, "limited"));
    match kind {
        "Exempt" => {
            if limited.is_some() {
                let why = "must be nil if the type is not Limited";
                out.push(|| FieldError::forbidden(path.child("limited"), why));
            }
            if let Some(exempt) = exempt {
                shares(exempt, &path.child("exempt"), out);
            }
        }
        "Limited" => {
            if exempt.is_some() {
                let why = "must be nil if the type is Limited";
                out.push(|| FieldError::forbidden(path.child("exempt"), why));
            }
            let here = path.child("limited");
            match limited {
                Some(limited) => limits(limited, &here, out),
                None => {
                    let why = "must not be empty when type is Limited";
                    out.push(|| FieldError::required(here, why));
                }
            }
        }
        "" => out.push(|| FieldError::required(path.child("type"), "")),
        other => {
            let at = path.child("type");
            out.push(|| FieldError::not_supported(at, other, &["Exempt", "Limited"]));
        }
    }
    match name {
        "exempt" => {
            let wanted = Some(json!({"type": "Exempt"}));
            fixed(resource, value, wanted, "exempt", out);
        }
        "catch-all" => {
            let limited = json!({"nominalConcurrencyShares": 5, "lendablePercent": 0,
                "limitResponse": {"type": "Reject"}});
            let wanted = Some(json!({"type": "Limited", "limited": limited}));
            fixed(resource, value, wanted, "", out);
        }
        _ => {}
    }
    conditions(value, out);
}

fn shares(value: &Value, path: &Path, out: &mut Errors) {
    at_least(
        out,
        value,
        path,
        ("nominalConcurrencyShares", 0),
        NOT_NEGATIVE,
    );
    in_range(out, value, path, "lendablePercent", (0, 100));
}

fn limits(limited: &Value, path: &Path, out: &mut Errors) {
    shares(limited, path, out);
    let why = format!("if specified, {NOT_NEGATIVE}");
    at_least(out, limited, path, ("borrowingLimitPercent", 0), &why);
    let (here, response) = (path.child("limitResponse"), part(limited, "limitResponse"));
    let at = here.child("queuing");
    match (text(response, "type"), get(response, "queuing")) {
        ("Reject", None) => {}
        ("Reject", Some(_)) => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            out.push(|| FieldError::forbidden(at, why));
        }
        ("Queue", None) => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            out.push(|| FieldError::required(at, why));
        }
        ("Queue", Some(queuing)) => queues(queuing, &at, out),
        ("", _) => out.push(|| FieldError::required(here.child("type"), "")),
        (other, _) => {
            let at = here.child("type");
            out.push(|| FieldError::not_supported(at, other, &["Queue", "Reject"]));
        }
    }
}

fn queues(queuing: &Value, path: &Path, out: &mut Errors) {
    let number = |field: &str| int(queuing, field).unwrap_or(0);
    for field in ["queueLengthLimit", "queues", "handSize"] {
        if number(field) <= 0 {
            let why = "must be positive";
            out.push(|| FieldError::invalid(path.child(field), number(field), why));
        }
    }
    let (queues, hand) = (number("queues"), number("handSize"));
    if queues > MAX_QUEUES {
        let why = format!("must not be greater than {MAX_QUEUES}");
        out.push(|| FieldError::invalid(path.child("queues"), queues, why));
    }
    if hand <= 0 {
        return;
    }
    let bits = (queues.max(1) as f64).log2() * hand as f64;
    let why = if hand > queues {
        format!("should not be greater than queues ({queues})")
    } else if bits.ceil() > MAX_HASH_BITS as f64 {
        format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater \
             than {MAX_HASH_BITS}"
        )
    } else {
        return;
    };
    out.push(|| FieldError::invalid(path.child("handSize"), hand, why));
}

/// `status.conditions` of either kind.
pub(super) fn conditions(value: &Value, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, condition) in items(value, "status.conditions").iter().enumerate() {
        let at = Path::new("status.conditions").index(at).child("type");
        let kind = text(condition, "type");
        if !seen.insert(kind) {
            out.push(|| FieldError::duplicate(&at, kind));
        }
        if is_empty(condition, "type") {
            out.push(|| FieldError::required(at, ""));
        }
    }
}
