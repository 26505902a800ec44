//! The `scale` subresource of a custom resource: a Scale read from, and written into, the fields the
//! definition names.

use serde_json::{Value, json};

use super::text::{go_type, go_value};
use crate::object;

/// Where a custom resource keeps what a Scale shows.
#[derive(Debug)]
pub struct Scale {
    pub(crate) spec_replicas: Reading,
    pub(crate) status_replicas: Reading,
    pub(crate) label_selector: Option<Reading>,
}

/// A path of the definition: `.spec.replicas`.
#[derive(Debug)]
pub(crate) struct Reading(Box<str>);

impl Reading {
    pub(crate) fn new(path: &str) -> Reading {
        Reading(path.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.trim_start_matches('.').split('.')
    }

    /// What is there; the error is upstream's, for a path that leads through something else than maps.
    fn read<'v>(&self, value: &'v Value) -> Result<Option<&'v Value>, String> {
        let mut current = value;
        let mut way = String::new();
        for field in self.fields() {
            way.push('.');
            way.push_str(field);
            current = match current {
                Value::Null => return Ok(None),
                Value::Object(map) => match map.get(field) {
                    Some(value) => value,
                    None => return Ok(None),
                },
                other => return Err(self.refused(&way, other, "map[string]interface{}")),
            };
        }
        Ok(Some(current))
    }

    fn refused(&self, way: &str, found: &Value, want: &str) -> String {
        let (shown, kind) = (go_value(found), go_type(found));
        format!("{way} accessor error: {shown} is of the type {kind}, expected {want}")
    }

    pub(crate) fn integer(&self, value: &Value) -> Result<Option<i64>, String> {
        match self.read(value)? {
            None => Ok(None),
            Some(found) => match found.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.refused(&self.0, found, "int64")),
            },
        }
    }

    pub(crate) fn text(&self, value: &Value) -> Result<String, String> {
        match self.read(value)? {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(found) => Err(self.refused(&self.0, found, "string")),
        }
    }
}

impl Scale {
    /// The Scale of an object; the error says which field holds something else than a Scale can show.
    pub(crate) fn read(&self, value: &Value) -> Result<Value, String> {
        let replicas = self.spec_replicas.integer(value)?.unwrap_or(0);
        let current = self.status_replicas.integer(value)?.unwrap_or(0);
        let selector = match &self.label_selector {
            Some(path) => path.text(value)?,
            None => String::new(),
        };
        let mut metadata = json!({"name": object::name(value)});
        for field in ["namespace", "uid", "resourceVersion", "creationTimestamp"] {
            let text = object::text(value, &format!("metadata.{field}"));
            if !text.is_empty() {
                metadata[field] = text.into();
            }
        }
        let mut scale = json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata,
            "spec": {},
            "status": {"replicas": current},
        });
        if replicas != 0 {
            scale["spec"]["replicas"] = replicas.into();
        }
        if !selector.is_empty() {
            scale["status"]["selector"] = selector.into();
        }
        Ok(scale)
    }

    /// Where the wanted number of replicas is, step by step. Definitions from before paths were bounded may name a place
    /// that no object can have.
    pub(crate) fn replicas_path(&self) -> Option<Vec<&str>> {
        let fields = self.spec_replicas.fields();
        let path: Vec<&str> = fields.take(object::MAX_NESTING + 1).collect();
        (path.len() <= object::MAX_NESTING).then_some(path)
    }

    /// Writes how many replicas are wanted into the object, if it can have such a place.
    pub(crate) fn write(&self, value: &mut Value, replicas: i64) {
        if let Some(path) = self.replicas_path() {
            object::set(value, &path.join("."), replicas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value would be too deep to be dropped.
    #[test]
    fn paths_deeper_than_objects_write_nothing() {
        let deep = ".spec".to_owned() + &".a".repeat(400_000);
        let scale = Scale {
            spec_replicas: Reading::new(&deep),
            status_replicas: Reading::new(".status.replicas"),
            label_selector: None,
        };
        let mut value = json!({"spec": {}});
        scale.write(&mut value, 5);
        assert_eq!(value, json!({"spec": {}}));
        assert_eq!(scale.replicas_path(), None);
    }

    #[test]
    fn scales_there_and_back() {
        let scale = Scale {
            spec_replicas: Reading::new(".spec.replicas"),
            status_replicas: Reading::new(".status.replicas"),
            label_selector: Some(Reading::new(".status.selector")),
        };
        let mut value = json!({"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"},
            "spec": {"replicas": 2}, "status": {"replicas": 1, "selector": "a=b"}});
        let want = json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"},
            "spec": {"replicas": 2}, "status": {"replicas": 1, "selector": "a=b"}});
        assert_eq!(scale.read(&value), Ok(want));
        scale.write(&mut value, 5);
        assert_eq!(value["spec"]["replicas"], 5);
        let error = scale.read(&json!({"spec": {"replicas": "two"}}));
        let why = ".spec.replicas accessor error: two is of the type string, expected int64";
        assert_eq!(error, Err(why.to_owned()));
        let error = scale.read(&json!({"spec": 1}));
        let why = ".spec.replicas accessor error: 1 is of the type int64, expected map[string]interface{}";
        assert_eq!(error, Err(why.to_owned()));
    }
}
