//! Cells that several kinds write the same way.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::{self, entries, get, items, text};

use super::NONE;

/// `a=1,b=2`; nothing for no labels.
pub(super) fn labels(value: &Value, path: &str) -> String {
    let sorted: BTreeMap<&str, &str> = entries(value, path)
        .map(|(key, value)| (key, value.as_str().unwrap_or("")))
        .collect();
    let pairs = sorted.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// A `LabelSelector` in the words of a query: `a=1,b in (2,3),!c`. `None` when it is no selector.
pub(super) fn selector(value: &Value, path: &str) -> Option<String> {
    let Some(selector) = get(value, path) else {
        return Some(String::new());
    };
    let mut parts: Vec<(&str, String)> = entries(selector, "matchLabels")
        .map(|(key, value)| (key, format!("{key}={}", value.as_str().unwrap_or(""))))
        .collect();
    for expression in items(selector, "matchExpressions") {
        let key = text(expression, "key");
        let mut values = strings(expression, "values");
        values.sort_unstable();
        let values = values.join(",");
        let part = match text(expression, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        };
        parts.push((key, part));
    }
    parts.sort_by_key(|(key, _)| *key);
    let parts: Vec<String> = parts.into_iter().map(|(_, part)| part).collect();
    Some(parts.join(","))
}

/// A selector's cell.
pub(super) fn selector_cell(value: &Value, path: &str) -> Value {
    match selector(value, path) {
        None => "<error>".into(),
        Some(words) => super::or(&words, NONE),
    }
}

/// Names and images of the containers at `path`.
pub(super) fn containers(value: &Value, path: &str) -> [Value; 2] {
    let all = |field: &str| {
        let each = items(value, path).iter().map(|one| text(one, field));
        Value::from(each.collect::<Vec<_>>().join(","))
    };
    [all("name"), all("image")]
}

/// The strings of the list at `path`.
pub(super) fn strings<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    items(value, path)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// The first three, and how many more there are; `empty` for none.
pub(super) fn first(all: &[String], empty: &str) -> String {
    const SHOWN: usize = 3;
    match all {
        [] => empty.to_owned(),
        all if all.len() <= SHOWN => all.join(","),
        all => {
            let shown = all[..SHOWN].join(",");
            format!("{shown} + {} more...", all.len() - SHOWN)
        }
    }
}

/// Addresses of load balancers, sorted, each once.
pub(super) fn balancers(value: &Value) -> String {
    let ingresses = items(value, "status.loadBalancer.ingress").iter();
    let mut addresses: Vec<&str> = ingresses
        .map(|ingress| match text(ingress, "ip") {
            "" => text(ingress, "hostname"),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}

/// The name, marked when an annotation makes the object the default one of its kind.
pub(super) fn default_name(value: &Value, annotations: &[&str]) -> Value {
    let name = object::name(value);
    let marked = annotations
        .iter()
        .any(|key| object::annotation(value, key) == Some("true"));
    if marked {
        format!("{name} (default)").into()
    } else {
        name.into()
    }
}

/// An amount; nothing is shown as zero, which it means.
pub(super) fn amount(quantity: Option<&Value>) -> String {
    match quantity {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "0".to_owned(),
    }
}

/// An integer or a text, as it is.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `True`, `False`, or that nobody said.
pub(super) fn truth(value: Option<&Value>) -> &'static str {
    match value.and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => super::UNSET,
    }
}
