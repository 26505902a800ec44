//! Where in the body the decoder is, and what it has to tell.

use serde::de;

use super::{MAX_DEPTH, Reports, Trail};
use crate::schema::{Schemas, Shape, TypeId};

pub(super) struct Context {
    pub(super) reports: Reports,
    /// Why decoding stopped, in our words.
    pub(super) problem: Option<String>,
    pub(super) trail: Trail,
    depth: usize,
    schemas: &'static Schemas,
    root: TypeId,
}

impl Context {
    pub(super) fn new(schemas: &'static Schemas, root: TypeId) -> Self {
        Self {
            reports: Reports::default(),
            problem: None,
            trail: Trail::default(),
            depth: 0,
            schemas,
            root,
        }
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
        self.reports.unknown(self.trail.as_str());
    }

    pub(super) fn duplicate(&mut self) {
        self.reports.duplicate(self.trail.as_str());
    }

    /// Ends decoding: `got` cannot become `shape`.
    pub(super) fn mismatch<E: de::Error>(&mut self, got: &str, shape: &Shape) -> E {
        let want = self.go_type(shape);
        let message = if self.trail.is_empty() {
            format!("json: cannot unmarshal {got} into Go value of type {want}")
        } else {
            let root = short_name(&self.schemas.get(self.root).name);
            let path = &self.trail;
            format!(
                "json: cannot unmarshal {got} into Go struct field {root}.{path} of type {want}"
            )
        };
        self.stop(message)
    }

    /// Ends decoding: the field holds a malformed value.
    pub(super) fn malformed<E: de::Error>(&mut self, why: &str) -> E {
        let message = format!("unable to decode field \"{}\": {why}", self.trail);
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
