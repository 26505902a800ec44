//! Claims that one pod at a time may use: the part of upstream's VolumeRestrictions that is about `ReadWriteOncePod`.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::filter::{Neighbour, Refusal};

/// How many bound pods use each claim.
#[derive(Debug, Default)]
pub(crate) struct Users(HashMap<String, HashMap<String, usize>>);

impl Users {
    pub(crate) fn add(&mut self, namespace: &str, claims: &[String]) {
        for claim in claims {
            let here = self.0.entry(namespace.to_string()).or_default();
            *here.entry(claim.clone()).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, namespace: &str, claims: &[String]) {
        for claim in claims {
            let Some(here) = self.0.get_mut(namespace) else {
                return;
            };
            if let Some(users) = here.get_mut(claim) {
                *users -= 1;
                if *users == 0 {
                    here.remove(claim);
                }
            }
            if here.is_empty() {
                self.0.remove(namespace);
            }
        }
    }

    fn of(&self, namespace: &str, claim: &str) -> usize {
        let here = self.0.get(namespace);
        here.and_then(|here| here.get(claim)).copied().unwrap_or(0)
    }
}

/// The claims of a pod that it has to have for itself, and how often others use them.
#[derive(Debug, Clone)]
pub(crate) struct ExclusiveFilter {
    namespace: String,
    claims: Vec<String>,
    users: i64,
}

impl ExclusiveFilter {
    pub(crate) fn new(namespace: &str, mut claims: Vec<String>, users: &Users) -> Self {
        // A pod may mount one twice.
        claims.sort_unstable();
        claims.dedup();
        let used = claims.iter().map(|claim| users.of(namespace, claim));
        Self {
            users: used.sum::<usize>() as i64,
            namespace: namespace.to_string(),
            claims,
        }
    }

    /// Counts another pod so many times more, in thought.
    pub(crate) fn shift(&mut self, other: Neighbour<'_>, by: i64) {
        if other.key.namespace == self.namespace {
            let used = other.pod.claims.iter();
            self.users += by * used.filter(|claim| self.claims.contains(claim)).count() as i64;
        }
    }

    /// The same for every node; where the other pod is, it may have to go.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
        (self.users > 0).then(|| Refusal::of_room(vec![why.to_string()], true))
    }
}

pub(super) fn is_exclusive(claim: &PersistentVolumeClaim) -> bool {
    let modes = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.access_modes.as_ref());
    modes.is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod"))
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use crate::testing::{cluster, pod, refusals};

    const USED: &str = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

    fn with_claim(name: &str, claim: &str, rest: &Value) -> Value {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        let mut pod = json!({"name": name, "spec": {"volumes": volumes}});
        for (key, value) in rest.as_object().into_iter().flatten() {
            pod[key] = value.clone();
        }
        pod
    }

    #[test]
    fn one_pod_at_a_time() {
        let check = |running: Value, mode: &str, expected: [&str; 2]| {
            let nodes = json!({"a": {}, "b": {}});
            let mut snapshot = cluster(&nodes, &running);
            let claim = json!({"metadata": {"name": "mine", "namespace": "n",
                    "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
                "spec": {"volumeName": "v", "accessModes": [mode]}});
            let claim = serde_json::from_value(claim).expect("a claim");
            snapshot.volumes.claim_event(Event::Apply(claim));
            let volume = serde_json::from_value(json!({"metadata": {"name": "v"}}));
            let volume = volume.expect("a volume");
            snapshot.volumes.volume_event(Event::Apply(volume));
            let new = pod(&with_claim("new", "mine", &json!({})));
            assert_eq!(refusals(&snapshot, &new), expected, "{running} {mode}");
        };
        let user = |rest: Value| json!([with_claim("user", "mine", &rest)]);
        check(json!([]), "ReadWriteOncePod", ["", ""]);
        check(user(json!({"on": "a"})), "ReadWriteOncePod", [USED, USED]);
        check(
            user(json!({"on": "gone"})),
            "ReadWriteOncePod",
            [USED, USED],
        );
        check(user(json!({"on": "a"})), "ReadWriteOnce", ["", ""]);
        let elsewhere = json!({"on": "a", "namespace": "far"});
        check(user(elsewhere), "ReadWriteOncePod", ["", ""]);
        let other = json!([with_claim("other", "theirs", &json!({"on": "a"}))]);
        check(other, "ReadWriteOncePod", ["", ""]);
    }
}
