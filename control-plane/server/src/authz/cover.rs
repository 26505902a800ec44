//! Whether rules cover others: what somebody has, against what he would give.
//!
//! A role is as large as a body, and its lists multiply. So lists are looked up and not gone through, nothing
//! is copied for each permission, and after so many looks the rest counts as not covered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Rule;

/// Most single permissions looked at: lists multiply.
const MAX_PERMISSIONS: usize = 100_000;
/// Most texts looked up, which takes about a second.
const MAX_LOOKS: usize = 5_000_000;
/// Bytes of a text that count as one look.
const LOOK: usize = 64;

/// What of `wanted` nothing in `held` allows, verbs of the same thing together.
pub(crate) fn uncovered<'r>(held: &[Rule], wanted: &'r [Rule]) -> Vec<Rule<&'r str>> {
    let words = Words::of(wanted);
    let mut held = Held::of(held);
    let mut missing: Vec<Rule<Word>> = Vec::new();
    // Where in `missing` stands what a verb is missing for, and which verbs stand there.
    let mut places: HashMap<Rule<Word>, usize> = HashMap::new();
    let mut told: HashSet<(usize, Word)> = HashSet::new();
    let mut permissions = 0usize;
    for rule in wanted {
        let rule = rule.map(|text| words.word(text));
        if held.cover(&rule, &words) {
            continue;
        }
        let size = rule.size();
        if size == 0 {
            continue;
        }
        permissions = permissions.saturating_add(size);
        if permissions > MAX_PERMISSIONS {
            missing.push(rule);
            continue;
        }
        let things = rule.things();
        for (verb, thing) in pairs(&rule.verbs, &things) {
            let mut single = thing.clone();
            single.verbs.push(*verb);
            if held.cover(&single, &words) {
                continue;
            }
            match places.entry(thing.clone()) {
                Entry::Occupied(place) => {
                    if told.insert((*place.get(), *verb)) {
                        missing[*place.get()].verbs.push(*verb);
                    }
                }
                Entry::Vacant(place) => {
                    told.insert((*place.insert(missing.len()), *verb));
                    missing.push(single);
                }
            }
        }
    }
    missing.sort();
    missing
        .iter()
        .map(|part| part.map(|word| words.texts[*word]))
        .collect()
}

/// A text by its place among all that are wanted: a group that is as long as a body and stands in each of
/// a hundred thousand permissions is compared and hashed as fast as any other.
type Word = usize;

struct Words<'r> {
    /// Sorted.
    texts: Vec<&'r str>,
    places: HashMap<&'r str, Word>,
}

impl<'r> Words<'r> {
    fn of(rules: &'r [Rule]) -> Words<'r> {
        let lists = |rule: &'r Rule| {
            let lists = [&rule.groups, &rule.resources, &rule.names, &rule.urls];
            lists.into_iter().chain([&rule.verbs]).flatten()
        };
        let mut texts: Vec<&str> = rules.iter().flat_map(lists).map(String::as_str).collect();
        texts.sort_unstable();
        texts.dedup();
        let places = texts.iter().enumerate().map(|(at, text)| (*text, at));
        Words {
            places: places.collect(),
            texts,
        }
    }

    fn word(&self, text: &str) -> Word {
        self.places[text]
    }
}

impl<T> Rule<T> {
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
}

impl Rule<Word> {
    /// What it is about, one by one and without verbs.
    fn things(&self) -> Vec<Rule<Word>> {
        let mut things = Vec::new();
        for (group, resource) in pairs(&self.groups, &self.resources) {
            let thing = Rule {
                groups: vec![*group],
                resources: vec![*resource],
                ..Rule::default()
            };
            things.extend(self.names.iter().map(|name| Rule {
                names: vec![*name],
                ..thing.clone()
            }));
            if self.names.is_empty() {
                things.push(thing);
            }
        }
        things.extend(self.urls.iter().map(|url| Rule {
            urls: vec![*url],
            ..Rule::default()
        }));
        things
    }
}

/// Each of the first with each of the second.
fn pairs<'p, A, B>(first: &'p [A], second: &'p [B]) -> impl Iterator<Item = (&'p A, &'p B)> {
    let of = move |a| second.iter().map(move |b| (a, b));
    first.iter().flat_map(of)
}

/// Rules somebody has, so that texts can be looked up in them.
struct Held<'h> {
    rules: Vec<HeldRule<'h>>,
    looks: usize,
}

struct HeldRule<'h> {
    verbs: Texts<'h>,
    groups: Texts<'h>,
    resources: Texts<'h>,
    /// `scale` of `*/scale`.
    parts: HashSet<&'h str>,
    /// None for all names.
    names: Option<HashSet<&'h str>>,
    urls: HashSet<&'h str>,
    /// `/apis/` of `/apis/*`.
    starts: Vec<&'h str>,
}

/// The texts of a list, of which one may stand for all.
struct Texts<'h> {
    any: bool,
    texts: HashSet<&'h str>,
}

