//! Validation against a schema, with the causes, paths and words of upstream's validator.
//!
//! Two rules of upstream's are kept although they look odd, because messages follow from them: of
//! several alternatives the one with most successful checks is reported, and on update, errors about
//! what did not change are forgiven (ratcheting).

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
use crate::status::FieldError;
use outcome::{Outcome, Problem};

/// Most nodes one validation visits. Alternatives are checked one after the other, so a schema can ask
/// for far more work than its size and that of the value suggest.
const MAX_STEPS: usize = 2_000_000;

/// What is wrong with a new object, its metadata aside.
pub(crate) fn create(custom: &Custom, value: &Value) -> Vec<FieldError> {
    let mut errors = schema("", custom.schema(), value, None);
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
    let mut errors = schema("", custom.schema(), new, Some(old));
    if let Some(scale) = &custom.scale {
        errors.extend(scale::spec(scale, new));
        errors.extend(scale::status(scale, new));
    }
    errors.extend(resource::embedded(custom.schema(), new));
    errors.extend(newly_repeated(custom, new, old));
    errors
}

/// What is wrong with a write to the `status` subresource.
pub(crate) fn status_update(custom: &Custom, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let (Some(status), Some(node)) = (new.get("status"), custom.schema().property("status")) {
        errors.extend(schema("status", node, status, old.get("status")));
    }
    if let Some(scale) = &custom.scale {
        errors.extend(scale::status(scale, new));
    }
    errors.extend(newly_repeated(custom, new, old));
    errors
}

/// What is wrong with a default of a schema. `path` is where it stands in its definition.
pub(crate) fn default_errors(node: &Node, default: &Value, path: &str) -> Vec<FieldError> {
    if shape::has_unknown(default, node) {
        let why = "must not have unknown fields";
        return vec![FieldError::invalid(path, default.clone(), why)];
    }
    let mut shaped = default.clone();
    let outcome = shape::embedded(
        &mut shaped,
        node,
        &mut Trail::default(),
        &mut Reports::default(),
    );
    if let Err(error) = outcome {
        return vec![FieldError::invalid(path, default.clone(), error.message)];
    }
    let mut errors = resource::embedded(node, default);
    for error in &mut errors {
        error.field = format!("{path}.{}", error.field);
    }
    if errors.is_empty() {
        errors = schema(path, node, default, None);
    }
    errors
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
        path: String::new(),
    };
    let outcome = walk.node(node, value, old);
    if walk.steps > MAX_STEPS {
        let why = "the schema asks for too many checks of this object";
        return vec![FieldError::invalid("<nil>", "", why)];
    }
    outcome
        .problems
        .into_iter()
        .map(|problem| problem.field_error(prefix))
        .collect()
}

/// Where validation is.
struct Walk {
    steps: usize,
    /// As upstream spells it: `spec.ports[0].name`, `.spec` below an empty root.
    path: String,
}

