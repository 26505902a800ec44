//! What the node's pods were given of its CPU and memory, and whether a pod that is to be resized fits beside the others.
//!
//! The scheduler decides about new pods; a resize is decided here, as by upstream's kubelet.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use parking_lot::Mutex;

use crate::plan::{all_containers, is_sidecar};
use crate::quantity;
use crate::worker::Inbox;

/// CPU in thousandths and bytes of memory that a pod asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) cpu_milli: i64,
    pub(crate) memory: i64,
}

/// Why a pod cannot have more now, in upstream's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// `Infeasible` or `Deferred`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The node's room.
pub(crate) struct Room {
    whole: Requests,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// By pod UID.
    pods: BTreeMap<String, Requests>,
    /// Those who were told to wait until there is more.
    waiting: BTreeMap<String, Arc<Inbox>>,
}

impl Requests {
    /// What a pod asks for as upstream counts it: its containers and sidecars together, or more where an init container
    /// needs more; its overhead; and its own requests instead of its containers' where it has them.
    pub(crate) fn of(
        pod: &Pod,
        resources: impl Fn(&str) -> Option<ResourceRequirements>,
    ) -> Requests {
        let (mut sum, mut sidecars, mut most) = (
            Requests::default(),
            Requests::default(),
            Requests::default(),
        );
        for (container, is_init) in all_containers(pod) {
            let own = resources(&container.name).or_else(|| container.resources.clone());
            let own = Requests::read(own.as_ref().and_then(|own| own.requests.as_ref()));
            match is_init && !is_sidecar(container) {
                true => most = most.max(sidecars.plus(own)),
                false => {
                    sum = sum.plus(own);
                    if is_init {
                        sidecars = sidecars.plus(own);
                        most = most.max(sidecars);
                    }
                }
            }
        }
        let spec = pod.spec.as_ref();
        let of_pod = spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
        let mut all = sum.max(most);
        if let Some(own) = of_pod {
            let has = |name: &str| own.contains_key(name);
            let own = Requests::read(Some(own));
            all.cpu_milli = if has("cpu") {
                own.cpu_milli
            } else {
                all.cpu_milli
            };
            all.memory = if has("memory") {
                own.memory
            } else {
                all.memory
            };
        }
        all.plus(Requests::read(spec.and_then(|spec| spec.overhead.as_ref())))
    }

    fn read(list: Option<&BTreeMap<String, Quantity>>) -> Requests {
        let amount = |name: &str| list.and_then(|list| list.get(name));
        Requests {
            cpu_milli: amount("cpu").and_then(quantity::milli).unwrap_or(0),
            memory: amount("memory").and_then(quantity::whole).unwrap_or(0),
        }
    }

    fn plus(self, other: Requests) -> Requests {
        Requests {
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
            memory: self.memory.saturating_add(other.memory),
        }
    }

    fn max(self, other: Requests) -> Requests {
        Requests {
            cpu_milli: self.cpu_milli.max(other.cpu_milli),
            memory: self.memory.max(other.memory),
        }
    }
}

impl Room {
    pub(crate) fn new(cpu_milli: i64, memory: i64) -> Room {
        Room {
            whole: Requests { cpu_milli, memory },
            taken: Mutex::default(),
        }
    }

    /// Counts a pod that is here.
    pub(crate) fn hold(&self, uid: &str, requests: Requests) {
        self.taken.lock().pods.insert(uid.to_owned(), requests);
    }

    /// Gives a pod what it asks for instead of what it has, or says why not. Who has to wait is told when there is more.
    pub(crate) fn ask(
        &self,
        uid: &str,
        wanted: Requests,
        inbox: &Arc<Inbox>,
    ) -> Result<(), Refusal> {
        let mut taken = self.taken.lock();
        let others = taken.pods.iter().filter(|(other, _)| *other != uid);
        let used = others.fold(Requests::default(), |sum, (_, one)| sum.plus(*one));
        if let Some(refusal) = self.refusal(wanted, used) {
            match refusal.reason {
                "Deferred" => taken.waiting.insert(uid.to_owned(), inbox.clone()),
                _ => taken.waiting.remove(uid),
            };
            return Err(refusal);
        }
        taken.waiting.remove(uid);
        taken.pods.insert(uid.to_owned(), wanted);
        // It may have less than before.
        taken.tell();
        Ok(())
    }

    /// The pod wants no more than it has.
    pub(crate) fn content(&self, uid: &str) {
        self.taken.lock().waiting.remove(uid);
    }

    /// The pod has ended.
    pub(crate) fn release(&self, uid: &str) {
        let mut taken = self.taken.lock();
        taken.waiting.remove(uid);
        if taken.pods.remove(uid).is_some() {
            taken.tell();
        }
    }

    fn refusal(&self, wanted: Requests, used: Requests) -> Option<Refusal> {
        let all = [
            ("memory", wanted.memory, used.memory, self.whole.memory),
            (
                "cpu",
                wanted.cpu_milli,
                used.cpu_milli,
                self.whole.cpu_milli,
            ),
        ];
        for (name, wanted, _, whole) in all {
            if wanted > whole {
                let message = format!(
                    "Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {whole}"
                );
                return Some(Refusal {
                    reason: "Infeasible",
                    message,
                });
            }
        }
        let (name, wanted, used, whole) = all
            .into_iter()
            .rev()
            .find(|(_, wanted, used, whole)| *wanted > 0 && *wanted > whole - used)?;
        Some(Refusal {
            reason: "Deferred",
            message: format!(
                "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {whole}"
            ),
        })
    }
}

impl Taken {
    fn tell(&self) {
        for inbox in self.waiting.values() {
            inbox.room();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn requests(cpu_milli: i64, memory: i64) -> Requests {
        Requests { cpu_milli, memory }
    }

    #[test]
    fn pods_ask_for_what_they_need_at_once() {
        let check = |spec: Value, expect: Requests| {
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            assert_eq!(Requests::of(&pod, |_| None), expect, "{spec}");
        };
        let one = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu, "memory": "1"}}});
        let mut sidecar = one("s", "1");
        sidecar["restartPolicy"] = json!("Always");
        check(
            json!({"containers": [one("a", "1"), one("b", "500m")]}),
            requests(1_500, 2),
        );
        let init = [sidecar, one("i", "2")];
        check(
            json!({"containers": [one("a", "1")], "initContainers": init, "overhead": {"cpu": "100m"}}),
            requests(3_100, 2),
        );
        check(
            json!({"containers": [one("a", "1")], "resources": {"requests": {"cpu": "4"}}}),
            requests(4_000, 1),
        );
    }

    #[tokio::test]
    async fn a_pod_gets_what_the_others_leave() {
        let room = Room::new(4_000, 100);
        let inbox = Arc::new(Inbox::default());
        room.hold("a", requests(3_000, 10));
        room.hold("b", requests(500, 10));
        let refused = |wanted: Requests| room.ask("b", wanted, &inbox).unwrap_err();
        let refusal = refused(requests(5_000, 101));
        assert_eq!(
            (refusal.reason, refusal.message.as_str()),
            (
                "Infeasible",
                "Node didn't have enough capacity: memory, requested: 101, capacity: 100"
            )
        );
        let refusal = refused(requests(2_000, 20));
        assert_eq!(
            (refusal.reason, refusal.message.as_str()),
            (
                "Deferred",
                "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"
            )
        );
        room.release("a");
        assert!(inbox.next().await.room, "it is told that there is more");
        assert_eq!(room.ask("b", requests(2_000, 20), &inbox), Ok(()));
    }
}
