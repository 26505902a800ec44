//! Validation against a schema, with the causes, paths and words of upstream's validator.
//!
//! Two rules of upstream's are kept although they look odd, because messages follow from them: of
//! several alternatives the one with most successful checks is reported, and on update, errors about
//! what did not change are forgiven (ratcheting).

mod junctors;
mod lists;
mod number;
mod outcome;
mod resource;
mod scalar;
mod scale;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::definition::Custom;
use super::schema::{Additional, Checks, Kind, Node};
use super::{format, shape};
use crate::decode::{Reports, Trail};
use crate::schema::ListType;
use crate::status::{FieldError, MAX_KEY, shorten};
use outcome::{Findings, Outcome, Place};

/// Most nodes one validation visits. Alternatives are checked one after the other, so a schema can ask
/// for far more work than its size and that of the value suggest.
const MAX_STEPS: usize = 2_000_000;

/// What is wrong with a new object, its metadata aside.
pub(crate) fn create(custom: &Custom, value: &Value) -> Vec<FieldError> {
    let mut errors = whole(custom, value, None);
    if let Some(scale) = &custom.scale {
        errors.extend(scale::spec(scale, value));
        errors.extend(scale::status(scale, value));
    }
    errors.extend(resource::embedded(custom.schema(), value));
    errors.extend(lists::unique(custom.schema(), value));
    errors
}

/// What is wrong with turning `old` into `new`, metadata aside.
pub(crate) fn update(custom: &Custom, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = whole(custom, new, Some(old));
    if let Some(scale) = &custom.scale {
        errors.extend(scale::spec(scale, new));
        errors.extend(scale::status(scale, new));
    }
    errors.extend(resource::embedded(custom.schema(), new));
    errors.extend(newly_repeated(custom, new, old));
    errors
}

fn whole(custom: &Custom, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    // A status that is written elsewhere is not there yet in a new object.
    let but: &[&str] = if custom.status { &["status"] } else { &[] };
    defaulted("", custom.schema(), value, old, but)
}

/// What is wrong with a value whose defaults were to be filled in, but for those of the fields `but`.
fn defaulted(
    prefix: &str,
    node: &Node,
    value: &Value,
    old: Option<&Value>,
    but: &[&str],
) -> Vec<FieldError> {
    if !shape::is_filled(value, node, but) {
        let why = "the schema asks for too many defaults in this object";
        return vec![FieldError::invalid("<nil>", "", why)];
    }
    schema(prefix, node, value, old)
}

/// What is wrong with a write to the `status` subresource.
pub(crate) fn status_update(custom: &Custom, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let (Some(status), Some(node)) = (new.get("status"), custom.schema().property("status")) {
        errors.extend(defaulted("status", node, status, old.get("status"), &[]));
    }
    if let Some(scale) = &custom.scale {
        errors.extend(scale::status(scale, new));
    }
    errors.extend(newly_repeated(custom, new, old));
    errors
}

/// What is wrong with a default of a schema. `path` is where it stands in its definition.
pub(crate) fn default_errors(node: &Node, default: &Value, path: &str) -> Vec<FieldError> {
    let mut unknown = Vec::new();
    if shape::has_unknown(default, node) {
        let why = "must not have unknown fields";
        unknown.push(FieldError::invalid(path, default.clone(), why));
    }
    let mut shaped = default.clone();
    let outcome = shape::embedded(
        &mut shaped,
        node,
        &mut Trail::default(),
        &mut Reports::default(),
    );
    if let Err(error) = outcome {
        unknown.push(FieldError::invalid(path, default.clone(), error.message));
        return unknown;
    }
    let mut errors = resource::embedded(node, default);
    for error in &mut errors {
        error.field = format!("{path}.{}", error.field);
    }
    if errors.is_empty() {
        errors = schema(path, node, default, None);
    }
    unknown.extend(errors);
    unknown
}

/// Lists with items that are there twice, unless there were such before.
fn newly_repeated(custom: &Custom, new: &Value, old: &Value) -> Vec<FieldError> {
    match lists::unique(custom.schema(), old).is_empty() {
        true => lists::unique(custom.schema(), new),
        false => Vec::new(),
    }
}

