//! Values and texts of the client's as errors show them: whole when they have an ordinary size, else
//! their beginning. One body can hold a text of a megabyte and a hundred reasons to show it.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Most bytes of a value or a text in an error.
pub(crate) const MAX_SHOWN: usize = 16 << 10;
/// Most bytes of a key in a path. Keys are the client's, and every error below one repeats it.
pub(crate) const MAX_KEY: usize = 1 << 10;
/// Most bytes of a path, but for its last step: where so many keys are within each other, the first
/// say where it is.
pub(crate) const MAX_PATH: usize = 4 << 10;
/// What an item, a field or a number counts besides its text: about what it takes in memory or as
/// JSON.
const NODE: usize = 16;
/// Where something was left out.
const ELLIPSIS: &str = "…";

/// A value as an error shows it. It takes what it shows and no more: where a value is large, hand in
/// a reference.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown(Value);

impl Shown {
    pub(super) fn into_value(self) -> Value {
        self.0
    }
}

/// The text, or as much of its beginning as has `most` bytes.
pub(crate) fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most);
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

/// The same of a text that is owned.
pub(super) fn shortened(text: String) -> String {
    match shorten(&text, MAX_SHOWN) {
        Cow::Borrowed(_) => text,
        Cow::Owned(short) => short,
    }
}

/// A copy of the value, of as much as `left` bytes suffice for.
fn copy(value: &Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(NODE);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => copy_text(text, left).into(),
        Value::Array(items) => copy_list(items, copy, left),
        Value::Object(fields) => {
            let mut copied = Map::new();
            for (name, value) in fields {
                if *left == 0 {
                    copied.insert(ELLIPSIS.into(), ELLIPSIS.into());
                    break;
                }
                let name = copy_text(name, left);
                copied.insert(name, copy(value, left));
            }
            Value::Object(copied)
        }
    }
}

fn copy_list<T>(items: &[T], copy: fn(&T, &mut usize) -> Value, left: &mut usize) -> Value {
    let mut copied = Vec::new();
    for item in items {
        if *left == 0 {
            copied.push(ELLIPSIS.into());
            break;
        }
        copied.push(copy(item, left));
    }
    Value::Array(copied)
}

fn copy_text(text: &str, left: &mut usize) -> String {
    let short = shorten(text, *left);
    *left = left.saturating_sub(text.len());
    short.into_owned()
}

impl From<&Value> for Shown {
    fn from(value: &Value) -> Shown {
        Shown(copy(value, &mut { MAX_SHOWN }))
    }
}

impl From<Value> for Shown {
    fn from(value: Value) -> Shown {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Shown(value),
            value => Shown::from(&value),
        }
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Shown {
        Shown(shorten(text, MAX_SHOWN).into())
    }
}

impl From<&String> for Shown {
    fn from(text: &String) -> Shown {
        text.as_str().into()
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Shown {
        Shown(shortened(text).into())
    }
}

impl From<&[Value]> for Shown {
    fn from(items: &[Value]) -> Shown {
        Shown(copy_list(items, copy, &mut { MAX_SHOWN }))
    }
}

impl From<&[String]> for Shown {
    fn from(items: &[String]) -> Shown {
        let copy = |item: &String, left: &mut usize| {
            *left = left.saturating_sub(NODE);
            copy_text(item, left).into()
        };
        Shown(copy_list(items, copy, &mut { MAX_SHOWN }))
    }
}

/// What is small whatever it is.
macro_rules! small {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Shown {
            fn from(value: $kind) -> Shown {
                Shown(value.into())
            }
        })*
    };
}

small!(bool, i32, i64, u32, u64, usize, f64);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_ordinary_is_shown_whole() {
        let value = json!({"a": ["b", 1, null, {"c": "d".repeat(9000)}], "e": true});
        assert_eq!(Shown::from(&value).into_value(), value);
        let list = value["a"].as_array().expect("a list");
        assert_eq!(Shown::from(&list[..]).into_value(), value["a"]);
        let text = "é".repeat(MAX_SHOWN / 2);
        assert_eq!(Shown::from(text.as_str()).into_value(), text);
    }

    #[test]
    fn what_is_large_is_shown_in_part() {
        let check = |value: Value| {
            let shown = Shown::from(&value).into_value().to_string();
            assert!(shown.len() < 2 * MAX_SHOWN, "{}", shown.len());
            assert!(shown.contains(ELLIPSIS));
        };
        let long = "é".repeat(MAX_SHOWN);
        check(json!(long));
        check(json!([long, long]));
        check(json!({"a": {"b": long, "c": long}}));
        check(json!({ long.as_str(): long }));
        check(json!(vec![json!({}); 100_000]));
        check((0..100_000).map(|at| (at.to_string(), json!(at))).collect());
        let shown = Shown::from(format!("a{long}")).into_value();
        assert_eq!(shown, format!("a{}…", "é".repeat(MAX_SHOWN / 2 - 1)));
    }
}
