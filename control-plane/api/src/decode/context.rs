//! Where in the body the decoder is, and what it has to tell.

use std::fmt::Write;

use serde::de;

use super::{MAX_DEPTH, MAX_WARNINGS};
use crate::schema::{Schemas, Shape, TypeId};

pub(super) struct Context {
    pub(super) warnings: Vec<String>,
    /// Why decoding stopped, in our words.
    pub(super) problem: Option<String>,
    /// `spec.containers[0].name`. One growing and shrinking text, so that a path costs no
    /// allocation until it is reported.
    path: String,
    depth: usize,
    schemas: &'static Schemas,
    root: TypeId,
}

/// How long the path was before it was extended.
#[must_use]
pub(super) struct Mark(usize);

impl Context {
    pub(super) fn new(schemas: &'static Schemas, root: TypeId) -> Self {
        Self {
            warnings: Vec::new(),
            problem: None,
            path: String::new(),
            depth: 0,
            schemas,
            root,
        }
    }

    /// Whether this is the path it is at.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    pub(super) fn enter_field(&mut self, name: &str) -> Mark {
        let mark = Mark(self.path.len());
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        mark
    }

    pub(super) fn enter_item(&mut self, index: usize) -> Mark {
        let mark = Mark(self.path.len());
        // Writing to a String cannot fail.
        let _ = write!(self.path, "[{index}]");
        mark
    }

    pub(super) fn leave(&mut self, mark: Mark) {
        self.path.truncate(mark.0);
    }

    /// Goes one level down; the caller goes [`up`](Self::up) again.
    pub(super) fn down<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.stop("json: exceeded the maximum nesting depth".to_owned()));
        }
        Ok(())
    }

    pub(super) fn up(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn unknown(&mut self) {
        self.warn("unknown");
    }

    pub(super) fn duplicate(&mut self) {
        self.warn("duplicate");
    }

    fn warn(&mut self, what: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            let warning = format!("{what} field \"{}\"", self.path);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Ends decoding: `got` cannot become `shape`.
    pub(super) fn mismatch<E: de::Error>(&mut self, got: &str, shape: &Shape) -> E {
        let want = self.go_type(shape);
        let message = if self.path.is_empty() {
            format!("json: cannot unmarshal {got} into Go value of type {want}")
        } else {
            let root = short_name(&self.schemas.get(self.root).name);
            let path = &self.path;
            format!(
                "json: cannot unmarshal {got} into Go struct field {root}.{path} of type {want}"
            )
        };
        self.stop(message)
    }

    /// Ends decoding: the field holds a malformed value.
    pub(super) fn malformed<E: de::Error>(&mut self, why: &str) -> E {
        let message = format!("unable to decode field \"{}\": {why}", self.path);
        self.stop(message)
    }

    fn stop<E: de::Error>(&mut self, message: String) -> E {
        let error = E::custom(&message);
        self.problem = Some(message);
        error
    }

    /// The type in the words of the clients and servers people know.
    fn go_type(&self, shape: &Shape) -> String {
        match shape {
            Shape::String => "string".to_owned(),
            Shape::Bool => "bool".to_owned(),
            Shape::Int32 => "int32".to_owned(),
            Shape::Int64 => "int64".to_owned(),
            Shape::Number => "float64".to_owned(),
            Shape::Bytes => "[]uint8".to_owned(),
            Shape::Time => "v1.Time".to_owned(),
            Shape::MicroTime => "v1.MicroTime".to_owned(),
            Shape::Quantity => "resource.Quantity".to_owned(),
            Shape::IntOrString => "intstr.IntOrString".to_owned(),
            Shape::Any => "interface {}".to_owned(),
            Shape::Object(id) => {
                let name = &self.schemas.get(*id).name;
                let start = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
                name[start..].to_owned()
            }
            Shape::List(item) => format!("[]{}", self.go_type(item)),
            Shape::Map(item) => format!("map[string]{}", self.go_type(item)),
        }
    }
}

fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
