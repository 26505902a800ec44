//! Errors about one field, as validation finds them and as clients see them.

use std::fmt;

use serde_json::Value;

use super::shown::{Shown, shortened};

/// What is wrong with the field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldErrorKind {
    /// It must be there.
    Required,
    /// It is malformed or out of range.
    Invalid,
    /// It is none of the supported values.
    NotSupported,
    /// It must be unique.
    Duplicate,
    /// It may not be there, or may not change.
    Forbidden,
    /// It refers to something that does not exist.
    NotFound,
    /// It has too many bytes.
    TooLong,
    /// It has too many items.
    TooMany,
    /// It is of another type.
    TypeInvalid,
}

impl FieldErrorKind {
    /// The reason of the cause.
    pub fn reason(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::NotFound => "FieldValueNotFound",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn words(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Invalid | FieldErrorKind::TypeInvalid => "Invalid value",
            FieldErrorKind::NotSupported => "Unsupported value",
            FieldErrorKind::Duplicate => "Duplicate value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::NotFound => "Not found",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::TooMany => "Too many",
        }
    }
}

/// One error about one field.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// Where: `spec.containers[0].name`.
    pub field: String,
    /// The offending value, for the kinds that show it.
    pub value: Option<Value>,
    /// Why, or what would be right.
    pub detail: String,
}

impl FieldError {
    /// The field must be there.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Required, field, None, detail)
    }

    /// The value is malformed or out of range.
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<Shown>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError::new(FieldErrorKind::Invalid, field, Some(value.into()), detail)
    }

    /// The value is none of `supported`, which are listed in the order given.
    pub fn not_supported(
        field: impl Into<String>,
        value: impl Into<Shown>,
        supported: &[&str],
    ) -> FieldError {
        let supported: Vec<String> = supported.iter().map(|value| quote(value)).collect();
        let detail = if supported.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", supported.join(", "))
        };
        FieldError::new(
            FieldErrorKind::NotSupported,
            field,
            Some(value.into()),
            detail,
        )
    }

    /// The value is there twice.
    pub fn duplicate(field: impl Into<String>, value: impl Into<Shown>) -> FieldError {
        FieldError::new(FieldErrorKind::Duplicate, field, Some(value.into()), "")
    }

    /// The field may not be there, or may not change.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// The value refers to something that is not there.
    pub fn not_found(field: impl Into<String>, value: impl Into<Shown>) -> FieldError {
        FieldError::new(FieldErrorKind::NotFound, field, Some(value.into()), "")
    }

    /// The value has more than `max` bytes. It is not shown.
    pub fn too_long(field: impl Into<String>, max: usize) -> FieldError {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {max} {bytes}");
        FieldError::new(FieldErrorKind::TooLong, field, None, detail)
    }

    /// The list has more than `max` items.
    pub fn too_many(field: impl Into<String>, actual: usize, max: usize) -> FieldError {
        let items = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {items}");
        FieldError::new(FieldErrorKind::TooMany, field, Some(actual.into()), detail)
    }

    /// The value is of another type.
    pub fn type_invalid(
        field: impl Into<String>,
        value: impl Into<Shown>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError::new(
            FieldErrorKind::TypeInvalid,
            field,
            Some(value.into()),
            detail,
        )
    }

    /// The same error without the value, for what is too large to show or nothing to look at.
    pub fn unshown(mut self) -> FieldError {
        self.value = None;
        self
    }

    /// The same error with a reason, for the kinds that mostly need none.
    pub fn because(mut self, why: impl Into<String>) -> FieldError {
        self.detail = shortened(why.into());
        self
    }

    fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: Option<Shown>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError {
            kind,
            field: shortened(field.into()),
            value: value.map(Shown::into_value),
            detail: shortened(detail.into()),
        }
    }

    /// The error without the field: `Invalid value: "x": why`.
    pub fn body(&self) -> String {
        let mut body = self.kind.words().to_owned();
        if let Some(value) = &self.value {
            body.push_str(": ");
            match value {
                Value::String(text) => body.push_str(&quote(text)),
                other => body.push_str(&other.to_string()),
            }
        }
        if !self.detail.is_empty() {
            body.push_str(": ");
            body.push_str(&self.detail);
        }
        body
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.field, self.body())
    }
}

/// A string in double quotes with Go's escapes, which differ from JSON's for control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            _ if character < ' ' || character == '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            _ if character.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wording() {
        let check = |error: FieldError, expect: &str| assert_eq!(error.to_string(), expect);
        check(FieldError::required("a", ""), "a: Required value");
        check(FieldError::required("a", "why"), "a: Required value: why");
        check(
            FieldError::invalid("a", "x", "why"),
            r#"a: Invalid value: "x": why"#,
        );
        check(
            FieldError::invalid("a", 0, "why"),
            "a: Invalid value: 0: why",
        );
        check(
            FieldError::invalid("a", json!(["x"]), "why"),
            r#"a: Invalid value: ["x"]: why"#,
        );
        check(
            FieldError::not_supported("a", "x", &["A", "B"]),
            r#"a: Unsupported value: "x": supported values: "A", "B""#,
        );
        check(
            FieldError::duplicate("a", "x"),
            r#"a: Duplicate value: "x""#,
        );
        check(
            FieldError::invalid("a", "x", "why").unshown(),
            "a: Invalid value: why",
        );
        check(FieldError::forbidden("a", "why"), "a: Forbidden: why");
        check(FieldError::not_found("a", "x"), r#"a: Not found: "x""#);
        check(
            FieldError::too_long("a", 9),
            "a: Too long: may not be more than 9 bytes",
        );
        check(
            FieldError::too_many("a", 3, 1),
            "a: Too many: 3: must have at most 1 item",
        );
        check(
            FieldError::invalid("a", "\u{1}\"é\n", ""),
            r#"a: Invalid value: "\x01\"é\n""#,
        );
    }
}
