//! CustomResourceDefinitions and their objects.

mod applied;
mod definitions;
mod documents;
mod objects;
mod versions;

use super::*;

pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(super) const TABS: &str = "/apis/a.io/v1/namespaces/default/tabs";

/// A definition with one version, whose spec takes an integer and a string.
pub(super) fn definition(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tabs.a.io"},
        "spec": {
            "group": "a.io", "scope": "Namespaced",
            "names": {"plural": "tabs", "kind": "Tab", "shortNames": ["t"], "categories": ["all"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// The schema most tests use.
pub(super) fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "count": {"type": "integer", "minimum": 0},
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
        }},
        "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
    }})
}

pub(super) fn tab(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "a.io/v1", "kind": "Tab", "metadata": {"name": name}, "spec": spec})
}

/// Creates a definition and waits until it is established; returns it as it is then.
pub(super) async fn establish(client: &Client, definition: Value) -> Value {
    let created = client.create(DEFINITIONS, definition).await;
    let name = created["metadata"]["name"].as_str().expect("a name");
    until(client, name, |definition| holds(definition, "Established")).await
}

pub(super) fn holds(definition: &Value, kind: &str) -> bool {
    condition(definition, kind)["status"] == "True"
}

pub(super) fn condition(definition: &Value, kind: &str) -> Value {
    let conditions = definition["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.cloned().unwrap_or_default()
}

/// Waits for a definition to be as wanted.
pub(super) async fn until(client: &Client, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("{DEFINITIONS}?watch=1&fieldSelector=metadata.name={name}");
    let mut events = client.watch(&path).await;
    loop {
        let event = events.next().await.expect("an event");
        if wanted(&event["object"]) {
            return event["object"].clone();
        }
    }
}

/// Waits for a definition to be gone.
pub(super) async fn gone(client: &Client, name: &str) {
    let path = format!("{DEFINITIONS}?watch=1&fieldSelector=metadata.name={name}");
    let mut events = client.watch(&path).await;
    // A definition that is gone already sends nothing: ask once it is watched.
    while client.get(&format!("{DEFINITIONS}/{name}")).await.status != 404 {
        let event = events.next().await.expect("an event");
        if event["type"] == "DELETED" {
            return;
        }
    }
}

/// Waits for a path to answer as wanted: what follows from a definition follows a moment later.
pub(super) async fn answers(
    client: &Client,
    path: &str,
    wanted: impl Fn(&Answer) -> bool,
) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
