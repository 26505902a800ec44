//! Whether what a client applies is an object of its type.
//!
//! Other bodies are decoded, which drops what the type does not have. An applied configuration is
//! taken at its word: what is in it is owned afterwards, so it may hold nothing that is not kept.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::PathElement;
use super::place::{Form, List, Merge, MissingKeys, Object, Place, Scalar};
use super::set::shown;

/// How many errors are told; more help nobody.
const MAX_ERRORS: usize = 100;

/// Every way in which the value is no object of its type, in upstream's words.
pub(super) fn check<'a>(value: &'a Value, place: Place<'a>) -> Result<(), String> {
    let mut walk = Walk {
        path: Vec::new(),
        errors: Vec::new(),
    };
    walk.value(value, place);
    match walk.errors.as_slice() {
        [] => Ok(()),
        [error] => Err(error.clone()),
        errors => Err(format!("errors:\n  {}", errors.join("\n  "))),
    }
}

struct Walk<'a> {
    path: Vec<PathElement<'a>>,
    errors: Vec<String>,
}

impl<'a> Walk<'a> {
    fn error(&mut self, why: String) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let path = shown(&self.path);
        self.errors.push(if path.is_empty() {
            why
        } else {
            format!("{path}: {why}")
        });
    }

    fn value(&mut self, value: &'a Value, place: Place<'a>) {
        if value.is_null() {
            return;
        }
        match (place.form(Some(value)), value) {
            (Form::Scalar(scalar), _) => self.scalar(scalar, value),
            (Form::List(list), Value::Array(items)) => self.items(items, list),
            (Form::List(_), _) => self.error(format!("expected list, got &{{{}}}", go(value))),
            (Form::Object(object), Value::Object(map)) => self.entries(map, object),
            (Form::Object(_), _) => self.error(format!("expected map, got &{{{}}}", go(value))),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) {
        let why = match (scalar, value) {
            (Scalar::Text, Value::String(_))
            | (Scalar::Number, Value::Number(_))
            | (Scalar::Bool, Value::Bool(_))
            | (Scalar::Any, Value::String(_) | Value::Number(_) | Value::Bool(_)) => return,
            (Scalar::Text, _) => format!(
                "expected string, got &value.valueUnstructured{{Value:{}}}",
                go(value)
            ),
            (Scalar::Number, _) => {
                format!("expected numeric (int or float), got {}", go_type(value))
            }
            (Scalar::Bool, _) => format!("expected boolean, got &{{{}}}", go(value)),
            (Scalar::Any, _) => format!("expected any scalar, got &{{{}}}", go(value)),
        };
        self.error(why);
    }

    fn entries(&mut self, map: &'a Map<String, Value>, object: Object<'a>) {
        for (name, value) in map {
            self.path.push(PathElement::Field(name));
            match object.place(name) {
                Some(place) => self.value(value, place),
                None => self.error("field not declared in schema".to_owned()),
            }
            self.path.pop();
        }
    }

    fn items(&mut self, items: &'a [Value], list: List<'a>) {
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = match list.merge {
                Merge::Atomic => PathElement::Index(i64::try_from(at).unwrap_or(i64::MAX)),
                Merge::Set | Merge::Keyed(_) => match list.element(item, MissingKeys::Missing) {
                    Ok(element) => element,
                    // Nothing below it can be named.
                    Err(why) => return self.error(format!("element {at}: {why}")),
                },
            };
            if !seen.insert(element.clone()) {
                self.error(format!("duplicate entries for key {element}"));
            }
            self.path.push(element);
            self.value(item, list.item);
            self.path.pop();
        }
    }
}

/// A value as Go prints it.
fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", go(value)))
                .collect();
            entries.sort_unstable();
            format!("map[{}]", entries.join(" "))
        }
        scalar => scalar.to_string(),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
