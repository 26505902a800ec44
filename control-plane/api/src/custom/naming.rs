//! Which names a definition gets: those it asks for, unless another of its group has them already.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::approval;
use super::conditions::{self, Condition, ESTABLISHED, NO_CONFLICTS, NOT_ACCEPTED};
use super::definition::Names;
use crate::object;

/// The names definitions of a group have, and how many have each.
#[derive(Debug, Default)]
pub struct UsedNames {
    resources: HashMap<String, usize>,
    kinds: HashMap<String, usize>,
}

impl UsedNames {
    /// Adds the names a definition was given.
    pub fn add(&mut self, names: &Names) {
        self.each(names, |used, name| {
            *used.entry(name.to_owned()).or_default() += 1;
        });
    }

    /// Takes them out again: a definition is in no conflict with itself.
    pub fn remove(&mut self, names: &Names) {
        self.each(names, |used, name| {
            if let Some(count) = used.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    used.remove(name);
                }
            }
        });
    }

    fn each(&mut self, names: &Names, change: impl Fn(&mut HashMap<String, usize>, &str)) {
        let short = names.short_names.iter();
        for name in [&names.plural, &names.singular].into_iter().chain(short) {
            change(&mut self.resources, name);
        }
        for name in [&names.kind, &names.list_kind] {
            change(&mut self.kinds, name);
        }
    }
}

/// The definition with the names it gets and the conditions that follow. `now` is the time of those
/// that begin or cease to hold.
pub fn accept(definition: &Value, used: &UsedNames, now: &str) -> Value {
    let wanted = names(definition, "spec.names");
    let before = names(definition, "status.acceptedNames");
    let (given, conflict) = choose(&wanted, &before, used);
    let mut new = definition.clone();
    object::set(&mut new, "status.acceptedNames", written(&given));
    let accepted = match &conflict {
        None => NO_CONFLICTS,
        Some((reason, message)) => Condition {
            kind: "NamesAccepted",
            holds: false,
            reason,
            message,
        },
    };
    conditions::set(&mut new, accepted, now);
    // What was established once stays so.
    if !conditions::holds(definition, "Established") {
        let established = match conflict {
            None => ESTABLISHED,
            Some(_) => NOT_ACCEPTED,
        };
        conditions::set(&mut new, established, now);
    }
    if let Some((holds, reason, message)) = approval::condition(definition) {
        let condition = Condition {
            kind: "KubernetesAPIApprovalPolicyConformant",
            holds,
            reason,
            message: &message,
        };
        conditions::set(&mut new, condition, now);
    }
    new
}

/// Names as they stand in a definition.
pub fn names(definition: &Value, path: &str) -> Names {
    let found = object::get(definition, path);
    found
        .and_then(|value| Names::deserialize(value).ok())
        .unwrap_or_default()
}

fn written(names: &Names) -> Value {
    let mut written = json!({"plural": names.plural, "kind": names.kind});
    for (field, text) in [
        ("singular", &names.singular),
        ("listKind", &names.list_kind),
    ] {
        if !text.is_empty() {
            written[field] = json!(text);
        }
    }
    for (field, list) in [
        ("shortNames", &names.short_names),
        ("categories", &names.categories),
    ] {
        if !list.is_empty() {
            written[field] = json!(list);
        }
    }
    written
}

