//! Query and path parameters, described in our words.

use serde_json::{Value, json};

/// Names the object in the path.
pub(super) fn name(kind: &str) -> Value {
    path("name", &format!("name of the {kind}"))
}

/// Names the namespace in the path.
pub(super) fn namespace() -> Value {
    path("namespace", "namespace of the object")
}

/// What every request takes.
pub(super) fn pretty() -> Value {
    query(
        "pretty",
        "string",
        "If 'true', the answer is indented for people to read.",
    )
}

/// What POST and PUT take.
pub(super) fn write() -> Vec<Value> {
    vec![dry_run(), field_manager(), field_validation()]
}

/// What PATCH takes.
pub(super) fn patch() -> Vec<Value> {
    let force = query(
        "force",
        "boolean",
        "Take over fields that other managers apply.",
    );
    vec![dry_run(), field_manager(), field_validation(), force]
}

/// What DELETE takes, beside the same in its body.
pub(super) fn delete() -> Vec<Value> {
    vec![
        dry_run(),
        query(
            "gracePeriodSeconds",
            "integer",
            "Seconds before the object is gone; 0 is at once.",
        ),
        query(
            "orphanDependents",
            "boolean",
            "Deprecated: propagationPolicy says it. Whether dependents are left alone.",
        ),
        query(
            "propagationPolicy",
            "string",
            "What happens to dependents: 'Orphan', 'Background' or 'Foreground'.",
        ),
    ]
}

/// What LIST and WATCH take.
pub(super) fn list() -> Vec<Value> {
    vec![
        query(
            "allowWatchBookmarks",
            "boolean",
            "Send BOOKMARK events while watching.",
        ),
        query("continue", "string", "The token of the previous page."),
        query(
            "fieldSelector",
            "string",
            "Restricts the answer by fields of the objects.",
        ),
        query(
            "labelSelector",
            "string",
            "Restricts the answer by labels of the objects.",
        ),
        query(
            "limit",
            "integer",
            "The largest number of objects in one answer.",
        ),
        query(
            "resourceVersion",
            "string",
            "The version of the data that is asked for.",
        ),
        query(
            "resourceVersionMatch",
            "string",
            "How resourceVersion is meant.",
        ),
        query(
            "sendInitialEvents",
            "boolean",
            "Start a watch with the objects there are.",
        ),
        query("timeoutSeconds", "integer", "How long a watch may last."),
        query(
            "watch",
            "boolean",
            "Stream changes instead of answering with a list.",
        ),
    ]
}

/// What `pods/log` takes.
pub(super) fn log() -> Vec<Value> {
    vec![
        query(
            "container",
            "string",
            "The container, where there are several.",
        ),
        query("follow", "boolean", "Keep streaming what is written."),
        query(
            "limitBytes",
            "integer",
            "The largest number of bytes to send.",
        ),
        query(
            "previous",
            "boolean",
            "The log of the instance before the last restart.",
        ),
        query("sinceSeconds", "integer", "Only lines not older than this."),
        query("tailLines", "integer", "Only the last lines."),
        query(
            "timestamps",
            "boolean",
            "Put the time in front of every line.",
        ),
    ]
}

fn dry_run() -> Value {
    query(
        "dryRun",
        "string",
        "'All' does everything but store the result.",
    )
}

fn field_manager() -> Value {
    query(
        "fieldManager",
        "string",
        "The name under which the change is recorded.",
    )
}

fn field_validation() -> Value {
    query(
        "fieldValidation",
        "string",
        "What unknown and duplicate fields cause: 'Ignore' nothing, 'Warn' a warning, \
         'Strict' an error.",
    )
}

fn query(name: &str, ty: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "query",
        "description": description,
        "schema": { "type": ty, "uniqueItems": true },
    })
}

fn path(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "description": description,
        "required": true,
        "schema": { "type": "string", "uniqueItems": true },
    })
}
