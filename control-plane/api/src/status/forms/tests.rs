use serde_json::{Value, json};

use super::*;
use crate::resource;

fn pods() -> &'static Resource {
    resource::find("", "v1", "pods").expect("served")
}

fn config_maps() -> &'static Resource {
    resource::find("", "v1", "configmaps").expect("served")
}

fn check(status: Status, mut expect: Value) {
    let fixed = json!({"kind": "Status", "apiVersion": "v1"});
    for (key, value) in fixed.as_object().expect("a map") {
        expect[key] = value.clone();
    }
    assert_eq!(status.to_value(), expect);
}

#[test]
fn about_an_object() {
    check(
        Status::not_found(pods(), "nope"),
        json!({"metadata": {}, "status": "Failure", "message": "pods \"nope\" not found",
            "reason": "NotFound", "details": {"name": "nope", "kind": "pods"}, "code": 404}),
    );
    check(
        Status::already_exists(config_maps(), "a"),
        json!({"metadata": {}, "status": "Failure", "message": "configmaps \"a\" already exists",
            "reason": "AlreadyExists", "details": {"name": "a", "kind": "configmaps"}, "code": 409}),
    );
    check(
        Status::conflict_modified(config_maps(), "a"),
        json!({"metadata": {}, "status": "Failure", "message": "Operation cannot be fulfilled on \
            configmaps \"a\": the object has been modified; please apply your changes to the latest \
            version and try again", "reason": "Conflict",
            "details": {"name": "a", "kind": "configmaps"}, "code": 409}),
    );
    check(
        Status::uid_precondition(config_maps(), "a", "nope", "d80a"),
        json!({"metadata": {}, "status": "Failure", "message": "Operation cannot be fulfilled on \
            ConfigMap \"a\": the UID in the precondition (nope) does not match the UID in record \
            (d80a). The object might have been deleted and then recreated", "reason": "Conflict",
            "details": {"name": "a", "kind": "ConfigMap"}, "code": 409}),
    );
    let leases = resource::find("coordination.k8s.io", "v1", "leases").expect("served");
    check(
        Status::not_found(leases, "l"),
        json!({"metadata": {}, "status": "Failure",
            "message": "leases.coordination.k8s.io \"l\" not found", "reason": "NotFound",
            "details": {"name": "l", "group": "coordination.k8s.io", "kind": "leases"}, "code": 404}),
    );
}

#[test]
fn invalid_objects() {
    check(
        Status::invalid(
            pods(),
            "q",
            vec![FieldError::required("spec.containers", "")],
        ),
        json!({"metadata": {}, "status": "Failure",
            "message": "Pod \"q\" is invalid: spec.containers: Required value", "reason": "Invalid",
            "details": {"name": "q", "kind": "Pod", "causes": [{"reason": "FieldValueRequired",
                "message": "Required value", "field": "spec.containers"}]}, "code": 422}),
    );
    let two = vec![FieldError::required("a", ""), FieldError::required("b", "")];
    assert_eq!(
        Status::invalid(pods(), "q", two).message,
        "Pod \"q\" is invalid: [a: Required value, b: Required value]"
    );
    let errors = vec![FieldError::not_supported(
        "dryRun",
        json!(["foo"]),
        &["All"],
    )];
    check(
        Status::invalid_kind("meta.k8s.io", "CreateOptions", "", errors),
        json!({"metadata": {}, "status": "Failure", "message": "CreateOptions.meta.k8s.io \"\" is \
            invalid: dryRun: Unsupported value: [\"foo\"]: supported values: \"All\"",
            "reason": "Invalid", "details": {"group": "meta.k8s.io", "kind": "CreateOptions",
            "causes": [{"reason": "FieldValueNotSupported", "message":
            "Unsupported value: [\"foo\"]: supported values: \"All\"", "field": "dryRun"}]},
            "code": 422}),
    );
}

#[test]
fn access() {
    check(
        Status::forbidden_access("system:anonymous", "list", pods(), "", "", ""),
        json!({"metadata": {}, "status": "Failure", "message": "pods is forbidden: User \
            \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster \
            scope", "reason": "Forbidden", "details": {"kind": "pods"}, "code": 403}),
    );
    assert_eq!(
        Status::forbidden_access("u", "get", pods(), "log", "ns", "p").message,
        "pods \"p\" is forbidden: User \"u\" cannot get resource \"pods/log\" in API group \"\" in \
         the namespace \"ns\""
    );
    check(
        Status::unauthorized(),
        json!({"metadata": {}, "status": "Failure", "message": "Unauthorized",
            "reason": "Unauthorized", "code": 401}),
    );
}

#[test]
fn generic_refusals() {
    check(
        Status::method_not_allowed(),
        json!({"metadata": {}, "status": "Failure", "message": "the server does not allow this \
            method on the requested resource", "reason": "MethodNotAllowed", "details": {},
            "code": 405}),
    );
    check(
        Status::timeout_large_resource_version(999_999_999, 213),
        json!({"metadata": {}, "status": "Failure",
            "message": "Timeout: Too large resource version: 999999999, current: 213",
            "reason": "Timeout", "details": {"causes": [{"reason": "ResourceVersionTooLarge",
            "message": "Too large resource version"}], "retryAfterSeconds": 1}, "code": 504}),
    );
    check(
        Status::unprocessable(),
        json!({"metadata": {}, "status": "Failure", "message": "the server rejected our request \
            due to an error in our request", "reason": "Invalid", "details": {}, "code": 422}),
    );
    let expired = Status::expired_continue("t".to_owned()).to_value();
    assert_eq!(expired["metadata"], json!({"continue": "t"}));
    assert_eq!(
        (expired["code"].as_u64(), expired["reason"].as_str()),
        (Some(410), Some("Expired"))
    );
    assert_eq!(
        Status::too_many_requests("slow", 3).retry_after_seconds(),
        Some(3)
    );
}

#[test]
fn successes() {
    check(
        Status::deleted(config_maps(), "a", "d80a"),
        json!({"metadata": {}, "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": "d80a"}}),
    );
    check(
        Status::created(),
        json!({"metadata": {}, "status": "Success", "code": 201}),
    );
}
