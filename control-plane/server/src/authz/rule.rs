//! Policy rules, and what they allow.

use sampan_api::object;
use serde_json::Value;

use super::{Attributes, Object, What};

/// One rule of a role, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule<T = String> {
    pub(crate) groups: Vec<T>,
    pub(crate) resources: Vec<T>,
    pub(crate) names: Vec<T>,
    pub(crate) urls: Vec<T>,
    pub(crate) verbs: Vec<T>,
}

impl<T> Rule<T> {
    /// The same rule of other texts, or of what stands for them.
    pub(super) fn map<'r, U>(&'r self, each: impl Fn(&'r T) -> U) -> Rule<U> {
        let list = |list: &'r [T]| list.iter().map(&each).collect();
        Rule {
            groups: list(&self.groups),
            resources: list(&self.resources),
            names: list(&self.names),
            urls: list(&self.urls),
            verbs: list(&self.verbs),
        }
    }
}

impl Rule {
    /// Of a rule as roles carry it.
    pub(crate) fn of(value: &Value) -> Rule {
        let list = |field: &str| {
            let items = object::items(value, field).iter();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Rule {
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
            verbs: list("verbs"),
        }
    }

    /// All rules of a role.
    pub(crate) fn all(role: &Value) -> Vec<Rule> {
        object::items(role, "rules").iter().map(Rule::of).collect()
    }

    /// Everything on everything, which two rules say.
    pub(crate) fn everything() -> [Rule; 2] {
        let any = || vec!["*".to_owned()];
        [
            Rule {
                groups: any(),
                resources: any(),
                verbs: any(),
                ..Rule::default()
            },
            Rule {
                urls: any(),
                verbs: any(),
                ..Rule::default()
            },
        ]
    }

    pub(super) fn allows(&self, asked: &Attributes<'_>) -> bool {
        has(&self.verbs, asked.verb)
            && match &asked.what {
                What::Path(path) => self.urls.iter().any(|url| url_covers(url, path)),
                What::Resource(object) => {
                    has(&self.groups, object.group)
                        && self.speaks_of(object)
                        && (self.names.is_empty()
                            || self.names.iter().any(|name| name == object.name))
                }
            }
    }

    fn speaks_of(&self, object: &Object<'_>) -> bool {
        self.resources.iter().any(|resource| {
            if resource == "*" {
                return true;
            }
            match resource.split_once('/') {
                None => object.subresource.is_empty() && resource == object.resource,
                Some((resource, part)) => {
                    part == object.subresource
                        && !part.is_empty()
                        && (resource == "*" || resource == object.resource)
                }
            }
        })
    }
}

/// Whether a list names the text, or everything.
fn has(list: &[String], text: &str) -> bool {
    list.iter().any(|one| one == "*" || one == text)
}

fn url_covers(rule: &str, path: &str) -> bool {
    rule == "*"
        || rule == path
        || rule
            .strip_suffix('*')
            .is_some_and(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Rule {
        Rule::of(&json!({"apiGroups": groups, "resources": resources, "verbs": verbs}))
    }

    #[test]
    fn rules_allow_what_they_say() {
        let asks = |verb: &'static str, group, resource, subresource, name| Attributes {
            verb,
            what: What::Resource(Object {
                group,
                resource,
                subresource,
                namespace: "n",
                name,
                fields: None,
            }),
        };
        let pods = rule(
            &[""],
            &["pods", "*/scale", "services/status"],
            &["get", "list"],
        );
        for (asked, allowed) in [
            (asks("get", "", "pods", "", "p"), true),
            (asks("watch", "", "pods", "", "p"), false),
            (asks("get", "apps", "pods", "", "p"), false),
            (asks("get", "", "pods", "log", "p"), false),
            (asks("get", "", "anything", "scale", "p"), true),
            (asks("get", "", "services", "status", "p"), true),
            (asks("get", "", "services", "", "p"), false),
        ] {
            assert_eq!(pods.allows(&asked), allowed, "{asked:?}");
        }
        assert!(Rule::everything()[0].allows(&asks("get", "x", "y", "z", "")));
        let named = Rule::of(
            &json!({"apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"], "verbs": ["*"]}),
        );
        assert!(named.allows(&asks("get", "", "pods", "", "a")));
        assert!(!named.allows(&asks("list", "", "pods", "", "")));
        let paths =
            Rule::of(&json!({"nonResourceURLs": ["/healthz", "/apis/*"], "verbs": ["get"]}));
        let path = |path| Attributes {
            verb: "get",
            what: What::Path(path),
        };
        assert!(paths.allows(&path("/healthz")) && paths.allows(&path("/apis/apps")));
        assert!(!paths.allows(&path("/healthz/etcd")) && !paths.allows(&path("/apis")));
    }
}