impl<'h> Texts<'h> {
    fn of(list: &'h [String]) -> Texts<'h> {
        Texts {
            any: list.iter().any(|one| one == "*"),
            texts: set(list),
        }
    }

    fn have(&self, text: &str) -> bool {
        self.any || self.texts.contains(text)
    }
}

fn set(list: &[String]) -> HashSet<&str> {
    list.iter().map(String::as_str).collect()
}

impl<'h> Held<'h> {
    fn of(rules: &'h [Rule]) -> Held<'h> {
        Held {
            rules: rules.iter().map(HeldRule::of).collect(),
            looks: 0,
        }
    }

    /// Whether one of the rules alone allows everything that is wanted.
    fn cover(&mut self, wanted: &Rule<Word>, words: &Words<'_>) -> bool {
        let Held { rules, looks } = self;
        *looks <= MAX_LOOKS && rules.iter().any(|rule| rule.covers(wanted, words, looks))
    }
}

impl<'h> HeldRule<'h> {
    fn of(rule: &'h Rule) -> HeldRule<'h> {
        let resources = rule.resources.iter();
        let urls = rule.urls.iter();
        HeldRule {
            verbs: Texts::of(&rule.verbs),
            groups: Texts::of(&rule.groups),
            resources: Texts::of(&rule.resources),
            parts: resources.filter_map(|one| one.strip_prefix("*/")).collect(),
            names: (!rule.names.is_empty()).then(|| set(&rule.names)),
            urls: set(&rule.urls),
            starts: urls.filter_map(|one| one.strip_suffix('*')).collect(),
        }
    }

    fn covers(&self, wanted: &Rule<Word>, words: &Words<'_>, looks: &mut usize) -> bool {
        let mut all = |list: &[Word], each: usize, covered: &dyn Fn(&str) -> bool| {
            *looks += 1;
            list.iter().all(|word| {
                let text = words.texts[*word];
                *looks += each + text.len() / LOOK;
                *looks <= MAX_LOOKS && covered(text)
            })
        };
        let resource = |wanted: &str| {
            let part = wanted.split_once('/').map(|(_, part)| part);
            self.resources.have(wanted) || part.is_some_and(|part| self.parts.contains(part))
        };
        let url = |wanted: &str| {
            self.urls.contains(wanted) || self.starts.iter().any(|start| wanted.starts_with(start))
        };
        all(&wanted.verbs, 1, &|verb| self.verbs.have(verb))
            && all(&wanted.groups, 1, &|group| self.groups.have(group))
            && all(&wanted.resources, 1, &resource)
            && self.names.as_ref().is_none_or(|names| {
                !wanted.names.is_empty() && all(&wanted.names, 1, &|name| names.contains(name))
            })
            && all(&wanted.urls, 1 + self.starts.len(), &url)
    }
}

/// As upstream prints rules in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule<&str> {
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

    fn many() -> Vec<String> {
        (0..99_000).map(|number| number.to_string()).collect()
    }

    #[track_caller]
    fn check(held: &[Rule], wanted: &[Rule], missing: &[&str]) {
        let told: Vec<String> = uncovered(held, wanted)
            .iter()
            .map(Rule::to_string)
            .collect();
        assert_eq!(told, missing);
    }

    #[test]
    fn what_is_not_covered_is_told() {
        let held = [
            rule(&[""], &["pods"], &["get", "list"]),
            rule(&[""], &["pods"], &["watch"]),
        ];
        let wanted = [rule(&[""], &["pods", "secrets"], &["get", "watch"])];
        let missing = r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}"#;
        check(&held, &wanted, &[missing]);
        check(&Rule::everything(), &wanted, &[]);
        assert_eq!(uncovered(&held, &Rule::everything()).len(), 2);
        // Lists that multiply beyond measure are not multiplied.
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let huge = Rule {
            groups: many.clone(),
            resources: many.clone(),
            verbs: many,
            ..Rule::default()
        };
        assert_eq!(
            uncovered(&held, std::slice::from_ref(&huge)),
            [huge.map(String::as_str)]
        );
    }

    #[test]
    fn parts_names_and_paths() {
        let held = [
            rule(&["*"], &["*/scale"], &["*"]),
            Rule::of(
                &json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"],
                "resourceNames": ["a", "b"]}),
            ),
            Rule::of(&json!({"nonResourceURLs": ["/healthz", "/apis/*"], "verbs": ["get"]})),
        ];
        check(&held, &[rule(&["apps"], &["x/scale"], &["patch"])], &[]);
        let named = |names: &[&str]| {
            [Rule::of(
                &json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"],
                "resourceNames": names}),
            )]
        };
        check(&held, &named(&["b", "a"]), &[]);
        let missing = r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["c"], Verbs:["get"]}"#;
        check(&held, &named(&["a", "c"]), &[missing]);
        let all = r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#;
        check(&held, &named(&[]), &[all]);
        let paths =
            Rule::of(&json!({"nonResourceURLs": ["/apis/apps", "/apis"], "verbs": ["get"]}));
        check(
            &held,
            &[paths],
            &[r#"{NonResourceURLs:["/apis"], Verbs:["get"]}"#],
        );
    }

    /// Going through a list for each text of another would take minutes, and so would copying a text for each permission.
    #[test]
    fn long_lists() {
        let of = |field: &str, list: Vec<String>| {
            let mut rule =
                json!({"apiGroups": ["x".repeat(1 << 20)], "resources": ["r"], "verbs": ["get"]});
            rule[field] = list.into();
            Rule::of(&rule)
        };
        for field in ["resourceNames", "verbs", "resources"] {
            let backwards = many().into_iter().rev().collect();
            let held = of(field, backwards);
            assert!(uncovered(std::slice::from_ref(&held), &[of(field, many())]).is_empty());
            let none = Rule {
                groups: Vec::new(),
                ..held
            };
            assert!(!uncovered(&[none], &[of(field, many())]).is_empty());
        }
    }

    #[test]
    fn many_rules_beside_many() {
        let rules = |resource: &str| -> Vec<Rule> {
            let one = |name| {
                Rule::of(
                    &json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"],
                    "resourceNames": [name]}),
                )
            };
            many().into_iter().map(one).collect()
        };
        assert_eq!(uncovered(&rules("a"), &rules("b")).len(), many().len());
    }
}
