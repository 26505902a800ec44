//! One step of the way into an object, as `managedFields` and conflicts name it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::status::quote;

/// A step from an object, map or list to something in it. The order is that in which sets are
/// written.
#[derive(Clone, Debug)]
pub(super) enum PathElement<'a> {
    /// A field of an object or an entry of a map.
    Field(&'a str),
    /// The item of a list that has these keys; sorted by name.
    Key(Box<[KeyField<'a>]>),
    /// The item of a set.
    Value(Cow<'a, Value>),
    /// The item at that place.
    Index(i64),
}

/// One key of a list's item.
pub(super) type KeyField<'a> = (Cow<'a, str>, Cow<'a, Value>);

impl PathElement<'_> {
    fn rank(&self) -> u8 {
        match self {
            PathElement::Field(_) => 0,
            PathElement::Key(_) => 1,
            PathElement::Value(_) => 2,
            PathElement::Index(_) => 3,
        }
    }
}

impl Ord for PathElement<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (PathElement::Field(a), PathElement::Field(b)) => a.cmp(b),
            (PathElement::Key(a), PathElement::Key(b)) => keys(a, b),
            (PathElement::Value(a), PathElement::Value(b)) => order(a, b),
            (PathElement::Index(a), PathElement::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement<'_> {}

fn keys(a: &[KeyField<'_>], b: &[KeyField<'_>]) -> Ordering {
    let pairs = a.iter().zip(b);
    let differing = pairs
        .map(|((a_name, a), (b_name, b))| a_name.cmp(b_name).then_with(|| order(a, b)))
        .find(|ordering| ordering.is_ne());
    differing.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Whether two values are the same to a client: numbers count, not how they are written.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    identical(a, b) || order(a, b).is_eq()
}

/// Whether two values are written alike, keys in the same order. That takes no look-ups, which
/// makes it far cheaper than seeing whether they are equal, and is what most of an object is
/// between two versions.
pub(super) fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((a_key, a), (b_key, b))| a_key == b_key && identical(a, b))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| identical(a, b))
        }
        (a, b) => a == b,
    }
}

/// A total order of values: numbers, strings, booleans, lists, maps, null.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| order(a, b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => maps(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    let whole = |number: &Number| number.as_i128();
    let float = |number: &Number| number.as_f64().unwrap_or_default();
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => beside(a, float(b)),
        (None, Some(b)) => beside(b, float(a)).reverse(),
        // JSON has no number that is none.
        (None, None) => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

/// An integer beside a float, exactly: rounded, neighbours would be equal to one float and not to each other.
fn beside(whole: i128, float: f64) -> Ordering {
    // Where a float is beyond what fits, the conversion stops at the end of the range.
    let fraction = 0.0_f64.partial_cmp(&float.fract());
    whole
        .cmp(&(float.trunc() as i128))
        .then(fraction.unwrap_or(Ordering::Equal))
}

fn maps(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let sorted = |map: &Map<String, Value>| {
        let mut keys: Vec<String> = map.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let (a_keys, b_keys) = (sorted(a), sorted(b));
    let differing = a_keys
        .iter()
        .zip(&b_keys)
        .map(|(a_key, b_key)| {
            a_key
                .cmp(b_key)
                .then_with(|| order(&a[a_key.as_str()], &b[b_key.as_str()]))
        })
        .find(|ordering| ordering.is_ne());
    differing.unwrap_or_else(|| a_keys.len().cmp(&b_keys.len()))
}

/// As in messages: `.spec`, `[name="c"]`, `[="x"]`, `[0]`.
impl fmt::Display for PathElement<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathElement::Field(name) => write!(out, ".{name}"),
            PathElement::Key(keys) => {
                out.write_str("[")?;
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(out, "{comma}{name}={}", shown(value))?;
                }
                out.write_str("]")
            }
            PathElement::Value(value) => write!(out, "[={}]", shown(value)),
            PathElement::Index(at) => write!(out, "[{at}]"),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(fields: &[(&'static str, Value)]) -> PathElement<'static> {
        let fields = fields
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), Cow::Owned(value.clone())));
        PathElement::Key(fields.collect())
    }

    #[test]
    fn steps_are_ordered_by_kind_and_then_by_what_they_say() {
        let sorted = [
            PathElement::Field("a"),
            PathElement::Field("b"),
            key(&[("port", json!(80))]),
            key(&[("port", json!(80)), ("protocol", json!("TCP"))]),
            key(&[("port", json!(443))]),
            PathElement::Value(Cow::Owned(json!(1))),
            PathElement::Value(Cow::Owned(json!("a"))),
            PathElement::Value(Cow::Owned(json!(true))),
            PathElement::Value(Cow::Owned(json!([1]))),
            PathElement::Value(Cow::Owned(json!({"a": 1}))),
            PathElement::Value(Cow::Owned(json!(null))),
            PathElement::Index(2),
            PathElement::Index(10),
        ];
        assert!(
            sorted.is_sorted_by(|a, b| a < b),
            "each is less than the next"
        );
    }

    #[test]
    fn values_are_equal_when_they_mean_the_same() {
        assert!(equal(&json!(1), &json!(1.0)));
        assert!(equal(
            &json!({"a": [1, {"b": null}]}),
            &json!({"a": [1.0, {"b": null}]})
        ));
        assert!(!equal(&json!(1), &json!("1")));
        assert!(!equal(&json!({"a": 1}), &json!({"a": 1, "b": 1})));
        assert!(!equal(&json!({"a": 1}), &json!({"b": 1})));
    }

    #[test]
    fn words() {
        let check = |element: PathElement<'_>, words: &str| assert_eq!(element.to_string(), words);
        check(PathElement::Field("spec"), ".spec");
        check(
            key(&[("port", json!(80)), ("protocol", json!("TCP"))]),
            r#"[port=80,protocol="TCP"]"#,
        );
        check(PathElement::Value(Cow::Owned(json!("x"))), r#"[="x"]"#);
        check(PathElement::Index(3), "[3]");
    }
}