/// What is wrong with a value. `prefix` is where the value is in its object.
pub(crate) fn schema(
    prefix: &str,
    node: &Node,
    value: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut walk = Walk {
        steps: 0,
        found: Findings::new(prefix),
    };
    walk.node(node, value, old);
    if walk.steps > MAX_STEPS {
        let why = "the schema asks for too many checks of this object";
        return vec![FieldError::invalid("<nil>", "", why)];
    }
    walk.found.into_errors()
}

/// Where validation is.
struct Walk<'p> {
    steps: usize,
    found: Findings<'p>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        // What did not change may stay as wrong as it was. How many of its checks hold, only alternatives ask.
        let counts = self.found.mute;
        if self.steps > MAX_STEPS || !counts && self.is_old(value, old) {
            return Outcome::default();
        }
        let mut outcome = self.checks(node, value, old);
        if counts && outcome.wrong {
            outcome.wrong = !self.is_old(value, old);
        }
        outcome
    }

    /// Whether the value is what it was. To look is work, too.
    fn is_old(&mut self, value: &Value, old: Option<&Value>) -> bool {
        /// Comparisons are quick, and most end at once.
        const PER_STEP: usize = 16;
        let mut compared = 0;
        let same = old.is_some_and(|old| is_same(value, old, &mut compared));
        self.steps += compared / PER_STEP;
        same
    }

    fn checks(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        static NONE: LazyLock<Checks> = LazyLock::new(Checks::default);
        let mut outcome = Outcome::default();
        let checks = node.checks.as_deref().unwrap_or(&NONE);
        self.steps += steps(checks, value);
        if self.steps > MAX_STEPS || !self.found.mute && self.found.is_full() {
            return outcome;
        }
        let format = format::known(node, checks);
        if value.is_null() {
            outcome.merge(scalar::kind(&mut self.found, node, format, value));
            outcome.merge(self.choices(checks, value));
            return outcome;
        }
        if node.kind.is_some() || node.int_or_string || format.is_some() {
            outcome.merge(scalar::kind(&mut self.found, node, format, value));
            outcome.matches += 1;
        }
        outcome.merge(self.junctors(checks, value, old));
        outcome.matches += 1;
        match value {
            Value::String(text) => {
                outcome.merge(scalar::text(&mut self.found, checks, text));
                outcome.matches += 1;
                if let Some(format) = format.filter(|format| format::has_rule(format)) {
                    outcome.merge(scalar::format(&mut self.found, format, text));
                    outcome.matches += 1;
                }
            }
            Value::Number(number) => {
                outcome.merge(number::check(&mut self.found, node, checks, number));
                outcome.matches += 1;
            }
            Value::Array(items) => {
                outcome.merge(self.list(node, checks, items, old));
                outcome.matches += 1;
            }
            _ => {}
        }
        outcome.merge(self.choices(checks, value));
        outcome.matches += 1;
        if let Value::Object(fields) = value {
            outcome.merge(self.object(node, checks, fields, old));
            outcome.matches += 1;
        }
        outcome.matches += 1;
        outcome
    }

    fn choices(&mut self, checks: &Checks, value: &Value) -> Outcome {
        let same = |choice: &Value| match (choice, value) {
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            (Value::Null, _) => false,
            (a, b) => a == b,
        };
        if checks.choices.is_empty() || checks.choices.iter().any(same) {
            return Outcome::default();
        }
        let shown = |choice: &Value| match choice {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.found.wrong(|at| {
            let choices: Vec<String> = checks.choices.iter().map(shown).collect();
            let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
            FieldError::not_supported(at.field(), value, &choices)
        })
    }

    fn list(
        &mut self,
        node: &Node,
        checks: &Checks,
        items: &[Value],
        old: Option<&Value>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(schema) = node.items.as_deref() {
            let before = OldItems::of(node, old);
            for (at, item) in items.iter().enumerate() {
                let mark = self.found.enter_item(at);
                outcome.merge(self.node(schema, item, before.of_item(item)));
                self.found.leave(mark);
            }
        }
        let bounds = (checks.min_items, checks.max_items);
        outcome.merge(self.size(items.len(), bounds, "items"));
        outcome.matches += 1;
        outcome
    }

    fn object(
        &mut self,
        node: &Node,
        checks: &Checks,
        fields: &Map<String, Value>,
        old: Option<&Value>,
    ) -> Outcome {
        let bounds = (checks.min_properties, checks.max_properties);
        let mut outcome = self.size(fields.len(), bounds, "properties");
        for (name, value) in fields {
            match (node.property(name), node.additional.as_deref()) {
                (Some(schema), _) => outcome.merge(self.field(schema, (name, true), value, old)),
                (None, Some(Additional::Schema(schema))) => {
                    outcome.merge(self.field(schema, (name, false), value, old));
                }
                (None, Some(Additional::Allowed(false))) => {
                    outcome.merge(self.found.wrong(|at| {
                        let name = shorten(name, MAX_KEY);
                        let why = format!("{at}.{name} in body is a forbidden property");
                        FieldError::invalid(at.field(), &*name, why)
                    }));
                }
                _ => {}
            }
        }
        for name in &checks.required {
            if !fields.contains_key(&**name) {
                let missing = |at: Place<'_>| FieldError::required(at.below(name), "");
                outcome.merge(self.found.wrong(missing));
            }
        }
        outcome
    }

    fn size(&mut self, size: usize, (min, max): (Option<i64>, Option<i64>), what: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let count = i64::try_from(size).unwrap_or(i64::MAX);
        if let Some(min) = min.filter(|min| count < *min) {
            outcome.merge(self.found.wrong(|at| {
                let why = format!("{at} in body should have at least {min} {what}");
                FieldError::invalid(at.field(), count, why)
            }));
        }
        if let Some(max) = max.filter(|max| count > *max) {
            let max = usize::try_from(max).unwrap_or(0);
            let many = |at: Place<'_>| FieldError::too_many(at.field(), size, max);
            outcome.merge(self.found.wrong(many));
        }
        outcome
    }

    /// A field by its name, and whether that is one of a property.
    fn field(
        &mut self,
        schema: &Node,
        (name, property): (&str, bool),
        value: &Value,
        old: Option<&Value>,
    ) -> Outcome {
        let at_root = self.found.is_at_root();
        let old = old
            .and_then(|old| old.as_object()?.get(name))
            .filter(|_| !(at_root && matches!(name, "kind" | "apiVersion")));
        let mark = self.found.enter_field(name, property);
        let outcome = self.node(schema, value, old);
        self.found.leave(mark);
        outcome
    }
}

