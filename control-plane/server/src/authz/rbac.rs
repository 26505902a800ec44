//! Role-based access control: roles and bindings out of the store, indexed by whom they are about.
//!
//! The tables follow the store by watches that are looked at whenever a decision is due, so what is acknowledged counts
//! from the next request on, and nothing runs while nobody asks. An aggregated ClusterRole holds its own rules here:
//! filling it is a controller's work, as upstream.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use imbl::OrdMap;
use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_store::{Event, EventKind, RangeRequest, Watch};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Attributes, Decision, Rule, What};
use crate::api::{Api, Result};
use crate::object::Obj;
use crate::read::{prefix, range_failed_now};
use crate::respond::parse;
use crate::user::UserInfo;

pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";
const KINDS: [&str; 4] = [
    "clusterroles",
    "roles",
    "clusterrolebindings",
    "rolebindings",
];
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The tables, kept up to date.
#[derive(Default)]
pub(crate) struct Policy(Mutex<Followed>);

#[derive(Default)]
struct Followed {
    tables: Arc<Tables>,
    /// None yet, or one per kind.
    watches: Vec<Watch<Obj>>,
}

impl Policy {
    /// The tables as of now.
    pub(crate) async fn tables(&self, api: &Api) -> Result<Arc<Tables>> {
        let mut followed = self.0.lock().await;
        if followed.watches.is_empty() || !followed.catch_up() {
            *followed = Followed::load(api).await?;
        }
        Ok(followed.tables.clone())
    }
}

impl Followed {
    /// Takes in what happened. False when the history was not long enough.
    fn catch_up(&mut self) -> bool {
        for watch in &mut self.watches {
            while let Some(events) = watch.next().now_or_never() {
                let Ok(events) = events else {
                    return false;
                };
                let tables = Arc::make_mut(&mut self.tables);
                events.iter().for_each(|event| tables.take(event));
            }
        }
        true
    }

    async fn load(api: &Api) -> Result<Followed> {
        let mut followed = Followed::default();
        let mut tables = Tables::default();
        for plural in KINDS {
            let row = find_resource(GROUP, "v1", plural).ok_or_else(Status::path_not_found)?;
            let page = api.store.range(RangeRequest::all(prefix(row, ""))).await;
            let page = page.map_err(range_failed_now)?;
            for entry in page.entries {
                tables.put(&entry.object);
            }
            let watch = api.store.watch(prefix(row, ""), page.revision).await;
            followed
                .watches
                .push(watch.map_err(|error| Status::service_unavailable(error.to_string()))?);
        }
        followed.tables = Arc::new(tables);
        Ok(followed)
    }
}

/// Namespace (empty for the cluster) and name.
type Id = (Box<str>, Box<str>);

/// A role somebody is given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    namespace: Box<str>,
    name: Box<str>,
    role_kind: Box<str>,
    role: Box<str>,
    /// By their index key, the words that tell who it is.
    subjects: HashMap<Arc<str>, String>,
}

/// Who may do what, as roles and bindings say. A copy shares what does not change: one is made whenever something
/// changes while somebody still looks at the tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    roles: OrdMap<Id, Arc<[Rule]>>,
    bindings: OrdMap<Id, Arc<Binding>>,
    /// Bindings by subject.
    subjects: OrdMap<Arc<str>, OrdMap<Id, Arc<Binding>>>,
}

fn user_key(name: &str) -> String {
    format!("User/{name}")
}

fn group_key(name: &str) -> String {
    format!("Group/{name}")
}

impl Tables {
    fn take(&mut self, event: &Event<Obj>) {
        match event.kind {
            EventKind::Put => self.put(&event.entry.object),
            EventKind::Delete => self.remove(&event.entry.object),
        }
    }

    fn put(&mut self, object: &Obj) {
        self.remove(object);
        let Ok(value) = parse(&object.raw) else {
            return;
        };
        let id = (object.namespace().into(), object.name().into());
        if !is_binding(object.resource) {
            self.roles.insert(id, Rule::all(&value).into());
            return;
        }
        let binding = Arc::new(Binding::of(&value));
        for key in binding.subjects.keys() {
            let bound = self.subjects.entry(key.clone()).or_default();
            bound.insert(id.clone(), binding.clone());
        }
        self.bindings.insert(id, binding);
    }