/// What is given, and the last conflict there was: reason and message.
fn choose(
    wanted: &Names,
    before: &Names,
    used: &UsedNames,
) -> (Names, Option<(&'static str, String)>) {
    let mut given = before.clone();
    let mut conflict = None;
    let resources = |name: &String| used.resources.contains_key(name);
    let kinds = |name: &String| used.kinds.contains_key(name);
    let mut one = |reason, wanted: &String, before: &mut String, taken: bool| {
        if wanted != before && taken {
            conflict = Some((reason, format!("{wanted:?} is already in use")));
        } else {
            before.clone_from(wanted);
        }
    };
    let (plural, singular) = (resources(&wanted.plural), resources(&wanted.singular));
    one("PluralConflict", &wanted.plural, &mut given.plural, plural);
    one(
        "SingularConflict",
        &wanted.singular,
        &mut given.singular,
        singular,
    );
    let (kind, list_kind) = (kinds(&wanted.kind), kinds(&wanted.list_kind));
    one("KindConflict", &wanted.kind, &mut given.kind, kind);
    one(
        "ListKindConflict",
        &wanted.list_kind,
        &mut given.list_kind,
        list_kind,
    );
    let own: HashSet<&String> = before.short_names.iter().collect();
    let taken: Vec<String> = wanted
        .short_names
        .iter()
        .filter(|name| !own.contains(name) && resources(name))
        .map(|name| format!("{name:?} is already in use"))
        .collect();
    match taken.len() {
        0 => given.short_names.clone_from(&wanted.short_names),
        1 => conflict = Some(("ShortNamesConflict", taken.concat())),
        _ => conflict = Some(("ShortNamesConflict", format!("[{}]", taken.join(", ")))),
    }
    given.categories.clone_from(&wanted.categories);
    (given, conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(kind: &str, short: &[&str]) -> Value {
        let lower = kind.to_lowercase();
        json!({"metadata": {"name": format!("{lower}s.a.io")}, "spec": {"group": "a.io", "names": {
            "plural": format!("{lower}s"), "singular": lower, "kind": kind,
            "listKind": format!("{kind}List"), "shortNames": short, "categories": ["all"]}}})
    }

    #[test]
    fn free_names_are_given() {
        let wanted = definition("Tab", &["t"]);
        let accepted = accept(&wanted, &UsedNames::default(), "now");
        assert_eq!(accepted["status"]["acceptedNames"], wanted["spec"]["names"]);
        assert!(conditions::holds(&accepted, "NamesAccepted"));
        assert!(conditions::holds(&accepted, "Established"));
        let again = accept(&accepted, &UsedNames::default(), "later");
        assert_eq!(again, accepted);
    }

    #[test]
    fn names_are_free_again_when_nobody_has_them() {
        let names = names(&definition("Tab", &["t", "t"]), "spec.names");
        let mut used = UsedNames::default();
        let conflicts = |used: &UsedNames| choose(&names, &Names::default(), used).1.is_some();
        used.add(&names);
        used.add(&names);
        used.remove(&names);
        assert!(conflicts(&used));
        used.remove(&names);
        assert!(!conflicts(&used) && used.resources.is_empty() && used.kinds.is_empty());
    }

    #[test]
    fn names_in_use_are_not() {
        let mut used = UsedNames::default();
        used.add(&names(
            &accept(&definition("Tab", &["t"]), &UsedNames::default(), "now"),
            "status.acceptedNames",
        ));
        let refused = accept(&definition("Other", &["t", "o"]), &used, "now");
        assert!(!conditions::holds(&refused, "NamesAccepted"));
        assert!(!conditions::holds(&refused, "Established"));
        let names = &refused["status"]["acceptedNames"];
        assert_eq!(
            (names["kind"].as_str(), &names["shortNames"]),
            (Some("Other"), &Value::Null)
        );
        let conditions = object::items(&refused, "status.conditions");
        assert_eq!(conditions[0]["reason"], "ShortNamesConflict");
        assert_eq!(conditions[0]["message"], r#""t" is already in use"#);
        let mut same_kind = definition("Tab", &[]);
        object::set(&mut same_kind, "spec.names.plural", "tables");
        object::set(&mut same_kind, "spec.names.singular", "table");
        let refused = accept(&same_kind, &used, "now");
        let reasons = object::items(&refused, "status.conditions");
        assert_eq!(reasons[0]["reason"], "ListKindConflict");
        assert_eq!(reasons[1]["reason"], "NotAccepted");
        // A name that becomes free is given then.
        let accepted = accept(&refused, &UsedNames::default(), "now");
        assert!(conditions::holds(&accepted, "Established"));
    }
}
