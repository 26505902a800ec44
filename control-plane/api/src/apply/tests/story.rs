//! What tests tell stories with.

use super::*;
use crate::object;
use crate::status::Status;

pub(super) const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";
pub(super) const POD: &str = "io.k8s.api.core.v1.Pod";
pub(super) const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

/// One object through time.
pub(super) struct Story {
    pub(super) kind: Kind<'static>,
    type_name: &'static str,
    pub(super) object: Option<Value>,
}

impl Story {
    pub(super) fn of(type_name: &'static str) -> Story {
        let version = if type_name == DEPLOYMENT {
            "apps/v1"
        } else {
            "v1"
        };
        Story {
            kind: kind(type_name, version, ""),
            type_name,
            object: None,
        }
    }

    pub(super) fn at(mut self, subresource: &'static str) -> Story {
        self.kind = kind(self.type_name, self.kind.api_version, subresource);
        self
    }

    /// A body that needs not say which object it is.
    pub(super) fn body(&self, mut body: Value) -> Value {
        body["apiVersion"] = self.kind.api_version.into();
        body["kind"] = self.kind.kind.into();
        object::set_default(&mut body, "metadata.name", "x");
        body
    }

    pub(super) fn keep(&mut self, value: Value) {
        let mut value = crate::decode::value(value, self.type_name)
            .expect("an object")
            .value;
        value["metadata"]["uid"] = "u".into();
        self.object = Some(value);
    }

    pub(super) fn write(mut self, manager: &'static str, body: Value) -> Story {
        let mut new = self.body(body);
        tracked(&self.kind, writer(manager), self.object.as_ref(), &mut new);
        self.keep(new);
        self
    }

    pub(super) fn attempt(
        &self,
        manager: &'static str,
        body: Value,
        force: bool,
    ) -> Result<Value, Status> {
        apply(
            &self.kind,
            writer(manager),
            self.object.as_ref(),
            &self.body(body),
            force,
        )
    }

    pub(super) fn apply(mut self, manager: &'static str, body: Value) -> Story {
        let applied = self.attempt(manager, body, false).expect("no conflict");
        self.keep(applied);
        self
    }

    pub(super) fn force(mut self, manager: &'static str, body: Value) -> Story {
        let applied = self.attempt(manager, body, true).expect("forced");
        self.keep(applied);
        self
    }

    #[track_caller]
    pub(super) fn refused(&self, manager: &'static str, body: Value, message: &str) {
        let status = self.attempt(manager, body, false).expect_err("a refusal");
        assert_eq!(status.message, message);
    }

    #[track_caller]
    pub(super) fn has(self, path: &str, expected: Value) -> Story {
        let object = self.object.as_ref().expect("an object");
        assert_eq!(object::get(object, path).unwrap_or(&Value::Null), &expected);
        self
    }

    /// `manager operation: fields` of every manager.
    #[track_caller]
    pub(super) fn owned(self, expected: &[&str]) -> Story {
        let list = object::items(
            self.object.as_ref().expect("an object"),
            "metadata.managedFields",
        );
        let lines: Vec<String> = list
            .iter()
            .map(|entry| {
                let set = fields_v1::decode(&entry["fieldsV1"])
                    .expect("fields")
                    .to_string();
                let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
                format!(
                    "{} {}: {}",
                    text("manager"),
                    text("operation"),
                    set.replace('\n', " ")
                )
            })
            .collect();
        assert_eq!(lines, expected);
        self
    }
}
