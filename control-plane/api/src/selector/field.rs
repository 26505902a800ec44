//! Field selectors, and the fields they can select by.

use std::fmt;

use serde_json::Value;

use crate::object;
use crate::resource::Resource;

use super::MAX_SELECTOR_BYTES;

/// How a requirement relates a field to its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldOperator {
    /// `=` or `==`.
    Equals,
    /// `!=`.
    NotEquals,
}

/// One condition of a field selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldRequirement {
    /// The field label: `spec.nodeName`.
    pub field: String,
    /// The relation.
    pub operator: FieldOperator,
    /// The value, without escapes.
    pub value: String,
}

/// Conditions on fields that all must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Parses `metadata.name=a,spec.nodeName!=b`. In values `\,`, `\=` and `\\` stand for
    /// themselves.
    pub fn parse(text: &str) -> Result<FieldSelector, String> {
        if text.len() > MAX_SELECTOR_BYTES {
            return Err(format!(
                "selector is longer than {MAX_SELECTOR_BYTES} bytes"
            ));
        }
        let mut requirements = Vec::new();
        for term in split_terms(text)
            .into_iter()
            .filter(|term| !term.is_empty())
        {
            let Some((field, operator, value)) = split_term(term) else {
                return Err(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                ));
            };
            let (field, value) = (field.to_owned(), unescape(value)?);
            // An operator alone asks for nothing.
            if field.is_empty() && value.is_empty() {
                continue;
            }
            requirements.push(FieldRequirement {
                field,
                operator,
                value,
            });
        }
        Ok(FieldSelector { requirements })
    }

    /// Refuses fields this resource cannot select by.
    pub fn check(&self, resource: &Resource) -> Result<(), String> {
        for requirement in &self.requirements {
            let field = requirement.field.as_str();
            let everywhere = matches!(field, "metadata.name" | "metadata.namespace");
            if everywhere || resource.field_labels.contains(&field) {
                continue;
            }
            return Err(
                if resource.field_labels.is_empty() && !resource.is_custom() {
                    format!(
                        "{field:?} is not a known field selector: only \"metadata.name\", \
                     \"metadata.namespace\""
                    )
                } else {
                    format!("field label not supported: {field}")
                },
            );
        }
        Ok(())
    }

    /// Whether it matches every object.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Its conditions.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// The value a field must have, when the selector demands exactly one: for an index.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let one = self
            .requirements
            .iter()
            .find(|one| one.field == field && one.operator == FieldOperator::Equals)?;
        Some(&one.value)
    }

    /// Whether fields, looked up by label, meet every condition. An absent field is empty.
    pub fn matches(&self, lookup: impl Fn(&str) -> Option<String>) -> bool {
        self.requirements.iter().all(|one| {
            let equal = lookup(&one.field).unwrap_or_default() == one.value;
            equal == (one.operator == FieldOperator::Equals)
        })
    }
}

impl FromIterator<FieldRequirement> for FieldSelector {
    fn from_iter<I: IntoIterator<Item = FieldRequirement>>(requirements: I) -> FieldSelector {
        FieldSelector {
            requirements: requirements.into_iter().collect(),
        }
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.requirements.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let operator = match one.operator {
                FieldOperator::Equals => "=",
                FieldOperator::NotEquals => "!=",
            };
            let value = one
                .value
                .replace('\\', r"\\")
                .replace(',', r"\,")
                .replace('=', r"\=");
            write!(out, "{comma}{}{operator}{value}", one.field)?;
        }
        Ok(())
    }
}

