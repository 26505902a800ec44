//! Label selectors.

mod parser;

use std::fmt;

use serde_json::{Map, Value, json};

use crate::names;
use crate::object;
use crate::status::{Errors, FieldError};

use super::MAX_SELECTOR_BYTES;

/// How a requirement relates a label to its values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// The label has one of the values (`=`, `==`, `in`).
    In,
    /// The label is absent or has none of the values (`!=`, `notin`).
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label is an integer above the value.
    Greater,
    /// The label is an integer below the value.
    Less,
}

/// One condition of a selector.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// The relation.
    pub operator: Operator,
    /// Sorted, without duplicates.
    pub values: Vec<String>,
}

/// Conditions on labels that all must hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// The selector that matches every object.
    pub fn everything() -> LabelSelector {
        LabelSelector::default()
    }

    /// The selector that matches no object: what an absent `LabelSelector` means.
    pub fn nothing() -> LabelSelector {
        LabelSelector {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Parses the string form: `app=web,tier in (a,b),!legacy`.
    pub fn parse(text: &str) -> Result<LabelSelector, String> {
        if text.len() > MAX_SELECTOR_BYTES {
            return Err(format!(
                "selector is longer than {MAX_SELECTOR_BYTES} bytes"
            ));
        }
        let mut requirements = parser::parse(text)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector {
            requirements,
            nothing: false,
        })
    }

    /// Reads a `LabelSelector` object (`matchLabels`, `matchExpressions`). Null selects nothing, an
    /// empty object everything.
    pub fn from_match(selector: &Value) -> Result<LabelSelector, String> {
        if selector.is_null() {
            return Ok(LabelSelector::nothing());
        }
        let mut requirements = Vec::new();
        for (key, value) in object::entries(selector, "matchLabels") {
            let values = vec![value.as_str().unwrap_or("").to_owned()];
            requirements.push(requirement(key.to_owned(), Operator::In, values)?);
        }
        for expression in object::items(selector, "matchExpressions") {
            let operator = match object::text(expression, "operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            let values = object::items(expression, "values").iter();
            let values = values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let key = object::text(expression, "key").to_owned();
            requirements.push(requirement(key, operator, values)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector {
            requirements,
            nothing: false,
        })
    }

    /// The selector of exactly these labels (`spec.selector` of a Service).
    pub fn from_set(labels: &Map<String, Value>) -> LabelSelector {
        let requirements = labels.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.as_str().unwrap_or("").to_owned()],
        });
        LabelSelector {
            requirements: requirements.collect(),
            nothing: false,
        }
    }

    /// What meets both.
    pub fn and(mut self, other: &LabelSelector) -> LabelSelector {
        self.requirements.extend_from_slice(&other.requirements);
        self.requirements.sort_by(|a, b| a.key.cmp(&b.key));
        self.nothing |= other.nothing;
        self
    }

    /// Whether it matches no object whatever its labels, as an absent `LabelSelector` does.
    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// Whether it matches every object.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Its conditions, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether labels, looked up by key, meet every condition.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self
                .requirements
                .iter()
                .all(|one| one.matches(lookup(&one.key)))
    }

    /// Whether a map of labels meets every condition.
    pub fn matches_labels(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.matches(|key| {
            labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str)
        })
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| {
            let order = |one: &String| one.as_str().cmp(value);
            self.values.binary_search_by(order).is_ok()
        };
        let number = |text: &str| text.parse::<i64>().ok();
        let limit = || self.values.first().and_then(|text| number(text));
        match (self.operator, value) {
            (Operator::In, value) => value.is_some_and(listed),
            (Operator::NotIn, value) => !value.is_some_and(listed),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::Greater, value) => value
                .and_then(number)
                .zip(limit())
                .is_some_and(|(a, b)| a > b),
            (Operator::Less, value) => value
                .and_then(number)
                .zip(limit())
                .is_some_and(|(a, b)| a < b),
        }
    }
}

/// The string form, which parses back to the same selector.
impl fmt::Display for LabelSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.requirements.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let (key, values) = (&one.key, one.values.join(","));
            match (one.operator, one.values.len()) {
                (Operator::In, 1) => write!(out, "{comma}{key}={values}")?,
                (Operator::NotIn, 1) => write!(out, "{comma}{key}!={values}")?,
                (Operator::In, _) => write!(out, "{comma}{key} in ({values})")?,
                (Operator::NotIn, _) => write!(out, "{comma}{key} notin ({values})")?,
                (Operator::Exists, _) => write!(out, "{comma}{key}")?,
                (Operator::DoesNotExist, _) => write!(out, "{comma}!{key}")?,
                (Operator::Greater, _) => write!(out, "{comma}{key}>{values}")?,
                (Operator::Less, _) => write!(out, "{comma}{key}<{values}")?,
            }
        }
        Ok(())
    }
}

/// Checks key and values and makes the requirement.
fn requirement(
    key: String,
    operator: Operator,
    mut values: Vec<String>,
) -> Result<Requirement, String> {
    let mut errors = Errors::new();
    let wrong = names::qualified_name(&key);
    if !wrong.is_empty() {
        errors.push(|| FieldError::invalid("key", key.as_str(), wrong.join("; ")));
    }
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            let why = "for 'in', 'notin' operators, values set can't be empty";
            errors.push(|| FieldError::invalid("values", json!([]), why));
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            let why = "values set must be empty for exists and does not exist";
            errors.push(|| FieldError::invalid("values", &values[..], why));
        }
        Operator::Greater | Operator::Less => {
            for (at, value) in values.iter().enumerate() {
                if value.parse::<i64>().is_err() {
                    let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                    let field = format!("values[{at}]");
                    errors.push(|| FieldError::invalid(field, value.as_str(), why));
                }
            }
        }
        _ => {}
    }
    values.sort();
    values.dedup();
    for (at, value) in values.iter().enumerate() {
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            let field = format!("values[{at}][{key}]");
            errors.push(|| FieldError::invalid(field, value.as_str(), wrong.join("; ")));
        }
    }
    match &errors.into_list()[..] {
        [] => Ok(Requirement {
            key,
            operator,
            values,
        }),
        [only] => Err(only.to_string()),
        many => {
            let texts: Vec<String> = many.iter().map(FieldError::to_string).collect();
            Err(format!("[{}]", texts.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests;
