//! APIServices.

use serde_json::Value;

use crate::names;
use crate::object::{self, flag, get, int, items, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid};

pub(super) fn all(value: &Value, out: &mut Errors) {
    let spec = Path::new("spec");
    let (group, version) = (text(value, "spec.group"), text(value, "spec.version"));
    let required = format!("{version}.{group}");
    if object::name(value) != required {
        let why = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
        out.push(|| FieldError::invalid("metadata.name", object::name(value), why));
    }
    if group.is_empty() && version != "v1" {
        let why = "only v1 may have an empty group and it better be legacy kube";
        out.push(|| FieldError::required(spec.child("group"), why));
    }
    if !group.is_empty() {
        invalid(
            out,
            &spec.child("group"),
            group,
            names::dns1123_subdomain(group),
        );
    }
    invalid(
        out,
        &spec.child("version"),
        version,
        names::dns1035_label(version),
    );
    for (field, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let priority = int(value, &format!("spec.{field}")).unwrap_or(0);
        if !(1..=most).contains(&priority) {
            let why = format!("must be positive and less than {most}");
            out.push(|| FieldError::invalid(spec.child(field), priority, why));
        }
    }
    let skip = flag(value, "spec.insecureSkipTLSVerify");
    let bundle = text(value, "spec.caBundle");
    let Some(service) = get(value, "spec.service") else {
        if !bundle.is_empty() {
            let bytes = format!("{} bytes", bundle.len() / 4 * 3);
            let why = "local APIServices may not have a caBundle";
            out.push(|| FieldError::invalid(spec.child("caBundle"), bytes, why));
        }
        if skip {
            let why = "local APIServices may not have insecureSkipTLSVerify";
            out.push(|| FieldError::invalid(spec.child("insecureSkipTLSVerify"), true, why));
        }
        return;
    };
    let here = spec.child("service");
    for field in ["namespace", "name"] {
        if text(service, field).is_empty() {
            out.push(|| FieldError::required(here.child(field), ""));
        }
    }
    let port = int(service, "port").unwrap_or(443);
    let wrong = names::port_number(port);
    if !wrong.is_empty() {
        let why = format!("port is not valid: {}", wrong.join(", "));
        out.push(|| FieldError::invalid(here.child("port"), port, why));
    }
    if skip && !bundle.is_empty() {
        let why = "may not be true if caBundle is present";
        out.push(|| FieldError::invalid(spec.child("insecureSkipTLSVerify"), true, why));
    }
}

pub(super) fn status(value: &Value, out: &mut Errors) {
    for (at, condition) in items(value, "status.conditions").iter().enumerate() {
        let status = text(condition, "status");
        let supported = ["False", "True", "Unknown"];
        if !supported.contains(&status) {
            let here = format!("status.conditions[{at}].status");
            out.push(|| FieldError::not_supported(here, status, &supported));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn api_services() {
        let said = |value: Value| {
            let mut out = Errors::new();
            all(&value, &mut out);
            out.into_list()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let spec = |extra: Value| {
            let mut spec = json!({"group": "g.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10});
            spec.as_object_mut()
                .expect("a map")
                .extend(extra.as_object().expect("a map").clone());
            json!({"metadata": {"name": "v1.g.io"}, "spec": spec})
        };
        assert!(said(spec(json!({}))).is_empty());
        assert!(said(spec(json!({"service": {"namespace": "n", "name": "s"}}))).is_empty());
        assert_eq!(
            said(spec(json!({"version": "v2", "versionPriority": 1001}))),
            [
                "metadata.name: Invalid value: \"v1.g.io\": must be `spec.version+\".\"+spec.group`: \"v2.g.io\"",
                "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
            ]
        );
        assert_eq!(
            said(spec(json!({"insecureSkipTLSVerify": true}))),
            [
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify"
            ]
        );
        assert_eq!(
            said(spec(json!({"service": {"name": "s", "port": 0}}))),
            [
                "spec.service.namespace: Required value",
                "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ]
        );
    }
}
