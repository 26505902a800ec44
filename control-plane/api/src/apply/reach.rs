//! Fields that a write through some endpoint does not reach, so that nobody owns them by it: the
//! status for writers of the object, the spec for writers of the status.

use super::path::PathElement;
use super::set::{Node, Set};
use crate::resource::Resource;

/// A path of field names; `*` stands for any step.
type Names = &'static [&'static str];

/// What an endpoint reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Everything but these fields and what is below them.
    AllBut(&'static [Names]),
    /// Nothing but what is at or below these.
    Only(&'static [Names]),
}

const STATUS: Names = &["status"];
const SPEC: Names = &["spec"];
const METADATA: Names = &["metadata"];

/// Kinds whose status is written without touching any metadata.
const STATUS_WITHOUT_METADATA: [(&str, &str); 7] = [
    (
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
    ),
    ("apiregistration.k8s.io", "apiservices"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    (
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
    ),
    ("networking.k8s.io", "servicecidrs"),
    ("resource.k8s.io", "resourceclaims"),
    ("storage.k8s.io", "volumeattachments"),
];

impl Reach {
    /// An endpoint that reaches everything.
    pub const ALL: Reach = Reach::AllBut(&[]);

    /// What an endpoint of a built-in resource reaches.
    pub fn of(resource: &Resource, subresource: &str) -> Reach {
        let requests = resource.plural == "certificatesigningrequests";
        match subresource {
            "" if requests => Reach::AllBut(&[SPEC, STATUS]),
            "" if resource.has_status() => Reach::AllBut(&[STATUS]),
            "status" if requests => Reach::AllBut(&[SPEC, &["status", "conditions"]]),
            "approval" if requests => Reach::AllBut(&[SPEC, &["status", "certificate"]]),
            "status" => status(resource),
            "finalize" => Reach::AllBut(&[STATUS]),
            "ephemeralcontainers" => Reach::Only(&[&["spec", "ephemeralContainers"]]),
            "resize" => Reach::Only(&[
                &["spec", "containers", "*", "resources"],
                &["spec", "containers", "*", "resizePolicy"],
                &["spec", "initContainers", "*", "resources"],
                &["spec", "initContainers", "*", "resizePolicy"],
            ]),
            _ => Reach::ALL,
        }
    }

    /// What an endpoint of a custom resource reaches.
    pub(super) fn custom(resource: &Resource, subresource: &str) -> Reach {
        match subresource {
            "status" => Reach::AllBut(&[SPEC, METADATA]),
            "" if resource.has_status() => Reach::AllBut(&[STATUS]),
            _ => Reach::ALL,
        }
    }

    /// What of a set is within reach.
    pub(super) fn filter(self, mut set: Set<'_>) -> Set<'_> {
        match self {
            Reach::AllBut(paths) => {
                for path in paths {
                    set.cut(path);
                }
                set
            }
            Reach::Only(paths) => only(&set, paths),
        }
    }
}

fn status(resource: &Resource) -> Reach {
    if STATUS_WITHOUT_METADATA.contains(&(resource.group, resource.plural)) {
        return Reach::AllBut(&[SPEC, METADATA]);
    }
    match (resource.group, resource.plural) {
        ("", "pods") => Reach::AllBut(&[
            SPEC,
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ]),
        ("apps", "deployments") => Reach::AllBut(&[SPEC, &["metadata", "labels"]]),
        _ => Reach::AllBut(&[SPEC]),
    }
}

fn only<'a>(set: &Set<'a>, paths: &[Names]) -> Set<'a> {
    let nodes = set.nodes().iter().filter_map(|(element, node)| {
        let rests: Vec<Names> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| **first == "*" || *element == PathElement::Field(first))
            .map(|(_, rest)| rest)
            .collect();
        if rests.is_empty() {
            return None;
        }
        let children = if rests.iter().any(|rest| rest.is_empty()) {
            node.children.clone()
        } else {
            only(&node.children, &rests)
        };
        let node = Node {
            member: node.member,
            children,
        };
        Some((element.clone(), node))
    });
    Set::of(nodes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::fields_v1;
    use crate::resource::find;
    use serde_json::json;

    #[test]
    fn writers_own_what_they_reach() {
        let pods = find("", "v1", "pods").expect("served");
        let configmaps = find("", "v1", "configmaps").expect("served");
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {"f:x": {}}},
            "f:spec": {
                ".": {},
                "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:resources": {"f:limits": {}}}},
                "f:ephemeralContainers": {"k:{\"name\":\"e\"}": {".": {}, "f:image": {}}},
            },
            "f:status": {"f:phase": {}},
        });
        let set = fields_v1::decode(&fields).expect("a set");
        let check = |resource, subresource, expected: &str| {
            let kept = Reach::of(resource, subresource).filter(set.clone());
            assert_eq!(
                kept.to_string().replace('\n', " "),
                expected,
                "{subresource}"
            );
        };
        check(configmaps, "", &set.to_string().replace('\n', " "));
        check(
            pods,
            "",
            ".spec .metadata.labels.a .metadata.ownerReferences.x .spec.containers[name=\"c\"] \
             .spec.containers[name=\"c\"].image .spec.containers[name=\"c\"].resources.limits \
             .spec.ephemeralContainers[name=\"e\"] .spec.ephemeralContainers[name=\"e\"].image",
        );
        check(pods, "status", ".metadata.labels.a .status.phase");
        check(
            pods,
            "ephemeralcontainers",
            ".spec .spec.ephemeralContainers[name=\"e\"] .spec.ephemeralContainers[name=\"e\"].image",
        );
        check(
            pods,
            "resize",
            ".spec .spec.containers[name=\"c\"] .spec.containers[name=\"c\"].resources.limits",
        );
    }
}
