//! Forms of [`Status`] about objects: one constructor per answer upstream gives.

use std::collections::HashSet;

use crate::resource::Resource;

use super::field::quote;
use super::{Cause, Details, FieldError, Status};

impl Status {
    /// 404: no object of that name.
    pub fn not_found(resource: &Resource, name: &str) -> Status {
        let message = format!("{} {} not found", full_name(resource), quote(name));
        Status::about(404, "NotFound", message, resource, name)
    }

    /// 409: there is an object of that name already.
    pub fn already_exists(resource: &Resource, name: &str) -> Status {
        let message = format!("{} {} already exists", full_name(resource), quote(name));
        Status::about(409, "AlreadyExists", message, resource, name)
    }

    /// 409: no name made from `generateName` was free.
    pub fn generate_name_conflict(resource: &Resource, name: &str) -> Status {
        let message = format!(
            "{} {} already exists, the server was not able to generate a unique name for the object",
            full_name(resource),
            quote(name)
        );
        let mut status = Status::about(409, "AlreadyExists", message, resource, name);
        if let Some(details) = &mut status.details {
            details.retry_after_seconds = 1;
        }
        status
    }

    /// 409: the object is not in the state the request presumes.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Status {
        Status::conflict_named((resource.group, resource.plural), name, why)
    }

    /// The same for something known by group and resource only; it need not be served.
    pub fn conflict_named((group, resource): (&str, &str), name: &str, why: &str) -> Status {
        let message = format!(
            "Operation cannot be fulfilled on {} {}: {why}",
            qualified(resource, group),
            quote(name)
        );
        Status::failure(409, "Conflict", message).with(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        })
    }

    /// 409: the resourceVersion of the request is not the newest.
    pub fn conflict_modified(resource: &Resource, name: &str) -> Status {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Status::conflict(resource, name, why)
    }

    /// 409: the uid precondition of a delete does not hold. `details.kind` is the kind here.
    pub fn uid_precondition(resource: &Resource, name: &str, wanted: &str, found: &str) -> Status {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({found}). \
             The object might have been deleted and then recreated"
        );
        Status::precondition(resource, name, &why)
    }

    /// 409: the resourceVersion precondition of a delete does not hold.
    pub fn version_precondition(
        resource: &Resource,
        name: &str,
        wanted: &str,
        found: &str,
    ) -> Status {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the \
             ResourceVersion in record ({found}). The object might have been modified"
        );
        Status::precondition(resource, name, &why)
    }

    fn precondition(resource: &Resource, name: &str, why: &str) -> Status {
        let kind = qualified(resource.kind, resource.group);
        let message = format!(
            "Operation cannot be fulfilled on {kind} {}: {why}",
            quote(name)
        );
        let mut status = Status::about(409, "Conflict", message, resource, name);
        if let Some(details) = &mut status.details {
            details.kind = resource.kind.to_owned();
        }
        status
    }

    /// 422: the object breaks rules of its kind.
    pub fn invalid(resource: &Resource, name: &str, errors: Vec<FieldError>) -> Status {
        Status::invalid_kind(resource.group, resource.kind, name, errors)
    }

    /// 422 for something that is not a served resource: `ListOptions` of `meta.k8s.io`.
    pub fn invalid_kind(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Status {
        let causes = errors.iter().map(|error| Cause {
            reason: error.kind.reason().to_owned(),
            message: error.body(),
            field: error.field.clone(),
        });
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes: causes.collect(),
            ..Details::default()
        };
        let subject = format!("{} {} is invalid", qualified(kind, group), quote(name));
        let mut seen = HashSet::new();
        let texts = errors.iter().map(ToString::to_string);
        let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
        let message = match &texts[..] {
            [] => subject,
            [only] => format!("{subject}: {only}"),
            many => format!("{subject}: [{}]", many.join(", ")),
        };
        Status::failure(422, "Invalid", message).with(details)
    }

    /// 422: a patch that is well-formed but does not apply.
    pub fn unprocessable() -> Status {
        let message = "the server rejected our request due to an error in our request";
        Status::failure(422, "Invalid", message).with(Details::default())
    }

    /// 403: not allowed, for a reason of the resource's own (admission).
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Status {
        let subject = full_name(resource);
        let message = if name.is_empty() {
            format!("{subject} is forbidden: {why}")
        } else {
            format!("{subject} {} is forbidden: {why}", quote(name))
        };
        Status::about(403, "Forbidden", message, resource, name)
    }

    /// 403: this user may not do this to this resource. `subresource` and `namespace` may be empty.
    pub fn forbidden_access(
        user: &str,
        verb: &str,
        resource: &Resource,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Status {
        let what = (resource.group, resource.plural, subresource);
        Status::forbidden_named(user, verb, what, namespace, name)
    }

    /// The same for something known by group, resource and subresource only; it need not be served.
    pub fn forbidden_named(
        user: &str,
        verb: &str,
        (group, resource, subresource): (&str, &str, &str),
        namespace: &str,
        name: &str,
    ) -> Status {
        let part = if subresource.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}/{subresource}")
        };
        let scope = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", quote(namespace))
        };
        let subject = match name {
            "" => qualified(resource, group),
            name => format!("{} {}", qualified(resource, group), quote(name)),
        };
        let message = format!(
            "{subject} is forbidden: User {} cannot {verb} resource {} in API group {} {scope}",
            quote(user),
            quote(&part),
            quote(group)
        );
        Status::failure(403, "Forbidden", message).with(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        })
    }

    /// 403 with the cause by which clients know that the namespace is on its way out.
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Status {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut status = Status::forbidden(resource, name, &why);
        if let Some(details) = &mut status.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
        }
        status
    }

    /// 200 for a deletion that is complete.
    pub fn success(details: Details) -> Status {
        Status::succeeded(200).with(details)
    }

    /// 201 for a subresource that answers with a `Status` (binding, eviction).
    pub fn created() -> Status {
        Status::succeeded(201)
    }

    /// What a deletion of this object answers.
    pub fn deleted(resource: &Resource, name: &str, uid: &str) -> Status {
        Status::success(Details {
            name: name.to_owned(),
            group: resource.group.to_owned(),
            kind: resource.plural.to_owned(),
            uid: uid.to_owned(),
            ..Details::default()
        })
    }

    fn succeeded(code: u16) -> Status {
        Status {
            code,
            reason: "",
            message: String::new(),
            details: None,
            continue_token: None,
        }
    }

    pub(super) fn failure(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }
    }

    fn about(
        code: u16,
        reason: &'static str,
        message: String,
        resource: &Resource,
        name: &str,
    ) -> Status {
        Status::failure(code, reason, message).with(Details {
            name: name.to_owned(),
            group: resource.group.to_owned(),
            kind: resource.plural.to_owned(),
            ..Details::default()
        })
    }

    pub(super) fn with(mut self, details: Details) -> Status {
        self.details = Some(Box::new(details));
        self
    }
}

/// `leases.coordination.k8s.io`, `pods`.
fn full_name(resource: &Resource) -> String {
    qualified(resource.plural, resource.group)
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

#[cfg(test)]
mod tests;
