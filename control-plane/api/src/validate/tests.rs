use serde_json::{Value, json};

use super::*;
use crate::defaults;
use crate::object::set;
use crate::resource::{Resource, find_kind};

mod access;
mod agents;
mod apps;
mod chosen;
mod devices;
mod flow;
mod jobs;
mod kinds;
mod large;
mod limits;
mod networks;
mod pod_parts;
mod pod_updates;
mod pods;
mod registration;
mod storage;

fn core(kind: &str) -> &'static Resource {
    find_kind("", "v1", kind).expect("served")
}

fn of(api_version: &str, kind: &str) -> &'static Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    find_kind(group, version, kind).expect("served")
}

/// A namespaced object of a kind, with these fields.
fn object(fields: Value) -> Value {
    with(
        json!({"metadata": {"name": "a", "namespace": "default", "uid": "u"}}),
        fields,
    )
}

/// An object of the whole cluster, with these fields.
fn global(fields: Value) -> Value {
    with(
        json!({"metadata": {"name": "a", "resourceVersion": "1"}}),
        fields,
    )
}

fn lines(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// The errors of a new object, one per line.
fn errors(resource: &Resource, mut value: Value) -> Vec<String> {
    defaults::apply(resource, &mut value);
    create(resource, &value)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn check(resource: &Resource, value: Value, expect: &[&str]) {
    assert_eq!(errors(resource, value.clone()), expect, "{value}");
}

fn check_update(resource: &Resource, mut new: Value, mut old: Value, expect: &[&str]) {
    for value in [&mut new, &mut old] {
        defaults::apply(resource, value);
    }
    let found = update(resource, &new, &old);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{new}");
}

/// `base` with some paths set.
fn with(mut base: Value, changes: Value) -> Value {
    for (path, value) in changes.as_object().expect("paths") {
        set(&mut base, path, value.clone());
    }
    base
}

fn config_map(metadata: Value) -> Value {
    json!({"metadata": metadata})
}

#[test]
fn names() {
    let pattern = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
        characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
        'example.com', regex used for validation is \
        '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    check(
        core("ConfigMap"),
        config_map(json!({"name": "A_b", "namespace": "default"})),
        &[&format!("metadata.name: Invalid value: \"A_b\": {pattern}")],
    );
    check(
        core("ConfigMap"),
        config_map(json!({"namespace": "default"})),
        &["metadata.name: Required value: name or generateName is required"],
    );
    check(
        core("ConfigMap"),
        config_map(json!({"name": "a"})),
        &["metadata.namespace: Required value"],
    );
    check(
        core("Namespace"),
        config_map(json!({"name": "a.b"})),
        &["metadata.name: Invalid value: \"a.b\": must not contain dots"],
    );
    check(
        core("Namespace"),
        config_map(json!({"name": "a", "namespace": "b"})),
        &["metadata.namespace: Forbidden: not allowed on this type"],
    );
    check(
        core("ConfigMap"),
        config_map(json!({"name": "a-1", "generateName": "a-", "namespace": "default"})),
        &[],
    );
    check(
        core("Event"),
        json!({"metadata": {"name": "P.1", "namespace": "default"}}),
        &[],
    );
}

#[test]
fn metadata_maps_and_lists() {
    let base = || config_map(json!({"name": "a", "namespace": "default"}));
    let starts = |changes: Value, expect: &str| {
        let found = errors(core("ConfigMap"), with(base(), changes));
        assert!(found[0].starts_with(expect), "{found:?}");
        assert_eq!(found.len(), 1);
    };
    starts(
        json!({"metadata.labels": {"-a": "b"}}),
        "metadata.labels: Invalid value: \"-a\": name part must consist of",
    );
    starts(
        json!({"metadata.labels": {"a": "b c"}}),
        "metadata.labels: Invalid value: \"b c\": a valid label must be an empty string",
    );
    starts(
        json!({"metadata.annotations": {"a": "x".repeat(256 * 1024)}}),
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    );
    starts(
        json!({"metadata.finalizers": ["a.b/c d"]}),
        "metadata.finalizers: Invalid value: \"a.b/c d\": name part must consist of",
    );
    starts(
        json!({"metadata.ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}),
        "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
    );
    check(
        core("ConfigMap"),
        with(
            base(),
            json!({"metadata.annotations": {"A/B": "any thing"}}),
        ),
        &[
        // A prefix is a DNS name, but its case does not matter.
    ],
    );
}

#[test]
fn metadata_updates() {
    let old = config_map(json!({"name": "a", "namespace": "d", "uid": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["x/y"]}));
    check_update(
        core("ConfigMap"),
        config_map(json!({"name": "a", "namespace": "d", "finalizers": []})),
        old.clone(),
        &[],
    );
    check_update(
        core("ConfigMap"),
        config_map(
            json!({"name": "a", "namespace": "d", "uid": "2", "finalizers": ["x/y", "x/z"]}),
        ),
        old,
        &[
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
             being deleted, found new finalizers []string{\"x/z\"}",
            "metadata.uid: Invalid value: \"2\": field is immutable",
        ],
    );
    let lease = find_kind("coordination.k8s.io", "v1", "Lease").expect("served");
    let old = json!({"metadata": {"name": "l", "namespace": "d", "resourceVersion": "1"}});
    check_update(
        lease,
        json!({"metadata": {"name": "l", "namespace": "d"}}),
        old,
        &["metadata.resourceVersion: Invalid value: 0: must be specified for an update"],
    );
}
