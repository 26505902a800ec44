//! What holds for any object and any configuration.

use proptest::prelude::*;
use serde_json::json;

use super::random::{Dice, Size, complete, mutated, object};
use super::*;
use crate::apply::extract::fields;
use crate::apply::managed::decode;
use crate::apply::path::PathElement;
use crate::apply::set::{Set, shown};
use crate::apply::track::owned;
use crate::decode;
use crate::object::get;
use crate::schema::Shape;

const KINDS: [(&str, &str); 8] = [
    ("io.k8s.api.core.v1.Pod", "v1"),
    ("io.k8s.api.apps.v1.Deployment", "apps/v1"),
    ("io.k8s.api.core.v1.Service", "v1"),
    ("io.k8s.api.core.v1.ConfigMap", "v1"),
    ("io.k8s.api.core.v1.Node", "v1"),
    ("io.k8s.api.networking.v1.Ingress", "networking.k8s.io/v1"),
    ("io.k8s.api.rbac.v1.Role", "rbac.authorization.k8s.io/v1"),
    ("io.k8s.api.core.v1.PersistentVolume", "v1"),
];

/// A kind, and what makes objects of it.
struct Maker {
    kind: Kind<'static>,
    type_name: &'static str,
    dice: Dice,
}

impl Maker {
    fn new(seed: u64) -> Maker {
        let mut dice = Dice::new(seed);
        let (type_name, api_version) = dice.pick(&KINDS);
        Maker {
            kind: kind(type_name, api_version, ""),
            type_name,
            dice,
        }
    }

    fn make(&mut self, partial: bool, duplicates: bool) -> Value {
        let size = Size {
            fields: 30,
            partial,
            duplicates,
        };
        let value = object(&mut self.dice, self.kind.ty, size);
        self.finish(value, !partial)
    }

    fn finish(&mut self, mut value: Value, whole: bool) -> Value {
        value["apiVersion"] = self.kind.api_version.into();
        value["kind"] = self.kind.kind.into();
        if !value["metadata"].is_object() {
            value["metadata"] = json!({});
        }
        value["metadata"]["name"] = "x".into();
        complete(
            &mut self.dice,
            &mut value,
            &Shape::Object(self.kind.ty),
            whole,
        );
        value
    }

    fn config(&mut self) -> Value {
        self.make(true, false)
    }

    /// An object as the server keeps it.
    fn stored(&self, value: Value) -> Value {
        let mut value = decode::value(value, self.type_name)
            .expect("an object")
            .value;
        value["metadata"]["uid"] = "u".into();
        value
    }

    fn created(&mut self) -> Value {
        let duplicates = self.dice.chance(20);
        let value = self.make(false, duplicates);
        let mut value = self.stored(value);
        crate::object::remove(&mut value, "metadata.uid");
        tracked(&self.kind, writer("creator"), None, &mut value);
        self.stored(value)
    }

    fn applied(
        &self,
        live: &Value,
        manager: &'static str,
        config: &Value,
        force: bool,
    ) -> Result<Value, crate::status::Status> {
        let merged = apply(&self.kind, writer(manager), Some(live), config, force)?;
        Ok(self.stored(merged))
    }
}

