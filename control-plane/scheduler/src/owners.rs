//! What pods belong to, and so should be spread with: Services by their selectors, and the controllers that made them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController, Service};
use kube::runtime::watcher::Event;
use sampan_api::selector::LabelSelector;
use serde_json::Value;

use crate::selector::{meets, parsed};
use crate::table::Table;

/// The selectors of Services and of controllers.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    services: Table<LabelSelector>,
    replication_controllers: Table<LabelSelector>,
    replica_sets: Table<LabelSelector>,
    stateful_sets: Table<LabelSelector>,
}

impl Owners {
    pub(crate) fn service_event(&mut self, event: Event<Service>) {
        self.services.apply(event, |service| {
            set(service.spec.and_then(|spec| spec.selector))
        });
    }

    pub(crate) fn replication_controller_event(&mut self, event: Event<ReplicationController>) {
        self.replication_controllers.apply(event, |controller| {
            set(controller.spec.and_then(|spec| spec.selector))
        });
    }

    pub(crate) fn replica_set_event(&mut self, event: Event<ReplicaSet>) {
        self.replica_sets.apply(event, |controller| {
            parsed(controller.spec.as_ref().map(|spec| &spec.selector))
        });
    }

    pub(crate) fn stateful_set_event(&mut self, event: Event<StatefulSet>) {
        self.stateful_sets.apply(event, |controller| {
            parsed(controller.spec.as_ref().map(|spec| &spec.selector))
        });
    }

    /// What selects the pods that a pod is one of, as far as Services and its controller tell; else everything.
    pub(crate) fn selector(&self, pod: &Pod) -> LabelSelector {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let services = self.services.in_namespace(namespace);
        let services = services.filter(|selector| meets(selector, &labels));
        let selector = services.fold(LabelSelector::everything(), LabelSelector::and);
        let mut owners = pod.metadata.owner_references.iter().flatten();
        let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else {
            return selector;
        };
        let controllers = match (owner.api_version.as_str(), owner.kind.as_str()) {
            ("v1", "ReplicationController") => &self.replication_controllers,
            ("apps/v1", "ReplicaSet") => &self.replica_sets,
            ("apps/v1", "StatefulSet") => &self.stateful_sets,
            _ => return selector,
        };
        match controllers.get(namespace, &owner.name) {
            Some(own) => selector.and(own),
            None => selector,
        }
    }
}

/// No labels select nothing: a Service without a selector has no pods.
fn set(labels: Option<BTreeMap<String, String>>) -> LabelSelector {
    match labels.filter(|labels| !labels.is_empty()) {
        Some(labels) => {
            let labels = labels.into_iter();
            LabelSelector::from_set(
                &labels
                    .map(|(key, value)| (key, Value::from(value)))
                    .collect(),
            )
        }
        None => LabelSelector::nothing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owners() -> Owners {
        let mut owners = Owners::default();
        let object =
            |kind: Value| json!({"metadata": {"name": "web", "namespace": "n"}, "spec": kind});
        let service = |selector: Value| {
            let service = object(json!({ "selector": selector }));
            Event::Apply(serde_json::from_value(service).expect("a service"))
        };
        owners.service_event(service(json!({"app": "web"})));
        let labels = json!({"matchLabels": {"hash": "1"}});
        let set = object(json!({"selector": labels, "template": {}, "serviceName": "web"}));
        owners.replica_set_event(Event::Apply(
            serde_json::from_value(set.clone()).expect("a set"),
        ));
        owners.stateful_set_event(Event::Apply(serde_json::from_value(set).expect("a set")));
        let controller = object(json!({"selector": {"rc": "1"}}));
        let controller = serde_json::from_value(controller).expect("a controller");
        owners.replication_controller_event(Event::Apply(controller));
        owners
    }

    #[test]
    fn pods_are_spread_with_those_of_their_services_and_controllers() {
        let check = |labels: Value, owner: (&str, &str), expect: &str| {
            let owner = json!({"apiVersion": owner.0, "kind": owner.1, "name": "web", "uid": "u",
                "controller": true});
            let pod = json!({"metadata": {"name": "p", "namespace": "n", "labels": labels,
                "ownerReferences": [owner]}});
            let pod: Pod = serde_json::from_value(pod).expect("a pod");
            assert_eq!(owners().selector(&pod).to_string(), expect, "{pod:?}");
        };
        let job = ("batch/v1", "Job");
        check(json!({"app": "web"}), job, "app=web");
        check(json!({"app": "db"}), job, "");
        check(
            json!({"app": "web"}),
            ("apps/v1", "ReplicaSet"),
            "app=web,hash=1",
        );
        check(json!({}), ("apps/v1", "StatefulSet"), "hash=1");
        check(json!({}), ("v1", "ReplicationController"), "rc=1");
        check(json!({}), ("apps/v1beta1", "ReplicaSet"), "");
    }
}
