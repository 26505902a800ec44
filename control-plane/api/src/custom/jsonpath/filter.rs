//! Conditions on the items of a list: `@.type=="Ready"`, `@.count > 3`, `@.name`.

use std::cmp::Ordering;

use serde_json::Value;

use super::{JsonPath, parse};

/// Longest operators first, so that `<=` is not read as `<`.
const OPERATORS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

#[derive(Debug)]
pub(super) enum Filter {
    /// The path leads somewhere.
    Exists(JsonPath),
    Compare {
        left: Operand,
        operator: &'static str,
        right: Operand,
    },
}

#[derive(Debug)]
pub(super) enum Operand {
    Path(JsonPath),
    Literal(Value),
}

/// A condition without its parentheses.
pub(super) fn parse(text: &str, depth: usize) -> Option<Filter> {
    for operator in OPERATORS {
        let parts = split(text, operator);
        match parts.as_slice() {
            [left, right] => {
                return Some(Filter::Compare {
                    left: operand(left, depth)?,
                    operator,
                    right: operand(right, depth)?,
                });
            }
            [_] => {}
            _ => return None,
        }
    }
    match operand(text, depth)? {
        Operand::Path(path) => Some(Filter::Exists(path)),
        Operand::Literal(_) => None,
    }
}

fn operand(text: &str, depth: usize) -> Option<Operand> {
    let text = text.trim();
    if let Some(text) = unquoted(text) {
        return Some(Operand::Literal(text.into()));
    }
    if text.starts_with(['@', '$', '.']) {
        return parse::nested(text, depth).map(|steps| Operand::Path(JsonPath(steps)));
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => Some(Operand::Literal(value)),
        _ => None,
    }
}

/// Parts of a text at a separator that is in no quotes, brackets or parentheses.
pub(super) fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote, mut skip) = (0, 0_i32, None, 0);
    for (at, character) in text.char_indices() {
        if at < skip {
            continue;
        }
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(separator) => {
                parts.push(&text[start..at]);
                start = at + separator.len();
                skip = start;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The text in quotes, of either kind.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text[1..].strip_suffix(quote)?;
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ if character == quote => return None,
            _ => plain.push(character),
        }
    }
    Some(plain)
}

impl Filter {
    pub(super) fn holds(&self, item: &Value) -> bool {
        match self {
            Filter::Exists(path) => path.first(item).is_some(),
            Filter::Compare {
                left,
                operator,
                right,
            } => {
                let (Some(left), Some(right)) = (left.value(item), right.value(item)) else {
                    return false;
                };
                match compare(left, right) {
                    Some(ordering) => match *operator {
                        "==" => ordering.is_eq(),
                        "!=" => ordering.is_ne(),
                        "<" => ordering.is_lt(),
                        "<=" => ordering.is_le(),
                        ">" => ordering.is_gt(),
                        _ => ordering.is_ge(),
                    },
                    None => *operator == "!=",
                }
            }
        }
    }
}

impl Operand {
    fn value<'v>(&'v self, item: &'v Value) -> Option<&'v Value> {
        match self {
            Operand::Path(path) => path.first(item),
            Operand::Literal(value) => Some(value),
        }
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (left, right) if left == right => Some(Ordering::Equal),
        _ => None,
    }
}