/// Whether there is more at a path than an empty object, which says nothing.
fn says(object: &Value, path: &[PathElement<'_>]) -> bool {
    let found = path.iter().try_fold(object, |value, step| match step {
        PathElement::Field(name) => value.get(*name),
        _ => None,
    });
    found.is_none_or(|value| *value != json!({}))
}

/// Whether the set has something at or below a path.
fn leads_into(path: &[PathElement<'_>], set: &Set<'_>) -> bool {
    let below = path
        .iter()
        .try_fold(set, |set, step| Some(&set.get(step)?.children));
    below.is_some()
}

fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key, without_empty(value)));
            let kept = kept.filter(|(_, value)| *value != json!({}));
            Value::Object(kept.map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(items) => items.iter().map(without_empty).collect(),
        scalar => scalar.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn applying_twice_is_applying_once(seed: u64) {
        let mut maker = Maker::new(seed);
        let (live, config) = (maker.created(), maker.config());
        let once = maker.applied(&live, "applier", &config, true).expect("forced");
        let twice = maker.applied(&once, "applier", &config, false).expect("no conflict is left");
        prop_assert_eq!(&twice, &once);
        // Somebody else who wants the same meets no conflict, and changes nothing but the owners.
        let other = maker.applied(&once, "other", &config, false).expect("no conflict");
        let [other, once] = [other, once].map(|mut one| {
            crate::object::remove(&mut one, "metadata.managedFields");
            one
        });
        prop_assert_eq!(other, once);
    }

    #[test]
    fn who_applies_owns_what_the_configuration_mentions(seed: u64) {
        let mut maker = Maker::new(seed);
        let (live, config) = (maker.created(), maker.config());
        let applied = maker.applied(&live, "applier", &config, true).expect("forced");
        let said = maker.kind.reach.filter(owned(fields(&config, maker.kind.place()).expect("fields")));
        let managers = decode(get(&applied, "metadata.managedFields")).expect("managers");
        let own = managers.iter().find(|entry| entry.manager == "applier").map(|entry| entry.set.clone());
        prop_assert_eq!(own.unwrap_or_default(), said);
    }

    #[test]
    fn who_creates_owns_all_there_is(seed: u64) {
        let mut maker = Maker::new(seed);
        let value = maker.make(false, false);
        let mut value = maker.stored(without_empty(&value));
        crate::object::remove(&mut value, "metadata.uid");
        let said = maker.kind.reach.filter(owned(fields(&value, maker.kind.place()).expect("fields")));
        let mut created = value.clone();
        tracked(&maker.kind, writer("creator"), None, &mut created);
        let managers = decode(get(&created, "metadata.managedFields")).expect("managers");
        let own = managers.first().map(|entry| entry.set.clone()).unwrap_or_default();
        prop_assert_eq!(said.difference(&own).to_string(), "");
    }

    #[test]
    fn what_is_not_applied_any_more_goes_unless_owned(seed: u64) {
        let mut maker = Maker::new(seed);
        let (live, first) = (maker.created(), maker.config());
        let fresh = maker.config();
        let second = mutated(&mut maker.dice, &first, &fresh);
        let second = maker.finish(second, false);
        let once = maker.applied(&live, "applier", &first, true).expect("forced");
        let twice = maker.applied(&once, "applier", &second, true).expect("forced");
        let place = maker.kind.place();
        let left = fields(&twice, place).expect("fields");
        let managers = decode(get(&twice, "metadata.managedFields")).expect("managers");
        let before = decode(get(&once, "metadata.managedFields")).expect("managers");
        let was = before.iter().find(|entry| entry.manager == "applier").map(|entry| entry.set.clone());
        let mut orphans = left.intersection(&was.unwrap_or_default());
        for entry in &managers {
            orphans = orphans.difference(&crate::apply::typed_set::with_named(&entry.set, Some(place)));
        }
        let orphans: Vec<String> = orphans
            .paths()
            .iter()
            // An item stays as long as somebody owns something in it.
            .filter(|path| says(&twice, path) && !managers.iter().any(|entry| leads_into(path, &entry.set)))
            .map(|path| shown(path))
            .collect();
        prop_assert!(orphans.is_empty(), "{:?}\n{}\n{}\n{}\n{}\n{}", orphans, live, first, once, second, twice);
    }

    #[test]
    fn updates_never_lose_a_field_to_nobody(seed: u64) {
        let mut maker = Maker::new(seed);
        let live = maker.created();
        let fresh = maker.make(false, false);
        let mut new = mutated(&mut maker.dice, &live, &fresh);
        crate::object::remove(&mut new, "metadata.managedFields");
        let new = maker.finish(new, true);
        let mut new = maker.stored(new);
        tracked(&maker.kind, writer("updater"), Some(&live), &mut new);
        let managers = decode(get(&new, "metadata.managedFields")).expect("managers");
        // An object in which nobody owned anything is not tracked.
        prop_assume!(get(&live, "metadata.managedFields").is_some());
        let mut left = maker.kind.reach.filter(owned(fields(&new, maker.kind.place()).expect("fields")));
        for entry in &managers {
            left = left.difference(&entry.set);
        }
        let left: Vec<String> = left
            .paths()
            .iter()
            .filter(|path| says(&new, path))
            .map(|path| shown(path))
            .collect();
        prop_assert!(left.is_empty(), "{:?}\n{}\n{}", left, live, new);
    }

    #[test]
    fn nothing_a_client_sends_panics(seed: u64, config in any_json(), managers in any_json()) {
        let mut maker = Maker::new(seed);
        let mut live = maker.created();
        let mut config = config;
        if let Some(map) = config.as_object_mut() {
            map.insert("apiVersion".to_owned(), maker.kind.api_version.into());
            map.insert("kind".to_owned(), maker.kind.kind.into());
        }
        // Refused or not, both are answers.
        let _ = apply(&maker.kind, writer("kubectl"), Some(&live), &config, true);
        let mut new = live.clone();
        new["metadata"]["managedFields"] = managers.clone();
        new["metadata"]["labels"] = json!({"new": "label"});
        tracked(&maker.kind, writer("updater"), Some(&live), &mut new);
        live["metadata"]["managedFields"] = managers;
        tracked(&maker.kind, writer("updater"), Some(&live), &mut new);
        let _ = apply(&maker.kind, writer("kubectl"), Some(&live), &new, false);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "metadata",
        "spec",
        "containers",
        "name",
        "ports",
        "labels",
        "annotations",
        "data",
        "f:spec",
        ".",
        "k:{\"name\":\"c\"}",
        "v:1",
        "manager",
        "operation",
        "apiVersion",
        "fieldsType",
        "fieldsV1",
        "kubectl.kubernetes.io/last-applied-configuration",
        "finalizers",
        "status",
        "rules",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "Apply", "Update", "FieldsV1", "v1", "{}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|entries| Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}
