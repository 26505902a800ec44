//! Groups below `k8s.io` and `kubernetes.io` are the community's: a definition of one must say where
//! it was approved, or that it was not.

use serde_json::Value;

use crate::object;
use crate::status::{FieldError, quote};

const ANNOTATION: &str = "api-approved.kubernetes.io";

/// What the annotation says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Invalid,
    Approved,
    Bypassed,
    Missing,
}

fn is_protected(definition: &Value) -> bool {
    let group = object::text(definition, "spec.group");
    ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        group
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn state(definition: &Value) -> (State, String) {
    const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    let annotation = object::annotation(definition, ANNOTATION).unwrap_or("");
    let must = format!("protected groups must have approval annotation {ANNOTATION:?}");
    let host = annotation.split_once("://");
    let url = host.is_some_and(|(scheme, rest)| {
        let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let host = rest.split('/').next().unwrap_or("");
        letters && !scheme.is_empty() && !host.is_empty()
    });
    match annotation {
        "" => (State::Missing, format!("{must}, {SEE}")),
        text if text.starts_with("unapproved") => {
            (State::Bypassed, format!("not approved: {}", quote(text)))
        }
        text if url => (State::Approved, format!("approved in {text}")),
        _ => (
            State::Invalid,
            format!("{must} with either a URL or a reason starting with \"unapproved\", {SEE}"),
        ),
    }
}

/// The condition about approval: whether it holds, its reason and message. None for other groups.
pub(super) fn condition(definition: &Value) -> Option<(bool, &'static str, String)> {
    if !is_protected(definition) {
        return None;
    }
    let (state, message) = state(definition);
    Some(match state {
        State::Invalid => (false, "InvalidAnnotation", message),
        State::Missing => (false, "MissingAnnotation", message),
        State::Approved => (true, "ApprovedAnnotation", message),
        State::Bypassed => (false, "UnapprovedAnnotation", message),
    })
}

/// What is wrong with the annotation; what an update leaves as it was is not looked at.
pub(crate) fn validate(new: &Value, old: Option<&Value>) -> Option<FieldError> {
    let (state, reason) = state(new);
    let unchanged = old.is_some_and(|old| self::state(old).0 == state);
    if !is_protected(new) || unchanged {
        return None;
    }
    let path = format!("metadata.annotations[{ANNOTATION}]");
    let annotation = object::annotation(new, ANNOTATION).unwrap_or("");
    match state {
        State::Invalid => Some(FieldError::invalid(path, annotation, reason)),
        State::Missing => Some(FieldError::required(path, reason)),
        State::Approved | State::Bypassed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn protected_groups_need_approval() {
        let check = |group: &str, annotation: &str, refused: bool, reason: Option<&str>| {
            let definition = json!({"metadata": {"annotations": {ANNOTATION: annotation}},
                "spec": {"group": group}});
            assert_eq!(
                validate(&definition, None).is_some(),
                refused,
                "{group} {annotation}"
            );
            assert_eq!(
                condition(&definition).map(|it| it.1),
                reason,
                "{group} {annotation}"
            );
            assert!(validate(&definition, Some(&definition)).is_none());
        };
        check("example.com", "", false, None);
        check("notk8s.io", "", false, None);
        check("k8s.io", "", true, Some("MissingAnnotation"));
        check("a.kubernetes.io", "x", true, Some("InvalidAnnotation"));
        check(
            "a.k8s.io",
            "https://a.b/c",
            false,
            Some("ApprovedAnnotation"),
        );
        check(
            "a.k8s.io",
            "unapproved, test",
            false,
            Some("UnapprovedAnnotation"),
        );
    }
}
