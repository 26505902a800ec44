//! The schema of one version of a custom resource, compiled from the JSON of its
//! CustomResourceDefinition into what pruning, defaulting and validation walk along.
//!
//! Definitions are validated before they are served (`validate::definition`), so what is refused
//! there (`$ref`, `uniqueItems`, `patternProperties`, ...) has no place here. Prose is left out: only
//! OpenAPI needs it, and reads the definition itself.

use serde_json::{Map, Value};

use super::pattern::Pattern;
use crate::schema::ListType;

/// Sorted by name.
pub(crate) type Properties = Box<[(Box<str>, Node)]>;

/// A node of a schema.
#[derive(Debug, Default)]
pub struct Node {
    /// Absent for nodes that take anything, and for those of `x-kubernetes-int-or-string`.
    pub(crate) kind: Option<Kind>,
    pub(crate) nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`
    pub(crate) preserve: bool,
    /// `x-kubernetes-embedded-resource`
    pub(crate) embedded: bool,
    /// `x-kubernetes-int-or-string`
    pub(crate) int_or_string: bool,
    pub(crate) list_type: Option<ListType>,
    pub(crate) list_map_keys: Box<[Box<str>]>,
    /// `x-kubernetes-map-type: atomic`
    pub(crate) atomic: bool,
    pub(crate) default: Option<Box<Value>>,
    /// Sorted by name.
    pub(crate) properties: Properties,
    pub(crate) additional: Option<Box<Additional>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) checks: Option<Box<Checks>>,
}

/// `type`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Kind {
    pub(crate) fn of(name: &str) -> Option<Kind> {
        Some(match name {
            "object" => Kind::Object,
            "array" => Kind::Array,
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
        }
    }
}

/// `additionalProperties`
#[derive(Debug)]
pub(crate) enum Additional {
    Allowed(bool),
    Schema(Node),
}

/// What a value must be beyond its type.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) format: Option<Box<str>>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) max_length: Option<i64>,
    pub(crate) min_length: Option<i64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) max_items: Option<i64>,
    pub(crate) min_items: Option<i64>,
    pub(crate) max_properties: Option<i64>,
    pub(crate) min_properties: Option<i64>,
    pub(crate) required: Box<[Box<str>]>,
    pub(crate) choices: Box<[Value]>,
    pub(crate) all_of: Box<[Node]>,
    pub(crate) any_of: Box<[Node]>,
    pub(crate) one_of: Box<[Node]>,
    pub(crate) not: Option<Box<Node>>,
}

/// `maximum` or `minimum`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

impl Node {
    /// The schema of a property.
    pub(crate) fn property(&self, name: &str) -> Option<&Node> {
        let at = self
            .properties
            .binary_search_by(|(known, _)| known.as_ref().cmp(name));
        at.ok().map(|at| &self.properties[at].1)
    }

    /// The schema of a field: a property, or what `additionalProperties` says of all others.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        self.property(name).or_else(|| self.additional_schema())
    }

    pub(crate) fn additional_schema(&self) -> Option<&Node> {
        match self.additional.as_deref() {
            Some(Additional::Schema(node)) => Some(node),
            _ => None,
        }
    }

    /// Compiles a schema; the error names the keyword whose value has the wrong type.
    pub fn parse(schema: &Value) -> Result<Node, String> {
        let Value::Object(map) = schema else {
            return Err("a schema must be an object".to_owned());
        };
        Reader(map).node()
    }
}

/// Reads keywords, each with its type.
struct Reader<'a>(&'a Map<String, Value>);

impl<'a> Reader<'a> {
    fn node(&self) -> Result<Node, String> {
        Ok(Node {
            kind: match self.text("type")? {
                None | Some("") => None,
                Some(name) => Some(Kind::of(name).ok_or_else(|| format!("unknown type {name:?}"))?),
            },
            nullable: self.flag("nullable")?,
            preserve: self.flag("x-kubernetes-preserve-unknown-fields")?,
            embedded: self.flag("x-kubernetes-embedded-resource")?,
            int_or_string: self.flag("x-kubernetes-int-or-string")?,
            list_type: match self.text("x-kubernetes-list-type")? {
                Some("set") => Some(ListType::Set),
                Some("map") => Some(ListType::Map),
                Some(_) => Some(ListType::Atomic),
                None => None,
            },
            list_map_keys: self.texts("x-kubernetes-list-map-keys")?,
            atomic: self.text("x-kubernetes-map-type")? == Some("atomic"),
            default: self.get("default").cloned().map(Box::new),
            properties: self.properties()?,
            additional: match self.get("additionalProperties") {
                None => None,
                Some(Value::Bool(allowed)) => Some(Box::new(Additional::Allowed(*allowed))),
                Some(schema) => Some(Box::new(Additional::Schema(nested(
                    "additionalProperties",
                    schema,
                )?))),
            },
            items: self.schema("items")?,
            checks: self.checks()?.map(Box::new),
        })
    }

    fn properties(&self) -> Result<Properties, String> {
        let Some(found) = self.get("properties") else {
            return Ok(Box::default());
        };
        let Value::Object(map) = found else {
            return Err(mistyped("properties", "an object"));
        };
        let mut properties = map
            .iter()
            .map(|(name, schema)| Ok((name.as_str().into(), nested(name, schema)?)))
            .collect::<Result<Vec<(Box<str>, Node)>, String>>()?;
        properties.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(properties.into())
    }

    /// `None` when there is nothing to check, as for most nodes.
    fn checks(&self) -> Result<Option<Checks>, String> {
        const KEYWORDS: [&str; 18] = [
            "format",
            "maximum",
            "minimum",
            "multipleOf",
            "maxLength",
            "minLength",
            "pattern",
            "maxItems",
            "minItems",
            "maxProperties",
            "minProperties",
            "required",
            "enum",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "exclusiveMaximum",
        ];
        if KEYWORDS.iter().all(|keyword| self.get(keyword).is_none()) {
            return Ok(None);
        }
        Ok(Some(Checks {
            format: self.text("format")?.map(Into::into),
            maximum: self.bound("maximum", "exclusiveMaximum")?,
            minimum: self.bound("minimum", "exclusiveMinimum")?,
            multiple_of: self.number("multipleOf")?,
            max_length: self.integer("maxLength")?,
            min_length: self.integer("minLength")?,
            pattern: self
                .text("pattern")?
                .filter(|text| !text.is_empty())
                .map(Pattern::new),
            max_items: self.integer("maxItems")?,
            min_items: self.integer("minItems")?,
            max_properties: self.integer("maxProperties")?,
            min_properties: self.integer("minProperties")?,
            required: self.texts("required")?,
            choices: self.list("enum")?.into(),
            all_of: self.schemas("allOf")?,
            any_of: self.schemas("anyOf")?,
            one_of: self.schemas("oneOf")?,
            not: self.schema("not")?,
        }))
    }

    /// Null and absent are the same.
    fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.0.get(keyword).filter(|value| !value.is_null())
    }

    fn text(&self, keyword: &str) -> Result<Option<&'a str>, String> {
        self.get(keyword)
            .map(|value| value.as_str().ok_or_else(|| mistyped(keyword, "a string")))
            .transpose()
    }

    fn flag(&self, keyword: &str) -> Result<bool, String> {
        let found = self.get(keyword).map(|value| {
            value
                .as_bool()
                .ok_or_else(|| mistyped(keyword, "true or false"))
        });
        Ok(found.transpose()?.unwrap_or(false))
    }

    fn number(&self, keyword: &str) -> Result<Option<f64>, String> {
        self.get(keyword)
            .map(|value| value.as_f64().ok_or_else(|| mistyped(keyword, "a number")))
            .transpose()
    }

    fn integer(&self, keyword: &str) -> Result<Option<i64>, String> {
        self.get(keyword)
            .map(|value| {
                value
                    .as_i64()
                    .ok_or_else(|| mistyped(keyword, "an integer"))
            })
            .transpose()
    }

    fn bound(&self, keyword: &str, exclusive: &str) -> Result<Option<Bound>, String> {
        let exclusive = self.flag(exclusive)?;
        let value = self.number(keyword)?;
        Ok(value.map(|value| Bound { value, exclusive }))
    }

    fn list(&self, keyword: &str) -> Result<&'a [Value], String> {
        match self.get(keyword) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(mistyped(keyword, "a list")),
        }
    }

    fn texts(&self, keyword: &str) -> Result<Box<[Box<str>]>, String> {
        let text = |value: &Value| match value.as_str() {
            Some(text) => Ok(text.into()),
            None => Err(mistyped(keyword, "a list of strings")),
        };
        self.list(keyword)?.iter().map(text).collect()
    }

    fn schemas(&self, keyword: &str) -> Result<Box<[Node]>, String> {
        let schemas = self.list(keyword)?.iter();
        schemas.map(|schema| nested(keyword, schema)).collect()
    }

    fn schema(&self, keyword: &str) -> Result<Option<Box<Node>>, String> {
        let schema = self.get(keyword);
        Ok(schema
            .map(|schema| nested(keyword, schema))
            .transpose()?
            .map(Box::new))
    }
}

fn nested(keyword: &str, schema: &Value) -> Result<Node, String> {
    Node::parse(schema).map_err(|error| format!("{keyword}: {error}"))
}

fn mistyped(keyword: &str, want: &str) -> String {
    format!("{keyword} must be {want}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_compiled() {
        let node = Node::parse(&json!({
            "type": "object", "description": "prose", "required": ["b"],
            "properties": {
                "b": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "a": {"x-kubernetes-int-or-string": true, "default": 7},
            },
        }))
        .expect("compiles");
        assert_eq!(node.kind, Some(Kind::Object));
        let names: Vec<&str> = node.properties.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["a", "b"]);
        let a = node.property("a").expect("there");
        assert!(a.int_or_string && a.kind.is_none() && a.checks.is_none());
        assert_eq!(a.default.as_deref(), Some(&json!(7)));
        assert_eq!(
            node.property("b").expect("there").list_type,
            Some(ListType::Set)
        );
        assert!(node.property("c").is_none());
        assert_eq!(node.checks.expect("required").required.len(), 1);
    }

    #[test]
    fn keywords_of_the_wrong_type_are_named() {
        let check = |schema: Value, want: &str| {
            assert_eq!(Node::parse(&schema).expect_err("is refused"), want);
        };
        check(json!([]), "a schema must be an object");
        check(json!({"type": "blob"}), "unknown type \"blob\"");
        check(json!({"type": 1}), "type must be a string");
        check(
            json!({"properties": {"a": {"items": {"maxLength": "x"}}}}),
            "a: items: maxLength must be an integer",
        );
    }
}
