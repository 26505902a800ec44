//! Paths of fields as errors show them (`spec.containers[0].ports[1].name`), and the checks that
//! come up for fields of every kind.

use std::iter;
use std::rc::Rc;

use serde_json::Value;

use crate::names;
use crate::object::{self, get, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError, MAX_KEY, MAX_PATH, Shown, shorten};

/// The path of a field: its last step, and the path before that. Rules make a path for each item they look at, and only
/// a few are ever shown, so one costs its own step and no copy of what is before it.
#[derive(Clone)]
pub(super) struct Path(Rc<Step>);

struct Step {
    before: Option<Path>,
    /// With what separates it from the step before.
    text: String,
}

impl Path {
    pub(super) fn new(field: &str) -> Path {
        Path::of(None, shorten(field, MAX_KEY).into_owned())
    }

    /// A field of the object at this path; the root's path is empty.
    pub(super) fn child(&self, field: &str) -> Path {
        let root = self.0.before.is_none() && self.0.text.is_empty();
        if root {
            return Path::new(field);
        }
        self.then(format!(".{}", shorten(field, MAX_KEY)))
    }

    pub(super) fn index(&self, at: usize) -> Path {
        self.then(format!("[{at}]"))
    }

    pub(super) fn key(&self, key: &str) -> Path {
        self.then(format!("[{}]", shorten(key, MAX_KEY)))
    }

    fn then(&self, text: String) -> Path {
        Path::of(Some(self.clone()), text)
    }

    fn of(before: Option<Path>, text: String) -> Path {
        Path(Rc::new(Step { before, text }))
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        String::from(&path)
    }
}

impl From<&Path> for String {
    fn from(path: &Path) -> String {
        let way = iter::successors(Some(path), |path| path.0.before.as_ref());
        let mut steps: Vec<&str> = way.map(|path| path.0.text.as_str()).collect();
        steps.reverse();
        let mut text = String::new();
        for step in steps {
            if text.len() > MAX_PATH {
                break;
            }
            text.push_str(step);
        }
        text
    }
}

/// A rule of [`names`].
pub(super) type Rule = fn(&str) -> Vec<String>;

/// One `Invalid` per message.
pub(super) fn invalid(
    out: &mut Errors,
    path: &Path,
    value: impl Into<Shown>,
    messages: Vec<String>,
) {
    if messages.is_empty() {
        return;
    }
    let value = value.into();
    for message in messages {
        out.push(|| FieldError::invalid(path, value.clone(), message));
    }
}

/// The string at `field` must be there and follow the rule.
pub(super) fn required_text(out: &mut Errors, value: &Value, path: &Path, field: &str, rule: Rule) {
    match text(value, field) {
        "" => out.push(|| FieldError::required(path.child(field), "")),
        found => invalid(out, &path.child(field), found, rule(found)),
    }
}

/// The string at `field`, when there is one, must follow the rule.
pub(super) fn optional_text(out: &mut Errors, value: &Value, path: &Path, field: &str, rule: Rule) {
    let found = text(value, field);
    if !found.is_empty() {
        invalid(out, &path.child(field), found, rule(found));
    }
}

/// The string at `field`, when it is set, must follow the rule: see [`optional_choice`].
pub(super) fn text_if_set(out: &mut Errors, value: &Value, path: &Path, field: &str, rule: Rule) {
    if let Some(found) = get(value, field).and_then(Value::as_str) {
        invalid(out, &path.child(field), found, rule(found));
    }
}

/// The string at `field` must be one of `supported`.
pub(super) fn required_choice(
    out: &mut Errors,
    value: &Value,
    path: &Path,
    field: &str,
    supported: &[&str],
) {
    if text(value, field).is_empty() {
        out.push(|| FieldError::required(path.child(field), ""));
    } else {
        choice(out, value, path, field, supported);
    }
}

/// The string at `field`, when it is set, must be one of `supported`. Of upstream's fields that are pointers: the empty
/// string is something else than nothing.
pub(super) fn optional_choice(
    out: &mut Errors,
    value: &Value,
    path: &Path,
    field: &str,
    supported: &[&str],
) {
    if get(value, field).is_some() {
        choice(out, value, path, field, supported);
    }
}

/// The string at `field`, when it is not empty, must be one of `supported`.
pub(super) fn choice_or_empty(
    out: &mut Errors,
    value: &Value,
    path: &Path,
    field: &str,
    supported: &[&str],
) {
    if !text(value, field).is_empty() {
        choice(out, value, path, field, supported);
    }
}

fn choice(out: &mut Errors, value: &Value, path: &Path, field: &str, supported: &[&str]) {
    let found = text(value, field);
    if !supported.contains(&found) {
        out.push(|| FieldError::not_supported(path.child(field), found, supported));
    }
}

/// The number at `field`, when there is one, must not be negative.
pub(super) fn not_negative(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    if let Some(number) = object::int(value, field).filter(|number| *number < 0) {
        let why = "must be greater than or equal to 0";
        out.push(|| FieldError::invalid(path.child(field), number, why));
    }
}

/// The number at `field`, when there is one, must be in the closed range.
pub(super) fn in_range(
    out: &mut Errors,
    value: &Value,
    path: &Path,
    field: &str,
    (low, high): (i64, i64),
) {
    if let Some(number) = object::int(value, field) {
        invalid(
            out,
            &path.child(field),
            number,
            names::in_range(number, low, high),
        );
    }
}

/// Any text: for [`required_text`] where being there is all.
pub(super) fn anything(_: &str) -> Vec<String> {
    Vec::new()
}

/// Labels, and what has their grammar: node selectors, selectors of services.
pub(super) fn labels(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    let path = path.child(field);
    for (key, value) in object::entries(value, field) {
        invalid(out, &path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or("");
        invalid(out, &path, value, names::label_value(value));
    }
}

/// A map of resource names to amounts that are not negative.
pub(super) fn amounts(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    let path = path.child(field);
    for (name, amount) in object::entries(value, field) {
        let at = path.key(name);
        invalid(out, &at, name, names::qualified_name(name));
        quantity(out, amount, &at);
    }
}

/// An amount that is not negative; `None` when it is none at all.
pub(super) fn quantity(out: &mut Errors, value: &Value, path: &Path) -> Option<Quantity> {
    match Quantity::from_value(value) {
        Ok(amount) if amount.is_negative() => {
            let why = "must be greater than or equal to 0";
            out.push(|| FieldError::invalid(path, amount.to_string(), why));
            Some(amount)
        }
        Ok(amount) => Some(amount),
        Err(error) => {
            out.push(|| FieldError::invalid(path, value.clone(), error.to_string()));
            None
        }
    }
}

/// A port: a number in range, or the name of one.
pub(super) fn port(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    let at = path.child(field);
    match get(value, field) {
        Some(Value::String(name)) => invalid(out, &at, name.as_str(), names::port_name(name)),
        other => {
            let number = other.and_then(Value::as_i64).unwrap_or(0);
            invalid(out, &at, number, names::port_number(number));
        }
    }
}