    fn remove(&mut self, object: &Obj) {
        let id = (object.namespace().into(), object.name().into());
        if !is_binding(object.resource) {
            self.roles.remove(&id);
            return;
        }
        let Some(binding) = self.bindings.remove(&id) else {
            return;
        };
        for key in binding.subjects.keys() {
            if let Some(bound) = self.subjects.get_mut(key) {
                bound.remove(&id);
                if bound.is_empty() {
                    self.subjects.remove(key);
                }
            }
        }
    }

    pub(super) fn decide(&self, user: &UserInfo, asked: &Attributes<'_>) -> Decision {
        let namespace = match &asked.what {
            What::Resource(object) => object.namespace,
            What::Path(_) => "",
        };
        let mut errors = Vec::new();
        for (binding, subject) in self.bound(user, namespace) {
            match self.rules(&binding.role_kind, &binding.namespace, &binding.role) {
                Some(rules) if rules.iter().any(|rule| rule.allows(asked)) => {
                    return Decision::allow(binding.allowed_by(subject));
                }
                Some(_) => {}
                None => errors.push(binding.dangling()),
            }
        }
        Decision::no_opinion(match &errors[..] {
            [] => String::new(),
            [only] => format!("RBAC: {only}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        })
    }

    /// All rules that hold for a user, and what could not be resolved.
    pub(super) fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut held, mut errors) = (Vec::new(), Vec::new());
        for (binding, _) in self.bound(user, namespace) {
            match self.rules(&binding.role_kind, &binding.namespace, &binding.role) {
                Some(rules) => held.extend(rules.iter().cloned()),
                None => errors.push(binding.dangling()),
            }
        }
        (held, errors)
    }

    /// The rules of a role; `namespace` is the binding's.
    pub(crate) fn rules(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<[Rule]>> {
        let namespace = if kind == "Role" { namespace } else { "" };
        self.roles.get(&(namespace.into(), name.into()))
    }

    /// The bindings of a user that count in a namespace, those of the whole cluster first.
    fn bound<'a>(
        &'a self,
        user: &UserInfo,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a Arc<Binding>, &'a str)> {
        let keys = std::iter::once(user_key(&user.name))
            .chain(user.groups.iter().map(|group| group_key(group)));
        let mut found: BTreeMap<&'a Id, (&'a Arc<Binding>, &'a str)> = BTreeMap::new();
        for key in keys {
            let Some(bound) = self.subjects.get(key.as_str()) else {
                continue;
            };
            let of = |namespace: &str| {
                let first: Id = (namespace.into(), Box::default());
                let from = bound.range(first..);
                let own = namespace.to_owned();
                from.take_while(move |((namespace, _), _)| **namespace == *own)
            };
            let own = (!namespace.is_empty()).then(|| of(namespace));
            for (id, binding) in of("").chain(own.into_iter().flatten()) {
                found.entry(id).or_insert_with(|| {
                    let words = binding.subjects.get(key.as_str());
                    (binding, words.map_or("", String::as_str))
                });
            }
        }
        found.into_values()
    }
}

fn is_binding(resource: &Resource) -> bool {
    resource.plural.ends_with("bindings")
}

impl Binding {
    fn of(value: &Value) -> Binding {
        let namespace = object::namespace(value);
        let mut subjects = HashMap::new();
        for subject in object::items(value, "subjects") {
            let name = object::text(subject, "name");
            let own = object::text(subject, "namespace");
            let own = if own.is_empty() { namespace } else { own };
            let (key, words) = match object::text(subject, "kind") {
                "ServiceAccount" => (
                    user_key(&format!("{SERVICE_ACCOUNT}{own}:{name}")),
                    format!("ServiceAccount {:?}", format!("{name}/{own}")),
                ),
                "Group" => (group_key(name), format!("Group {name:?}")),
                kind => (format!("{kind}/{name}"), format!("{kind} {name:?}")),
            };
            // Who is named twice is told in the first words.
            subjects.entry(key.into()).or_insert(words);
        }
        Binding {
            namespace: namespace.into(),
            name: object::name(value).into(),
            role_kind: object::text(value, "roleRef.kind").into(),
            role: object::text(value, "roleRef.name").into(),
            subjects,
        }
    }

