//! Tables of what decides about requests.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{entries, get, items, text};

use super::format::strings;
use super::{AGE, Column, NAME, PLAIN, Printer, UNSET, age, column, integer, name, shown};

const PARAM_KIND: Column = column(
    "ParamKind",
    "Kind of the objects that parametrise the policy.",
);

const WEBHOOKS: Printer = Printer {
    columns: &[NAME, integer("Webhooks", "Number of webhooks."), AGE],
    cells: |value, now| {
        let webhooks = items(value, "webhooks").len();
        vec![name(value), json!(webhooks), age(value, now)]
    },
    ..PLAIN
};

const VALIDATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        integer("Validations", "Number of rules."),
        PARAM_KIND,
        AGE,
    ],
    cells: |value, now| policy(value, "spec.validations", now),
    ..PLAIN
};

const MUTATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        integer("Mutations", "Number of changes."),
        PARAM_KIND,
        AGE,
    ],
    cells: |value, now| policy(value, "spec.mutations", now),
    ..PLAIN
};

const POLICY_BINDING: Printer = Printer {
    columns: &[
        NAME,
        column("PolicyName", "Policy that is put to use."),
        column("ParamRef", "Objects that parametrise the policy."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            shown(value, "spec.policyName"),
            json!(parameters(value)),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) fn printer(kind: &str) -> &'static Printer {
    match kind {
        "ValidatingAdmissionPolicy" => &VALIDATING_POLICY,
        "MutatingAdmissionPolicy" => &MUTATING_POLICY,
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => &POLICY_BINDING,
        _ => &WEBHOOKS,
    }
}

fn policy(policy: &Value, rules: &str, now: Timestamp) -> Vec<Value> {
    let kind = get(policy, "spec.paramKind")
        .map(|kind| format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")));
    vec![
        name(policy),
        json!(items(policy, rules).len()),
        json!(kind.unwrap_or_else(|| UNSET.to_owned())),
        age(policy, now),
    ]
}

fn parameters(binding: &Value) -> String {
    let Some(reference) = get(binding, "spec.paramRef") else {
        return UNSET.to_owned();
    };
    match (text(reference, "name"), text(reference, "namespace")) {
        ("", _) => get(reference, "selector").map_or_else(|| UNSET.to_owned(), selector),
        // Whether the parameter lives in a namespace is not known here.
        (name, "") => format!("*/{name}"),
        (name, namespace) => format!("{namespace}/{name}"),
    }
}

/// A selector as upstream shows it in this one cell: as its Go type.
fn selector(selector: &Value) -> String {
    let mut labels: Vec<(&str, &Value)> = entries(selector, "matchLabels").collect();
    labels.sort_unstable_by_key(|(key, _)| *key);
    let labels: String = labels
        .into_iter()
        .map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or("")))
        .collect();
    let expressions: String = items(selector, "matchExpressions")
        .iter()
        .map(|expression| {
            format!(
                "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
                text(expression, "key"),
                text(expression, "operator"),
                strings(expression, "values").join(" "),
            )
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}
