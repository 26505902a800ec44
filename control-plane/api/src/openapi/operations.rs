//! One operation: what it is called, takes and answers.

use serde_json::{Map, Value, json};

use super::parameters;
use super::types::{patch, reference};
use crate::resource::Resource;
use crate::schema::schemas;

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// The patch formats the server takes.
const PATCHES: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
const JSON: &[&str] = &["application/json", "application/yaml"];

/// What an operation is about: a resource or one of its subresources.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) resource: &'static Resource,
    /// Empty for the resource itself.
    pub(super) subresource: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
}

/// The operation behind a verb: its HTTP method in small letters, and its description.
pub(super) fn of(subject: Subject, verb: &str) -> Option<(&'static str, Value)> {
    let own = reference(&subject.type_name());
    let list = reference(&format!("{}List", subject.type_name()));
    let status = reference(STATUS);
    Some(match verb {
        "get" if subject.subresource == "log" => {
            let mut operation = subject.operation("get", parameters::log());
            operation["responses"] =
                responses(&["200"], &["text/plain"], &json!({"type":"string"}));
            ("get", operation)
        }
        "get" => (
            "get",
            answering(subject.operation("get", vec![]), &["200"], &own),
        ),
        "list" => (
            "get",
            answering(
                subject.operation("list", parameters::list()),
                &["200"],
                &list,
            ),
        ),
        "create" => {
            let operation = taking(subject.operation("post", parameters::write()), JSON, &own);
            ("post", answering(operation, &["200", "201", "202"], &own))
        }
        "update" => {
            let operation = taking(subject.operation("put", parameters::write()), JSON, &own);
            ("put", answering(operation, &["200", "201"], &own))
        }
        "patch" => {
            let operation = subject.operation("patch", parameters::patch());
            let operation = taking(operation, &PATCHES, &reference(&patch()));
            ("patch", answering(operation, &["200", "201"], &own))
        }
        "delete" => {
            let operation = subject.operation("delete", parameters::delete());
            let operation = taking(operation, JSON, &reference(DELETE_OPTIONS));
            ("delete", answering(operation, &["200", "202"], &status))
        }
        "deletecollection" => {
            let mut all = parameters::delete();
            all.extend(parameters::list());
            let operation = subject.operation("deletecollection", all);
            let operation = taking(operation, JSON, &reference(DELETE_OPTIONS));
            ("delete", answering(operation, &["200"], &status))
        }
        // Watching is listing with a parameter.
        _ => return None,
    })
}

impl Subject {
    fn type_name(&self) -> String {
        let own = (
            self.resource.group,
            self.resource.version,
            self.resource.kind,
        );
        if (self.group, self.version, self.kind) == own {
            return self.resource.type_name.to_owned();
        }
        let schemas = schemas();
        match schemas.by_gvk(self.group, self.version, self.kind) {
            Some(id) => schemas.get(id).name.to_string(),
            None => STATUS.to_owned(),
        }
    }

    fn operation(&self, action: &str, mut parameters: Vec<Value>) -> Value {
        let Self {
            resource,
            subresource,
            group,
            version,
            kind,
        } = self;
        parameters.push(parameters::pretty());
        let target = if subresource.is_empty() { "" } else { " of " };
        json!({
            "tags": [tag(resource.group, resource.version)],
            "description": format!("{action} {subresource}{target}{}", resource.plural),
            "operationId": self.operation_id(action),
            "parameters": parameters,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind":
                { "group": group, "version": version, "kind": kind },
        })
    }

    /// `patchCoreV1NamespacedPodStatus`
    fn operation_id(&self, action: &str) -> String {
        let Self {
            resource,
            subresource,
            ..
        } = self;
        let scope = if resource.namespaced {
            "Namespaced"
        } else {
            ""
        };
        let verb = match action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => "deleteCollection",
            other => other,
        };
        format!(
            "{verb}{}{}{scope}{}{}",
            capitalized(short_group(resource.group)),
            capitalized(resource.version),
            resource.kind,
            capitalized(subresource),
        )
    }
}

fn taking(mut operation: Value, media_types: &[&str], schema: &Value) -> Value {
    operation["requestBody"] = json!({ "content": content(media_types, schema) });
    operation
}

fn answering(mut operation: Value, codes: &[&str], schema: &Value) -> Value {
    operation["responses"] = responses(codes, JSON, schema);
    operation
}

fn responses(codes: &[&str], media_types: &[&str], schema: &Value) -> Value {
    let response = |code: &&str| {
        let description = match *code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        let content = content(media_types, schema);
        (
            (*code).to_owned(),
            json!({ "description": description, "content": content }),
        )
    };
    codes.iter().map(response).collect::<Map<_, _>>().into()
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    let media = |name: &&str| ((*name).to_owned(), json!({ "schema": schema }));
    media_types.iter().map(media).collect::<Map<_, _>>().into()
}

fn tag(group: &str, version: &str) -> String {
    format!("{}_{version}", short_group(group))
}

/// `core`, `apps`, `coordination`: groups without what follows the first dot.
fn short_group(group: &str) -> &str {
    match group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}