impl Walk {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        let mut outcome = self.checks(node, value, old);
        // What did not change may stay as wrong as it was.
        if !outcome.is_valid() && old == Some(value) {
            outcome.problems.clear();
        }
        outcome
    }

    fn checks(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        static NONE: LazyLock<Checks> = LazyLock::new(Checks::default);
        let mut outcome = Outcome::default();
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return outcome;
        }
        let checks = node.checks.as_deref().unwrap_or(&NONE);
        let format = format::known(node, checks);
        if value.is_null() {
            outcome.merge(scalar::kind(&self.path, node, format, value));
            outcome.merge(self.choices(checks, value));
            return outcome;
        }
        if node.kind.is_some() || node.int_or_string || format.is_some() {
            outcome.merge(scalar::kind(&self.path, node, format, value));
            outcome.matches += 1;
        }
        outcome.merge(self.junctors(checks, value, old));
        outcome.matches += 1;
        match value {
            Value::String(text) => {
                outcome.merge(scalar::text(&self.path, checks, text));
                outcome.matches += 1;
                if let Some(format) = format.filter(|format| format::has_rule(format)) {
                    outcome.merge(scalar::format(&self.path, format, text));
                    outcome.matches += 1;
                }
            }
            Value::Number(number) => {
                outcome.merge(number::check(&self.path, node, checks, number));
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

    fn choices(&self, checks: &Checks, value: &Value) -> Outcome {
        let same = |choice: &Value| match (choice, value) {
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            (Value::Null, _) => false,
            (a, b) => a == b,
        };
        if checks.choices.is_empty() || checks.choices.iter().any(same) {
            return Outcome::default();
        }
        Outcome::of(Problem::Choice {
            path: self.path.clone(),
            value: value.clone(),
            choices: checks.choices.clone(),
        })
    }

    /// anyOf, oneOf, allOf and not.
    fn junctors(&mut self, checks: &Checks, value: &Value, old: Option<&Value>) -> Outcome {
        let mut outcome = Outcome::default();
        if !checks.any_of.is_empty() {
            outcome.merge(self.any_of(&checks.any_of, value, old));
        }
        if !checks.one_of.is_empty() {
            outcome.merge(self.one_of(&checks.one_of, value, old));
        }
        if !checks.all_of.is_empty() {
            outcome.merge(self.all_of(&checks.all_of, value, old));
        }
        if let Some(node) = &checks.not
            && self.checks(node, value, old).is_valid()
        {
            let path = quoted(&self.path);
            outcome.add(Problem::Junctor(format!(
                "{path} must not validate the schema (not)"
            )));
        }
        outcome.matches += 1;
        outcome
    }

    fn any_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut best: Option<Outcome> = None;
        for node in nodes {
            let tried = self.checks(node, value, old);
            if tried.is_valid() {
                return tried;
            }
            if best
                .as_ref()
                .is_none_or(|best| tried.matches > best.matches)
            {
                best = Some(tried);
            }
        }
        let path = quoted(&self.path);
        let mut outcome = Outcome::of(Problem::Junctor(format!(
            "{path} must validate at least one schema (anyOf)"
        )));
        outcome.merge(best.unwrap_or_default());
        outcome
    }

    fn one_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut best: Option<Outcome> = None;
        let mut first: Option<Outcome> = None;
        let mut valid = 0;
        for node in nodes {
            let tried = self.checks(node, value, old);
            if tried.is_valid() {
                valid += 1;
                best = None;
                first.get_or_insert(tried);
            } else if valid == 0
                && best
                    .as_ref()
                    .is_none_or(|best| tried.matches > best.matches)
            {
                best = Some(tried);
            }
        }
        if valid == 1 {
            return first.unwrap_or_default();
        }
        let found = match valid {
            0 => "Found none valid".to_owned(),
            _ => format!("Found {valid} valid alternatives"),
        };
        let path = quoted(&self.path);
        let mut outcome = Outcome::of(Problem::Junctor(format!(
            "{path} must validate one and only one schema (oneOf). {found}"
        )));
        outcome.merge(best.unwrap_or_default());
        outcome
    }

    fn all_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut valid = 0;
        for node in nodes {
            let tried = self.checks(node, value, old);
            valid += usize::from(tried.is_valid());
            outcome.merge(tried);
        }
        if valid < nodes.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            let path = quoted(&self.path);
            outcome.add(Problem::Junctor(format!(
                "{path} must validate all the schemas (allOf){none}"
            )));
        }
        outcome
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
                let length = self.path.len();
                self.path.push_str(&format!("[{at}]"));
                outcome.merge(self.node(schema, item, before.of_item(item)));
                self.path.truncate(length);
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = checks.min_items.filter(|min| size < *min) {
            let why = format!("{} in body should have at least {min} items", self.path);
            outcome.add(Problem::invalid(&self.path, size, why));
        }
        if let Some(max) = checks.max_items.filter(|max| size > *max) {
            outcome.add(Problem::too_many(&self.path, size, max));
        }
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
        let mut outcome = Outcome::default();
        let size = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        if let Some(min) = checks.min_properties.filter(|min| size < *min) {
            let why = format!(
                "{} in body should have at least {min} properties",
                self.path
            );
            outcome.add(Problem::invalid(&self.path, size, why));
        }
        if let Some(max) = checks.max_properties.filter(|max| size > *max) {
            outcome.add(Problem::too_many(&self.path, size, max));
        }
        for (name, value) in fields {
            let property = node.property(name);
            match (property, node.additional.as_deref()) {
                (Some(schema), _) => outcome.merge(self.field(schema, name, value, old, false)),
                (None, Some(Additional::Schema(schema))) => {
                    outcome.merge(self.field(schema, name, value, old, true));
                }
                (None, Some(Additional::Allowed(false))) => {
                    let why = format!("{}.{name} in body is a forbidden property", self.path);
                    outcome.add(Problem::invalid(&self.path, name.as_str(), why));
                }
                _ => {}
            }
        }
        for name in &checks.required {
            if !fields.contains_key(&**name) {
                outcome.add(Problem::Required {
                    path: format!("{}.{name}", self.path),
                });
            }
        }
        outcome
    }

    fn field(
        &mut self,
        schema: &Node,
        name: &str,
        value: &Value,
        old: Option<&Value>,
        additional: bool,
    ) -> Outcome {
        let is_root = self.path.is_empty();
        let old = old
            .and_then(|old| old.as_object()?.get(name))
            .filter(|_| !(is_root && matches!(name, "kind" | "apiVersion")));
        let length = self.path.len();
        // Upstream puts a dot in front of a key at the root, but none in front of a property.
        if !is_root || additional {
            self.path.push('.');
        }
        self.path.push_str(name);
        let outcome = self.node(schema, value, old);
        self.path.truncate(length);
        outcome
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

fn quoted(path: &str) -> String {
    crate::status::quote(path)
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
