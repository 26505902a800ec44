//! Which pods have a volume whose claim has which name.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Volume};
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::core::{NotUsed, Object};
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use sampan_api::ephemeral::claim_name;
use serde::Deserialize;

use super::Key;

/// What of a pod is looked at: all pods pass by here, and few have such volumes.
pub(super) type Seen = Object<Spec, NotUsed>;

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Spec {
    #[serde(default)]
    volumes: Vec<Volume>,
}

/// By the claim's namespace and name. `a-b` with `c` and `a` with `b-c` mean the same.
#[derive(Default)]
pub(super) struct Index(Mutex<HashMap<(String, String), BTreeSet<Key>>>);

impl Index {
    /// The pod to look at.
    pub(super) fn pod_event(&self, event: Event<Seen>) -> Option<Key> {
        let mut pods = self.0.lock();
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => {
                let (key, claims) = claims(&pod)?;
                for claim in claims {
                    pods.entry(claim).or_default().insert(key.clone());
                }
                Some(key)
            }
            Event::Delete(pod) => {
                let (key, claims) = claims(&pod)?;
                for claim in claims {
                    if let Some(of_name) = pods.get_mut(&claim) {
                        of_name.remove(&key);
                        if of_name.is_empty() {
                            pods.remove(&claim);
                        }
                    }
                }
                None
            }
            // All that there are come anew.
            Event::Init => {
                pods.clear();
                None
            }
            Event::InitDone => None,
        }
    }

    /// The pods to look at, as a claim of theirs may be missing.
    pub(super) fn claim_event(
        &self,
        event: Event<PartialObjectMeta<PersistentVolumeClaim>>,
    ) -> Vec<Key> {
        let pods = self.0.lock();
        match event {
            Event::Delete(claim) => {
                let claim = (claim.namespace().unwrap_or_default(), claim.name_any());
                pods.get(&claim).into_iter().flatten().cloned().collect()
            }
            // Some may have gone while nobody watched.
            Event::InitDone => pods.values().flatten().cloned().collect(),
            Event::Apply(_) | Event::Init | Event::InitApply(_) => Vec::new(),
        }
    }
}

/// The pod, and the claims of its volumes; none if it has no such volume.
fn claims(pod: &Seen) -> Option<(Key, Vec<(String, String)>)> {
    let key = Key {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
    };
    let ephemeral = pod.spec.volumes.iter().filter(|v| v.ephemeral.is_some());
    let claim = |volume: &Volume| (key.namespace.clone(), claim_name(&key.name, &volume.name));
    let claims: Vec<_> = ephemeral.map(claim).collect();
    (!claims.is_empty()).then_some((key, claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, volumes: Value) -> Seen {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"},
            "spec": {"containers": [], "volumes": volumes}, "status": {"phase": "Pending"}});
        serde_json::from_value(pod).expect("a pod")
    }

    fn key(name: &str) -> Key {
        Key {
            namespace: "n".to_string(),
            name: name.to_string(),
        }
    }

    #[test]
    fn a_claim_that_goes_concerns_the_pods_that_wait_for_its_name() {
        let index = Index::default();
        let ephemeral = |name: &str| json!([{"name": name, "ephemeral": {}}]);
        let gone = |name: &str| {
            let claim = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "namespace": "n"}});
            index.claim_event(Event::Delete(
                serde_json::from_value(claim).expect("a claim"),
            ))
        };
        let plain = pod("plain", json!([{"name": "v", "emptyDir": {}}]));
        assert_eq!(index.pod_event(Event::Apply(plain)), None);
        let first = pod("a-b", ephemeral("c"));
        assert_eq!(
            index.pod_event(Event::Apply(first.clone())),
            Some(key("a-b"))
        );
        assert_eq!(
            index.pod_event(Event::InitApply(pod("a", ephemeral("b-c")))),
            Some(key("a"))
        );
        assert_eq!(gone("a-b-c"), [key("a"), key("a-b")]);
        assert_eq!(gone("a-b"), []);
        assert_eq!(index.pod_event(Event::Delete(first)), None);
        assert_eq!(gone("a-b-c"), [key("a")]);
        assert_eq!(index.claim_event(Event::InitDone), [key("a")]);
        index.pod_event(Event::Init);
        assert_eq!(index.claim_event(Event::InitDone), []);
    }
}