    fn allowed_by(&self, subject: &str) -> String {
        let Binding {
            namespace,
            name,
            role_kind,
            role,
            ..
        } = self;
        let (kind, name) = if namespace.is_empty() {
            ("ClusterRoleBinding", name.to_string())
        } else {
            ("RoleBinding", format!("{name}/{namespace}"))
        };
        format!("RBAC: allowed by {kind} {name:?} of {role_kind} {role:?} to {subject}")
    }

    /// It names a role that is not there.
    fn dangling(&self) -> String {
        format!(
            "{}.{GROUP} {:?} not found",
            self.role_kind.to_lowercase(),
            self.role
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Stored, unstored};
    use serde_json::json;

    fn object(plural: &str, namespace: &str, name: &str, more: Value) -> Stored {
        let row = find_resource(GROUP, "v1", plural).expect("served");
        let mut value = json!({"metadata": {"name": name, "resourceVersion": ""}});
        if !namespace.is_empty() {
            value["metadata"]["namespace"] = namespace.into();
        }
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        unstored(row, &value).expect("an object")
    }

    fn to(users: &[&str]) -> Value {
        let users = users
            .iter()
            .map(|name| json!({"kind": "User", "name": name}));
        json!({"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": users.collect::<Value>()})
    }

    fn put(tables: &mut Tables, stored: &Stored) {
        tables.put(&stored.object);
    }

    fn remove(tables: &mut Tables, namespace: &str, name: &str) {
        let stored = object("rolebindings", namespace, name, json!({}));
        tables.remove(&stored.object);
    }

    fn bound(tables: &Tables, user: &str, namespace: &str) -> Vec<String> {
        let user = UserInfo::new(user, []);
        let bound = tables.bound(&user, namespace);
        bound.map(|(binding, _)| binding.name.to_string()).collect()
    }

    #[test]
    fn bindings_count_where_they_are() {
        let mut tables = Tables::default();
        for (namespace, name) in [("b", "4"), ("a", "3"), ("a", "2"), ("aa", "5")] {
            put(
                &mut tables,
                &object("rolebindings", namespace, name, to(&["u", "u", "v"])),
            );
        }
        put(
            &mut tables,
            &object("clusterrolebindings", "", "1", to(&["u"])),
        );
        let before = tables.clone();
        assert_eq!(bound(&tables, "u", "a"), ["1", "2", "3"]);
        assert_eq!(bound(&tables, "v", "a"), ["2", "3"]);
        assert_eq!(bound(&tables, "u", ""), ["1"]);
        remove(&mut tables, "a", "2");
        assert_eq!(bound(&tables, "u", "a"), ["1", "3"]);
        assert_eq!(bound(&before, "u", "a"), ["1", "2", "3"]);
        for (namespace, name) in [("b", "4"), ("a", "3"), ("aa", "5")] {
            remove(&mut tables, namespace, name);
        }
        assert_eq!(tables.subjects.len(), 1, "of nobody else is anything kept");
    }

    /// Going through all bindings of a subject for each time one names it would take minutes.
    #[test]
    fn a_binding_that_names_somebody_again_and_again() {
        let mut tables = Tables::default();
        for number in 0..5_000 {
            let name = number.to_string();
            put(&mut tables, &object("rolebindings", "a", &name, to(&["u"])));
        }
        let again = object("rolebindings", "b", "x", to(&["u"; 50_000]));
        put(&mut tables, &again);
        put(&mut tables, &again);
        assert_eq!(bound(&tables, "u", "b"), ["x"]);
        assert_eq!(bound(&tables, "u", "a").len(), 5_000);
    }
}
