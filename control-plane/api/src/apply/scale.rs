//! Ownership of the number of replicas, as the `scale` subresource sees it.
//!
//! A Scale stands for a part of its parent. Its managers are those of the parent that own the
//! replicas, and what comes of a write to it is carried over to the parent.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::managed::{Entry, decode, encode};
use super::set::Set;

/// The version of Scale.
const SCALE: &str = "autoscaling/v1";
/// Where a Scale has the replicas.
const REPLICAS: &[&str] = &["spec", "replicas"];

/// The parent of a Scale.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// Its version.
    pub api_version: &'a str,
    /// Where it has the replicas.
    pub replicas: &'a [&'a str],
}

impl Parent<'_> {
    /// The managers of a Scale, from those of its parent.
    pub fn to_scale(&self, managers: Option<&Value>) -> Option<Value> {
        let mut entries = self.entries(managers)?;
        let replicas = Set::field(self.replicas);
        entries.retain(|entry| entry.set.intersects(&replicas));
        for entry in &mut entries {
            entry.api_version = SCALE;
            entry.set = Set::field(REPLICAS);
        }
        encode(entries)
    }

    /// The managers of the parent after a write to its Scale that left `scale` as managers there.
    pub fn to_parent(&self, managers: Option<&Value>, scale: Option<&Value>) -> Option<Value> {
        let before = self.entries(managers)?;
        let after = decode(scale).unwrap_or_default();
        let replicas = Set::field(self.replicas);
        let scalers: HashSet<_> = after.iter().map(Entry::who).collect();
        let times: HashMap<_, _> = before
            .iter()
            .map(|entry| (entry.who(), entry.time))
            .collect();
        // Who owned the replicas before and still does.
        let mut owners = HashSet::new();
        let mut entries: Vec<Entry<'_>> = Vec::with_capacity(before.len() + 1);
        for mut entry in before {
            if entry.set.intersects(&replicas) {
                if scalers.contains(&entry.who()) {
                    owners.insert(entry.who());
                } else {
                    entry.set = entry.set.difference(&replicas);
                }
            }
            if !entry.set.is_empty() {
                entries.push(entry);
            }
        }
        for mut entry in after {
            let who = entry.who();
            let scales = entry.set.intersects(&Set::field(REPLICAS));
            if owners.contains(&who) || !scales || replicas.is_empty() {
                continue;
            }
            entry.time = times.get(&who).copied().flatten();
            entry.api_version = self.api_version;
            entry.set = replicas.clone();
            entries.push(entry);
        }
        encode(entries)
    }

    /// The entries that can be carried over: there is one version of each scalable kind.
    fn entries<'v>(&self, managers: Option<&'v Value>) -> Option<Vec<Entry<'v>>> {
        let mut entries = decode(managers).ok()?;
        entries.retain(|entry| entry.api_version == self.api_version);
        Some(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::super::managed::Operation;
    use super::*;
    use serde_json::json;

    const DEPLOYMENT: Parent<'_> = Parent {
        api_version: "apps/v1",
        replicas: REPLICAS,
    };

    fn entry(manager: &str, operation: Operation, version: &str, fields: &[&str]) -> Value {
        let fields: serde_json::Map<String, Value> = fields
            .iter()
            .map(|name| (format!("f:{name}"), json!({})))
            .collect();
        let operation = format!("{operation:?}");
        json!({
            "manager": manager, "operation": operation, "apiVersion": version,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields},
        })
    }

    fn scaled(mut entry: Value) -> Value {
        entry["subresource"] = json!("scale");
        entry
    }

    #[test]
    fn a_scale_has_the_managers_of_the_replicas() {
        use Operation::{Apply, Update};
        let parent = json!([
            entry("a", Apply, "apps/v1", &["replicas", "selector"]),
            entry("b", Apply, "apps/v1", &["selector"]),
            entry("old", Apply, "apps/v9", &["replicas"]),
            entry("u", Update, "apps/v1", &["replicas"]),
        ]);
        let expected = json!([
            entry("a", Apply, SCALE, &["replicas"]),
            entry("u", Update, SCALE, &["replicas"]),
        ]);
        assert_eq!(DEPLOYMENT.to_scale(Some(&parent)), Some(expected));
        assert_eq!(DEPLOYMENT.to_scale(None), None);
    }

    #[test]
    fn who_scales_takes_the_replicas_over() {
        use Operation::{Apply, Update};
        let check = |parent: Value, scale: Value, expected: Value| {
            let after = DEPLOYMENT.to_parent(Some(&parent), Some(&scale));
            assert_eq!(after, Some(expected));
        };
        // An updater takes them from whoever had them.
        check(
            json!([entry("a", Apply, "apps/v1", &["replicas", "selector"])]),
            json!([scaled(entry("s", Update, SCALE, &["replicas"]))]),
            json!([
                entry("a", Apply, "apps/v1", &["selector"]),
                scaled(entry("s", Update, "apps/v1", &["replicas"])),
            ]),
        );
        // An applier that still has them shares them.
        check(
            json!([entry("a", Apply, "apps/v1", &["replicas", "selector"])]),
            json!([
                entry("a", Apply, SCALE, &["replicas"]),
                scaled(entry("a", Apply, SCALE, &["replicas"])),
            ]),
            json!([
                entry("a", Apply, "apps/v1", &["replicas", "selector"]),
                scaled(entry("a", Apply, "apps/v1", &["replicas"])),
            ]),
        );
        // Who owned nothing else is gone, and so are versions nobody serves.
        check(
            json!([
                entry("a", Apply, "apps/v1", &["replicas"]),
                entry("old", Apply, "apps/v9", &["selector"]),
            ]),
            json!([scaled(entry("s", Update, SCALE, &["replicas"]))]),
            json!([scaled(entry("s", Update, "apps/v1", &["replicas"]))]),
        );
        // Nor does one of a parent that has no place for them.
        let (parent, scale) = (
            json!([entry("a", Apply, "apps/v1", &["selector"])]),
            json!([scaled(entry("s", Update, SCALE, &["replicas"]))]),
        );
        let nowhere = Parent {
            replicas: &[],
            ..DEPLOYMENT
        };
        assert_eq!(nowhere.to_parent(Some(&parent), Some(&scale)), Some(parent));
        // A Scale whose replicas nobody owns changes nothing.
        let parent = json!([entry("a", Apply, "apps/v1", &["selector"])]);
        check(parent.clone(), json!([]), parent);
    }
}
