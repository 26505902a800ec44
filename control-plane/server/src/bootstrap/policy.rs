//! Roles and bindings that exist from the first start on, out of `policy.txt`, which explains its form.

use sampan_api::object;
use serde_json::{Map, Value, json};

use crate::authz::GROUP;

const TEXT: &str = include_str!("policy.txt");
const GATHERS: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// All of them, roles before what binds them. An aggregated role has its rules from the start: who runs no controller
/// for it gets what upstream's would make of these.
pub(super) fn objects() -> Vec<Value> {
    let (mut roles, mut bindings): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["role", name, ref options @ ..] => roles.push(role(name, options)),
            ["bind", name, role, ref subjects @ ..] => bindings.push(binding(name, role, subjects)),
            ["bound", ref subjects @ ..] => {
                if let Some(role) = roles.last() {
                    let (namespace, name) = (object::namespace(role), object::name(role));
                    let full = match namespace {
                        "" => name.to_owned(),
                        namespace => format!("{namespace}/{name}"),
                    };
                    bindings.push(binding(&full, name, subjects));
                }
            }
            [verbs, ref rest @ ..] if !rest.is_empty() => {
                if let Some(rules) = roles
                    .last_mut()
                    .and_then(|role| role["rules"].as_array_mut())
                {
                    rules.push(rule(verbs, rest));
                }
            }
            _ => {}
        }
    }
    for at in 0..roles.len() {
        let rules = gathered(&roles, &roles[at]);
        roles[at]["rules"] = rules.into();
    }
    roles.append(&mut bindings);
    roles
}

fn list(words: &str) -> Vec<&str> {
    let name = |word| if word == "core" { "" } else { word };
    words.split(',').map(name).collect()
}

fn rule(verbs: &str, rest: &[&str]) -> Value {
    match *rest {
        [groups, resources] => {
            json!({"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)})
        }
        [groups, resources, names, ..] => json!({
            "verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources),
            "resourceNames": list(names),
        }),
        _ => json!({"verbs": list(verbs), "nonResourceURLs": list(rest.first().unwrap_or(&""))}),
    }
}

fn metadata(full: &str) -> (Value, bool) {
    let mut metadata = json!({
        "name": full,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    });
    let namespaced = full.split_once('/');
    if let Some((namespace, name)) = namespaced {
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(namespace);
    }
    (metadata, namespaced.is_some())
}

fn role(full: &str, options: &[&str]) -> Value {
    let (metadata, namespaced) = metadata(full);
    let kind = if namespaced { "Role" } else { "ClusterRole" };
    let mut role = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": metadata, "rules": [],
    });
    for option in options {
        if let Some(to) = option.strip_prefix("to=") {
            role["metadata"]["labels"][format!("{GATHERS}{to}")] = json!("true");
        }
        if let Some(from) = option.strip_prefix("from=") {
            let labels = Map::from_iter([(format!("{GATHERS}{from}"), json!("true"))]);
            role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
        }
    }
    role
}

fn binding(full: &str, role: &str, subjects: &[&str]) -> Value {
    let (metadata, namespaced) = metadata(full);
    let (kind, role_kind) = if namespaced {
        ("RoleBinding", "Role")
    } else {
        ("ClusterRoleBinding", "ClusterRole")
    };
    let subjects: Vec<Value> = subjects
        .iter()
        .filter_map(|subject| self::subject(subject))
        .collect();
    let mut binding = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
    });
    if !subjects.is_empty() {
        binding["subjects"] = subjects.into();
    }
    binding
}

fn subject(word: &str) -> Option<Value> {
    let (kind, name) = word.split_once(':')?;
    Some(match kind {
        "group" => json!({"apiGroup": GROUP, "kind": "Group", "name": name}),
        "user" => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
        _ => {
            let (namespace, name) = name.split_once('/')?;
            json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
    })
}

/// The rules of a role: its own, or those of the roles it gathers from.
fn gathered(roles: &[Value], role: &Value) -> Vec<Value> {
    let selectors = object::items(role, "aggregationRule.clusterRoleSelectors");
    let Some((label, _)) = selectors
        .first()
        .and_then(|selector| object::entries(selector, "matchLabels").next())
    else {
        return object::items(role, "rules").to_vec();
    };
    let mut rules: Vec<Value> = Vec::new();
    for other in roles
        .iter()
        .filter(|other| object::label(other, label).is_some())
    {
        for rule in gathered(roles, other) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_whole() {
        let objects = objects();
        let find = |kind: &str, name: &str| {
            let found = objects
                .iter()
                .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
            found.unwrap_or_else(|| panic!("{kind} {name}"))
        };
        let count = |kind: &str| {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .count()
        };
        // Upstream's, one of ours each.
        assert_eq!(
            (count("ClusterRole"), count("ClusterRoleBinding")),
            (69 + 1, 50 + 2)
        );
        assert_eq!((count("Role"), count("RoleBinding")), (7, 7));
        let admin = find("ClusterRole", "cluster-admin");
        assert_eq!(
            admin["rules"][1],
            json!({"verbs": ["*"], "nonResourceURLs": ["*"]})
        );
        let view = find("ClusterRole", "view");
        let edit = find("ClusterRole", "edit");
        assert!(view["rules"].as_array().expect("rules").len() == 12);
        assert!(edit["rules"].as_array().expect("rules").len() > 20);
        assert_eq!(
            edit["metadata"]["labels"][format!("{GATHERS}admin")],
            "true"
        );
        let reader = find(
            "RoleBinding",
            "system::extension-apiserver-authentication-reader",
        );
        assert_eq!(reader["metadata"]["namespace"], "kube-system");
        assert_eq!(
            reader["roleRef"]["name"],
            "extension-apiserver-authentication-reader"
        );
        for object in &objects {
            if object["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("Binding"))
            {
                let role = object["roleRef"]["name"].as_str().expect("a role");
                find(object["roleRef"]["kind"].as_str().expect("a kind"), role);
            } else {
                assert!(!object::is_empty(object, "rules"), "{object}");
            }
        }
    }
}
