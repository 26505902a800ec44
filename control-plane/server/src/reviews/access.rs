//! Access reviews: may a user do something, and what may it do at all.

use std::collections::HashSet;

use sampan_api::selector::{FieldOperator, FieldRequirement, FieldSelector};
use sampan_api::status::{FieldError, Status};
use sampan_api::{object, validate};
use serde_json::{Value, json};

use crate::api::{Call, Result};
use crate::authz::{Attributes, Object, Rule, What, decide, rules_for};
use crate::request::ResourceTarget;
use crate::user::UserInfo;

/// Puts the status into a review.
pub(super) async fn answer(call: &Call, target: &ResourceTarget, review: &mut Value) -> Result<()> {
    let kind = target.resource.kind;
    if kind == "SelfSubjectRulesReview" {
        let status = rules(call, review).await?;
        *review = json!({
            "kind": kind, "apiVersion": target.resource.api_version(),
            "metadata": {}, "spec": {}, "status": status,
        });
        return Ok(());
    }
    let errors = check(kind, review);
    if !errors.is_empty() {
        // Upstream names no kind here.
        let group = target.resource.group;
        return Err(Status::invalid_kind(group, "", "", errors));
    }
    let asking = if kind == "SelfSubjectAccessReview" {
        (*call.user).clone()
    } else {
        subject(review)
    };
    let null = Value::Null;
    let spec = object::get(review, "spec").unwrap_or(&null);
    let text = |path: &str| object::text(spec, path);
    let fields = object::get(spec, "resourceAttributes.fieldSelector").and_then(field_selector);
    let asked = match object::get(spec, "resourceAttributes") {
        Some(_) => Attributes {
            verb: text("resourceAttributes.verb"),
            what: What::Resource(Object {
                group: text("resourceAttributes.group"),
                resource: text("resourceAttributes.resource"),
                subresource: text("resourceAttributes.subresource"),
                namespace: text("resourceAttributes.namespace"),
                name: text("resourceAttributes.name"),
                fields: fields.as_ref(),
            }),
        },
        None => Attributes {
            verb: text("nonResourceAttributes.verb"),
            what: What::Path(text("nonResourceAttributes.path")),
        },
    };
    let decision = decide(&call.api, &asking, &asked).await?;
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    object::set(review, "status", status);
    Ok(())
}

/// The user a review names.
fn subject(review: &Value) -> UserInfo {
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    UserInfo {
        name: object::text(review, "spec.user").to_owned(),
        uid: object::text(review, "spec.uid").to_owned(),
        groups: object::get(review, "spec.groups")
            .map(texts)
            .unwrap_or_default(),
        extra: object::entries(review, "spec.extra")
            .map(|(key, values)| (key.to_owned(), texts(values)))
            .collect(),
    }
}

/// As text, or as requirements; of those only the ones that ask for one value narrow a collection to something an
/// authorizer knows.
fn field_selector(selector: &Value) -> Option<FieldSelector> {
    let raw = object::text(selector, "rawSelector");
    if !raw.is_empty() {
        return FieldSelector::parse(raw).ok();
    }
    let one = |wanted: &Value| {
        let [value] = object::items(wanted, "values") else {
            return None;
        };
        let operator = match object::text(wanted, "operator") {
            "In" => FieldOperator::Equals,
            "NotIn" => FieldOperator::NotEquals,
            _ => return None,
        };
        Some(FieldRequirement {
            field: object::text(wanted, "key").to_owned(),
            operator,
            value: value.as_str()?.to_owned(),
        })
    };
    let wanted = object::items(selector, "requirements").iter();
    Some(wanted.filter_map(one).collect())
}

fn check(kind: &str, review: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let resource = object::get(review, "spec.resourceAttributes");
    let path = object::get(review, "spec.nonResourceAttributes");
    match (resource, path) {
        (Some(_), Some(path)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            errors.push(FieldError::invalid(
                "spec.nonResourceAttributes",
                path.clone(),
                why,
            ));
        }
        (None, None) => {
            let why =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid(
                "spec.resourceAttributes",
                Value::Null,
                why,
            ));
        }
        _ => {}
    }
    let anybody =
        !object::is_empty(review, "spec.user") || !object::is_empty(review, "spec.groups");
    if kind != "SelfSubjectAccessReview" && !anybody {
        let why = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", "", why));
    }
    selectors(review, &mut errors);
    let local = kind == "LocalSubjectAccessReview";
    let metadata = object::get(review, "metadata").cloned().unwrap_or_default();
    let extra = object::entries(review, "metadata")
        .any(|(field, _)| field != "managedFields" && !(local && field == "namespace"));
    if extra {
        let why = if local {
            "must be empty except for namespace"
        } else {
            "must be empty"
        };
        errors.push(FieldError::invalid("metadata", metadata, why));
    }
    if local {
        let said = object::text(review, "spec.resourceAttributes.namespace");
        if resource.is_some() && said != object::namespace(review) {
            let why = "must match metadata.namespace";
            errors.push(FieldError::invalid(
                "spec.resourceAttributes.namespace",
                said,
                why,
            ));
        }
        if let Some(path) = path {
            let why = "disallowed on this kind of request";
            errors.push(FieldError::invalid(
                "spec.nonResourceAttributes",
                path.clone(),
                why,
            ));
        }
    }
    errors
}

/// A selector is given as text or as requirements.
fn selectors(review: &Value, errors: &mut Vec<FieldError>) {
    for field in ["fieldSelector", "labelSelector"] {
        let path = format!("spec.resourceAttributes.{field}");
        let Some(selector) = object::get(review, &path) else {
            continue;
        };
        let raw = object::text(selector, "rawSelector");
        let none = object::is_empty(selector, "requirements");
        if !raw.is_empty() && !none {
            let why = "may not specified at the same time as requirements";
            errors.push(FieldError::invalid(format!("{path}.rawSelector"), raw, why));
        }
        if raw.is_empty() && none {
            let why = format!("when {path} is specified, requirements or rawSelector is required");
            errors.push(FieldError::required(format!("{path}.requirements"), why));
        }
        let path = format!("{path}.requirements");
        errors.extend(validate::review_requirements(selector, field, &path));
    }
}

/// What the user may do in a namespace.
async fn rules(call: &Call, review: &Value) -> Result<Value> {
    let namespace = object::text(review, "spec.namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (rules, incomplete, error) = rules_for(&call.api, &call.user, namespace).await?;
    let list = |out: &mut Value, field: &str, items: &[String]| {
        if !items.is_empty() {
            out[field] = json!(items);
        }
    };
    let mut seen: HashSet<&Rule> = HashSet::new();
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| seen.insert(rule)) {
        if !rule.resources.is_empty() {
            let mut entry = json!({"verbs": rule.verbs});
            list(&mut entry, "apiGroups", &rule.groups);
            list(&mut entry, "resources", &rule.resources);
            list(&mut entry, "resourceNames", &rule.names);
            resources.push(entry);
        }
        if !rule.urls.is_empty() {
            paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.urls}));
        }
    }
    let mut status =
        json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": incomplete});
    if !error.is_empty() {
        status["evaluationError"] = json!(error);
    }
    Ok(status)
}
