//! One operation: what it is called, takes and answers.

use serde_json::{Map, Value, json};

use super::parameters;
use super::shapes::{patch, reference};
use crate::resource::Resource;
use crate::schema::schemas;

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// The patch formats the server takes; the last is for kinds whose lists it knows the keys of.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
const JSON: &[&str] = &["application/json", "application/yaml"];
/// What bodies of built-in kinds may be.
const BODIES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// Lists can be watched.
const LISTS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/json;stream=watch",
];

/// What an operation is about: a resource or one of its subresources.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) resource: &'a Resource,
    /// Whether the kind is in the registry.
    pub(super) built_in: bool,
    /// Empty for the resource itself.
    pub(super) subresource: &'a str,
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) kind: &'a str,
}

/// The operation behind a verb: its HTTP method in small letters, and its description.
pub(super) fn of(subject: Subject, verb: &str) -> Option<(&'static str, Value)> {
    let own = reference(&subject.type_name());
    let list = reference(&format!("{}List", subject.type_name()));
    let status = reference(STATUS);
    let (bodies, patches) = if subject.built_in {
        (BODIES, PATCHES.as_slice())
    } else {
        (JSON, &PATCHES[..3])
    };
    Some(match verb {
        "get" if subject.subresource == "log" => {
            let mut operation = subject.operation("get", parameters::log());
            operation["responses"] =
                responses(&["200"], &["text/plain"], &json!({"type":"string"}));
            ("get", operation)
        }
        "get" => (
            "get",
            answering(subject.operation("get", vec![]), &["200"], JSON, &own),
        ),
        "list" | "list for all namespaces" => {
            let mut operation = subject.operation("list", parameters::list());
            if verb != "list" {
                let name = format!("{}ForAllNamespaces", subject.named("list", ""));
                operation["operationId"] = name.into();
            }
            ("get", answering(operation, &["200"], LISTS, &list))
        }
        "create" => {
            let operation = subject.operation("post", parameters::write());
            let operation = taking(operation, bodies, &own, true);
            let codes = ["200", "201", "202"];
            ("post", answering(operation, &codes, JSON, &own))
        }
        "update" => {
            let operation = subject.operation("put", parameters::write());
            let operation = taking(operation, bodies, &own, true);
            ("put", answering(operation, &["200", "201"], JSON, &own))
        }
        "patch" => {
            let operation = subject.operation("patch", parameters::patch());
            let operation = taking(operation, patches, &reference(&patch()), true);
            ("patch", answering(operation, &["200", "201"], JSON, &own))
        }
        "delete" => {
            let operation = subject.operation("delete", parameters::delete());
            let operation = taking(operation, bodies, &reference(DELETE_OPTIONS), false);
            let codes = ["200", "202"];
            let answer = if subject.resource.answers_deleted {
                own
            } else {
                status
            };
            ("delete", answering(operation, &codes, JSON, &answer))
        }
        "deletecollection" => {
            let watching = ["watch", "allowWatchBookmarks"];
            let mut all = parameters::delete();
            all.extend(parameters::list());
            all.retain(|one| !watching.iter().any(|name| one["name"] == *name));
            let operation = subject.operation("deletecollection", all);
            let operation = taking(operation, bodies, &reference(DELETE_OPTIONS), false);
            ("delete", answering(operation, &["200"], JSON, &status))
        }
        // Watching is listing with a parameter.
        _ => return None,
    })
}

impl Subject<'_> {
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

    fn operation(&self, action: &str, parameters: Vec<Value>) -> Value {
        let Self {
            resource,
            subresource,
            group,
            version,
            kind,
            ..
        } = self;
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

    /// `patchCoreV1NamespacedPodStatus`, `deleteCoreV1CollectionNamespacedPod`
    fn operation_id(&self, action: &str) -> String {
        let scope = if self.resource.namespaced {
            "Namespaced"
        } else {
            ""
        };
        let verb = match action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => return self.named("delete", &format!("Collection{scope}")),
            other => other,
        };
        self.named(verb, scope)
    }

    fn named(&self, verb: &str, scope: &str) -> String {
        let Self {
            resource,
            subresource,
            ..
        } = self;
        format!(
            "{verb}{}{}{scope}{}{}",
            capitalized(&short_group(resource.group)),
            capitalized(resource.version),
            resource.kind,
            capitalized(subresource),
        )
    }
}

fn taking(mut operation: Value, media_types: &[&str], schema: &Value, required: bool) -> Value {
    let mut body = Map::new();
    body.insert("content".to_owned(), content(media_types, schema));
    if required {
        body.insert("required".to_owned(), true.into());
    }
    operation["requestBody"] = body.into();
    operation
}

fn answering(mut operation: Value, codes: &[&str], media_types: &[&str], schema: &Value) -> Value {
    operation["responses"] = responses(codes, media_types, schema);
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
    let unauthorized = ("401".to_owned(), json!({ "description": "Unauthorized" }));
    let all = codes.iter().map(response).chain([unauthorized]);
    all.collect::<Map<_, _>>().into()
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    let media = |name: &&str| ((*name).to_owned(), json!({ "schema": schema }));
    media_types.iter().map(media).collect::<Map<_, _>>().into()
}

fn tag(group: &str, version: &str) -> String {
    format!("{}_{version}", short_group(group))
}

/// `core`, `apps`, `rbacAuthorization`, `exampleCom`
fn short_group(group: &str) -> String {
    if group.is_empty() {
        return "core".to_owned();
    }
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut parts = group.split('.');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &capitalized(part))
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
