//! IngressClasses.

use serde_json::Value;

use crate::names;
use crate::object::{get, part, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::path::{Path, invalid};
use super::{domain, ingress};

const MAX_CONTROLLER: usize = 250;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let (at, controller) = (path.child("controller"), text(spec, "controller"));
    if controller.len() > MAX_CONTROLLER {
        out.push(|| FieldError::too_long(&at, MAX_CONTROLLER));
    }
    domain::prefixed_path(controller, &at, out);
    let Some(parameters) = get(spec, "parameters") else {
        return;
    };
    let here = path.child("parameters");
    ingress::reference(parameters, &here, out);
    let at = here.child("namespace");
    let namespace = get(parameters, "namespace").and_then(Value::as_str);
    match (text(parameters, "scope"), namespace) {
        ("Namespace", None) => {
            let why = "`parameters.scope` is set to 'Namespace'";
            out.push(|| FieldError::required(at, why));
        }
        ("Namespace", Some(namespace)) => {
            invalid(out, &at, namespace, names::dns1123_label(namespace));
        }
        ("Cluster", None) => {}
        ("Cluster", Some(_)) => {
            let why = "`parameters.scope` is set to 'Cluster'";
            out.push(|| FieldError::forbidden(at, why));
        }
        (other, _) => {
            let at = here.child("scope");
            out.push(|| FieldError::not_supported(at, other, &["Cluster", "Namespace"]));
        }
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    Change::of(resource, new, old).immutable(out, "spec.controller");
    create(new, out);
}
