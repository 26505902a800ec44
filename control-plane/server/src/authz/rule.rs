//! Policy rules: what they allow, and whether some cover others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use sampan_api::object;
use serde_json::Value;

use super::{Attributes, Object, What};

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule {
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) urls: Vec<String>,
    pub(crate) verbs: Vec<String>,
}

/// Most single permissions looked at to see whether rules cover others: lists multiply.
const MAX_PERMISSIONS: usize = 100_000;

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

    /// Whether this rule alone allows everything the other does.
    fn covers(&self, other: &Rule) -> bool {
        let listed = |mine: &[String], theirs: &[String]| theirs.iter().all(|one| has(mine, one));
        let resources = other.resources.iter().all(|wanted| {
            self.resources.iter().any(|resource| {
                let part = wanted.split_once('/').map(|(_, part)| part);
                resource == "*"
                    || resource == wanted
                    || resource
                        .strip_prefix("*/")
                        .is_some_and(|mine| part == Some(mine))
            })
        });
        let names = self.names.is_empty()
            || !other.names.is_empty() && other.names.iter().all(|name| self.names.contains(name));
        let urls = other
            .urls
            .iter()
            .all(|wanted| self.urls.iter().any(|url| url_covers(url, wanted)));
        listed(&self.verbs, &other.verbs)
            && listed(&self.groups, &other.groups)
            && resources
            && names
            && urls
    }

    /// How many single permissions it is made of.
    fn size(&self) -> usize {
        let objects = [&self.groups, &self.resources]
            .iter()
            .fold(self.names.len().max(1), |size, list| {
                size.saturating_mul(list.len())
            });
        objects
            .saturating_add(self.urls.len())
            .saturating_mul(self.verbs.len())
    }

    /// The single permissions it is made of.
    fn single(&self) -> Vec<Rule> {
        let mut all = Vec::new();
        let one = |text: &String| vec![text.clone()];
        for verb in &self.verbs {
            for group in &self.groups {
                for resource in &self.resources {
                    let rule = Rule {
                        groups: one(group),
                        resources: one(resource),
                        verbs: one(verb),
                        ..Rule::default()
                    };
                    if self.names.is_empty() {
                        all.push(rule.clone());
                    }
                    all.extend(self.names.iter().map(|name| Rule {
                        names: one(name),
                        ..rule.clone()
                    }));
                }
            }
            all.extend(self.urls.iter().map(|url| Rule {
                urls: one(url),
                verbs: one(verb),
                ..Rule::default()
            }));
        }
        all
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

/// What of `wanted` nothing in `held` allows, verbs of the same thing together.
pub(crate) fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut missing: Vec<Rule> = Vec::new();
    // Where in `missing` stands what a verb is missing for.
    let mut places: HashMap<Rule, usize> = HashMap::new();
    let mut looked_at = 0usize;
    for rule in wanted {
        if held.iter().any(|mine| mine.covers(rule)) {
            continue;
        }
        looked_at = looked_at.saturating_add(rule.size());
        if looked_at > MAX_PERMISSIONS {
            missing.push(rule.clone());
            continue;
        }
        for single in rule.single() {
            if held.iter().any(|mine| mine.covers(&single)) {
                continue;
            }
            let mut what = single.clone();
            let verbs = std::mem::take(&mut what.verbs);
            match places.entry(what) {
                Entry::Occupied(place) => {
                    let known: &mut Rule = &mut missing[*place.get()];
                    let new = verbs.into_iter().filter(|verb| !known.verbs.contains(verb));
                    known.verbs.extend(new.collect::<Vec<_>>());
                }
                Entry::Vacant(place) => {
                    place.insert(missing.len());
                    missing.push(single);
                }
            }
        }
    }
    missing.sort();
    missing
}

/// As upstream prints rules in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let mut parts = Vec::new();
        for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            let quoted: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
            parts.push(format!("{name}:[{}]", quoted.join(" ")));
        }
        write!(out, "{{{}}}", parts.join(", "))
    }
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

    #[test]
    fn what_is_not_covered_is_told() {
        let held = [
            rule(&[""], &["pods"], &["get", "list"]),
            rule(&[""], &["pods"], &["watch"]),
        ];
        let wanted = [rule(&[""], &["pods", "secrets"], &["get", "watch"])];
        let missing = uncovered(&held, &wanted);
        assert_eq!(missing, [rule(&[""], &["secrets"], &["get", "watch"])]);
        assert_eq!(
            missing[0].to_string(),
            r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}"#
        );
        assert!(uncovered(&Rule::everything(), &wanted).is_empty());
        assert_eq!(uncovered(&held, &Rule::everything()).len(), 2);
        // Lists that multiply beyond measure are not multiplied.
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let huge = Rule {
            groups: many.clone(),
            resources: many.clone(),
            verbs: many,
            ..Rule::default()
        };
        assert_eq!(uncovered(&held, std::slice::from_ref(&huge)), [huge]);
    }
}
