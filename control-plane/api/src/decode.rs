//! Request bodies in JSON and YAML.
//!
//! One pass over the bytes, guided by the schema registry, builds the [`Value`]: fields the type
//! does not have and fields given twice are reported and dropped, scalars are checked and put in
//! canonical form, explicit nulls are dropped. What comes out has the shape its type promises, so
//! later code need not check it again.
//!
//! Not here: whether required fields are present and values make sense (`validate`), and whether
//! a report is a warning, an error or nothing: the caller knows `fieldValidation`.

mod any;
mod context;
mod key;
mod object;
mod reports;
pub(crate) mod scalar;
mod trail;

use std::mem;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};
use serde_json::{Map, Value};
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::schema::{Schemas, Shape, TypeId, schemas};

use context::Context;
pub(crate) use key::KeyText;
pub(crate) use reports::Reports;
pub(crate) use trail::{Mark, Trail};

/// How deep objects and lists may nest. A CustomResourceDefinition needs two or three levels for
/// each level of the objects it describes; nothing else comes near.
pub(crate) const MAX_DEPTH: usize = 100;

/// How much of a YAML document aliases may repeat, in nodes.
const MAX_ALIAS_NODES: usize = 100_000;

/// A body as an object of its type.
#[derive(Debug)]
pub struct Decoded {
    /// The object: fields known, scalars of the right type, no nulls, `apiVersion` and `kind` first.
    pub value: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`.
    pub warnings: Vec<String>,
}

/// A body that is no object of its type.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// For the client; answered with 400.
    pub message: String,
    /// Whether the bytes are no JSON at all: then nothing is known of what they are about.
    pub unreadable: bool,
}

impl DecodeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unreadable: false,
        }
    }

    /// What is wrong with a JSON body.
    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        let unreadable = error.is_eof() || error.is_syntax();
        let why = match error.is_eof() {
            true => "unexpected end of JSON input".to_owned(),
            false => error.to_string(),
        };
        Self {
            message: match unreadable {
                true => format!("couldn't get version/kind; json parse error: {why}"),
                false => why,
            },
            unreadable,
        }
    }
}

/// Decodes a JSON body.
pub fn json(bytes: &[u8], type_name: &str) -> Result<Decoded, DecodeError> {
    from_json(bytes, Walk::new(type_name)?)
}

/// Decodes a YAML body.
pub fn yaml(bytes: &[u8], type_name: &str) -> Result<Decoded, DecodeError> {
    from_yaml(bytes, Walk::new(type_name)?)
}

/// Decodes an applied configuration, YAML or JSON. It is taken at its word: nulls stay, and so
/// does whatever its type does not have; only keys given twice are reported.
pub fn configuration(bytes: &[u8], type_name: &str) -> Result<Decoded, DecodeError> {
    let mut walk = Walk::new(type_name)?;
    walk.guided = false;
    let mut decoded = from_yaml(bytes, walk)?;
    // The first is told by its line, as upstream tells it.
    if let Some(first) = decoded.warnings.first_mut()
        && let Some(line) = first_duplicate(bytes)
    {
        *first = line;
    }
    Ok(decoded)
}

fn first_duplicate(bytes: &[u8]) -> Option<String> {
    let text = utf8(bytes).ok()?;
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_NODES },
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
    };
    let whole = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        Value::deserialize(yaml)
    });
    let error = whole.err()?;
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey {
            key: Some(key),
            location,
        } => Some(format!(
            "line {}: key {key:?} already set in map",
            location.line()
        )),
        _ => None,
    }
}

/// The same for an object of no registered type.
pub fn custom_configuration(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    // No type is asked about anything where nothing is guided.
    configuration(bytes, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
}

fn from_json(bytes: &[u8], mut walk: Walk) -> Result<Decoded, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let outcome = walk.run(&mut deserializer).and_then(|object| {
        deserializer.end()?;
        Ok(object)
    });
    match outcome {
        Err(error) if error.is_eof() || error.is_syntax() => Err(DecodeError::of_json(&error)),
        outcome => walk.finish(outcome.map_err(|error| error.to_string())),
    }
}

/// JSON is YAML and parses much faster as JSON, so that is tried first.
fn from_yaml(bytes: &[u8], mut walk: Walk) -> Result<Decoded, DecodeError> {
    if bytes.trim_ascii_start().starts_with(b"{") && is_json(bytes) {
        return from_json(bytes, walk);
    }
    let text = utf8(bytes)?;
    let outcome = yaml_seed(text, Whole(&mut walk));
    walk.finish(outcome.map_err(|error| no_yaml(&error)))
}

/// A body as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes)
        .map_err(|error| DecodeError::new(format!("error converting YAML to JSON: {error}")))
}

/// Brings an existing value into the same form: what a patch left behind.
pub fn value(value: Value, type_name: &str) -> Result<Decoded, DecodeError> {
    let mut walk = Walk::new(type_name)?;
    let outcome = walk.run(value);
    walk.finish(outcome.map_err(|error| error.to_string()))
}

/// Brings a part of an object, at the end of the `trail`, into the form of its type. What is to be said of it joins the
/// `reports` about the others.
pub(crate) fn part(
    value: Value,
    type_name: &str,
    trail: &mut Trail,
    reports: &mut Reports,
) -> Result<Value, DecodeError> {
    let mut walk = Walk::new(type_name)?;
    let mut lend = |context: &mut Context| {
        mem::swap(&mut context.trail, trail);
        mem::swap(&mut context.reports, reports);
    };
    lend(&mut walk.context);
    let outcome = match value {
        Value::Null => Ok(Some(Value::Object(Map::new()))),
        value => walk.run(value),
    };
    lend(&mut walk.context);
    let decoded = walk.finish(outcome.map_err(|error| error.to_string()))?;
    Ok(decoded.value)
}

/// Runs a seed over a YAML document, within the limits every document has.
pub(crate) fn yaml_seed<'de, S: DeserializeSeed<'de>>(
    text: &'de str,
    seed: S,
) -> Result<S::Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // YAML 1.1, as upstream: file modes are written like that.
        legacy_octal_numbers: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_NODES },
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        seed.deserialize(yaml)
    })
}

/// What a document that is no YAML is refused with.
pub(crate) fn no_yaml(error: &serde_saphyr::Error) -> String {
    format!("error converting YAML to JSON: {}", error.without_snippet())
}

pub(crate) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// One decoding: the type at the root and what was found so far.
struct Walk {
    schemas: &'static Schemas,
    shape: Shape,
    context: Context,
    /// Whether the type says what is kept.
    guided: bool,
}

impl Walk {
    fn new(type_name: &str) -> Result<Self, DecodeError> {
        let schemas = schemas();
        let root: TypeId = schemas
            .by_name(type_name)
            .ok_or_else(|| DecodeError::new(format!("no type {type_name} is registered")))?;
        let context = Context::new(schemas, root);
        Ok(Self {
            schemas,
            shape: Shape::Object(root),
            context,
            guided: true,
        })
    }

    fn run<'de, D: Deserializer<'de>>(&mut self, input: D) -> Result<Option<Value>, D::Error> {
        if !self.guided {
            let seed = any::AnySeed {
                context: &mut self.context,
                duplicates: any::Duplicates::Reported,
            };
            return seed.deserialize(input).map(Some);
        }
        let seed = object::Seed {
            schemas: self.schemas,
            shape: &self.shape,
            context: &mut self.context,
        };
        seed.deserialize(input)
    }

    fn finish(self, outcome: Result<Option<Value>, String>) -> Result<Decoded, DecodeError> {
        let Context {
            reports, problem, ..
        } = self.context;
        match (outcome, problem) {
            // Our own words are better than the parser's around them.
            (Err(_), Some(problem)) => Err(DecodeError::new(problem)),
            (Err(error), None) => Err(DecodeError::new(error)),
            (Ok(Some(Value::Object(fields))), _) => Ok(Decoded {
                value: Value::Object(type_first(fields)),
                warnings: reports.into_texts(),
            }),
            (Ok(None | Some(Value::Null)), _) => {
                Err(DecodeError::new("the body is null, want an object"))
            }
            (Ok(Some(_)), _) => Err(DecodeError::new("the body is no object")),
        }
    }
}

/// The whole body as a seed.
struct Whole<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        self.0.run(input)
    }
}

/// Puts `apiVersion` and `kind` in front.
pub(crate) fn type_first(mut fields: Map<String, Value>) -> Map<String, Value> {
    for (at, name) in ["apiVersion", "kind"].into_iter().enumerate() {
        let placed = fields.keys().nth(at).is_some_and(|key| key == name);
        if !placed && let Some(value) = fields.shift_remove(name) {
            let at = at.min(fields.len());
            fields.shift_insert(at, name.to_owned(), value);
        }
    }
    fields
}

#[cfg(test)]
mod tests;