/// What an object says for a field label. Events are read in either of their two versions.
pub fn field_value(value: &Value, label: &str) -> Option<String> {
    let first = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| object::get(value, path));
        found.and_then(scalar)
    };
    if let Some(rest) = label
        .strip_prefix("involvedObject.")
        .or(label.strip_prefix("regarding."))
    {
        return first(&[
            &format!("involvedObject.{rest}"),
            &format!("regarding.{rest}"),
        ]);
    }
    match label {
        "reportingController" | "reportingComponent" => {
            first(&["reportingComponent", "reportingController"])
        }
        "source" => {
            let sources = ["source.component", "deprecatedSource.component"];
            first(&sources).or_else(|| first(&["reportingComponent", "reportingController"]))
        }
        "status.podIPs" => {
            let ips = object::items(value, "status.podIPs")
                .iter()
                .map(|ip| object::text(ip, "ip"));
            Some(ips.collect::<Vec<_>>().join(","))
        }
        // Booleans are always there for a selector, as in Go.
        "spec.unschedulable" | "spec.hostNetwork" => Some(object::flag(value, label).to_string()),
        _ => first(&[label]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, FieldOperator, &str)> {
    let starts = |at: &usize| term[*at..].starts_with('=') || term[*at..].starts_with("!=");
    let at = term.char_indices().map(|(at, _)| at).find(starts)?;
    let rest = &term[at..];
    let (operator, length) = if rest.starts_with("!=") {
        (FieldOperator::NotEquals, 2)
    } else if rest.starts_with("==") {
        (FieldOperator::Equals, 2)
    } else {
        (FieldOperator::Equals, 1)
    };
    Some((&term[..at], operator, &rest[length..]))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                Some(other) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
                None => {
                    return Err("invalid field selector: invalid escape sequence: \\".to_owned());
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(character)
                ));
            }
            _ => plain.push(character),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn matching() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n,1"},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}});
        let check = |selector: &str, expect: bool| {
            let parsed = FieldSelector::parse(selector).expect(selector);
            assert_eq!(
                parsed.matches(|field| field_value(&pod, field)),
                expect,
                "{selector}"
            );
        };
        check("", true);
        check("metadata.name=p", true);
        check("metadata.name==q", false);
        check("metadata.name!=q", true);
        check(r"spec.nodeName=n\,1,metadata.name=p", true);
        check("spec.schedulerName=", true);
        check("status.podIPs=10.0.0.1", true);
        check("spec.hostNetwork=false", true);
    }

    #[test]
    fn refusals() {
        let check = |selector: &str, expect: &str| {
            assert_eq!(FieldSelector::parse(selector).expect_err(selector), expect);
        };
        check("a", "invalid selector: 'a'; can't understand 'a'");
        check(
            "a=b=c",
            "invalid field selector: unescaped character in value: 61",
        );
        check(
            r"a=\b",
            r"invalid field selector: invalid escape sequence: \b",
        );
        let pods = resource::find("", "v1", "pods").expect("served");
        let config_maps = resource::find("", "v1", "configmaps").expect("served");
        let selector = FieldSelector::parse("spec.foo=1").expect("well-formed");
        assert_eq!(
            selector.check(pods).expect_err("unknown"),
            "field label not supported: spec.foo"
        );
        assert_eq!(
            selector.check(config_maps).expect_err("unknown"),
            "\"spec.foo\" is not a known field selector: only \"metadata.name\", \
             \"metadata.namespace\""
        );
        let node = FieldSelector::parse("spec.nodeName=x,status.phase!=y").expect("well-formed");
        assert_eq!(node.check(pods), Ok(()));
        assert_eq!(
            (node.exact("spec.nodeName"), node.exact("status.phase")),
            (Some("x"), None)
        );
    }

    #[test]
    fn events_in_both_versions() {
        let old = json!({"involvedObject": {"name": "p"}, "source": {"component": "k"}});
        let new = json!({"regarding": {"name": "p"}, "reportingController": "k"});
        for event in [old, new] {
            assert_eq!(
                field_value(&event, "involvedObject.name").as_deref(),
                Some("p")
            );
            assert_eq!(field_value(&event, "regarding.name").as_deref(), Some("p"));
            assert_eq!(field_value(&event, "source").as_deref(), Some("k"));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in r"[a-c=!,\\]{0,24}|.*") {
            if let Ok(parsed) = FieldSelector::parse(&text) {
                let shown = parsed.to_string();
                prop_assert_eq!(FieldSelector::parse(&shown), Ok(parsed), "{}", shown);
            }
        }
    }
}