/// What one check of a value counts, whatever is below it: long lists and texts are not looked at in one step.
fn steps(checks: &Checks, value: &Value) -> usize {
    /// Names and choices are compared one by one.
    const PER_NAME: usize = 16;
    const PER_BYTE: usize = 1024;
    let names = checks.required.len() + checks.choices.len();
    let own = match value {
        Value::String(text) => text.len() / PER_BYTE,
        Value::Object(fields) => {
            fields.len() / PER_NAME + fields.keys().map(|key| key.len() / PER_BYTE).sum::<usize>()
        }
        _ => 0,
    };
    1 + names / PER_NAME + own
}

/// Whether two values are equal, and how much of them was compared to tell.
fn is_same(a: &Value, b: &Value, compared: &mut usize) -> bool {
    const PER_BYTE: usize = 64;
    *compared += 1;
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| is_same(a, b, compared))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| {
                    *compared += name.len() / PER_BYTE;
                    b.get(name).is_some_and(|b| is_same(a, b, compared))
                })
        }
        (Value::String(a), Value::String(b)) => {
            *compared += a.len() / PER_BYTE;
            a == b
        }
        _ => a == b,
    }
}

/// What was at the place of a list's items before: known only for lists whose items have keys.
struct OldItems<'o> {
    keys: &'o [Box<str>],
    items: HashMap<String, &'o Value>,
}

impl<'o> OldItems<'o> {
    fn of(node: &'o Node, old: Option<&'o Value>) -> OldItems<'o> {
        let keys = &*node.list_map_keys;
        let items = match old {
            Some(Value::Array(items)) if node.list_type == Some(ListType::Map) => items
                .iter()
                .map(|item| (Self::key(keys, item), item))
                .collect(),
            _ => HashMap::new(),
        };
        OldItems { keys, items }
    }

    fn of_item(&self, item: &Value) -> Option<&'o Value> {
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&Self::key(self.keys, item)).copied()
    }

    fn key(keys: &[Box<str>], item: &Value) -> String {
        let values = keys.iter().map(|key| item.get(&**key));
        values.map(|value| format!("{value:?},")).collect()
    }
}

/// The kind of a value in upstream's words.
fn kind_of(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_f64() => Kind::Number,
        Value::Number(_) => Kind::Integer,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    })
}

#[cfg(test)]
mod tests;
