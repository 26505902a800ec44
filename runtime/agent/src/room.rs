//! What the node's pods were given of what it has, and whether a pod fits beside the others: one that is new, and one that
//! is to be resized.
//!
//! The scheduler has decided about most new pods. Those that name their node themselves pass here only, as with upstream's
//! kubelet: what they take without being there the others could not have.

mod requests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use parking_lot::Mutex;

use crate::worker::Inbox;
pub(crate) use requests::Requests;
use requests::{CPU, MEMORY};

/// The name under which pods are counted.
const PODS: &str = "pods";

/// Why a pod cannot have what it asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The node never has so much.
    Infeasible(Shortage),
    /// The other pods leave so much only when some of them have gone.
    Deferred(Shortage),
}

/// The resource that there is too little of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shortage {
    pub(crate) resource: String,
    pub(crate) requested: i128,
    pub(crate) used: i128,
    pub(crate) capacity: i128,
}

/// The node's room.
#[derive(Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    /// What the node has. It may be less than its pods were given: they keep that.
    whole: Requests,
    /// By pod UID.
    pods: BTreeMap<String, Requests>,
    /// Of all of them together.
    sum: Requests,
    /// Those who were not given what they asked for, and what that was. They are told when there is enough.
    waiting: BTreeMap<String, (Requests, Arc<Inbox>)>,
}

impl Shortage {
    /// The reason of a pod that is not let in, in upstream's words.
    pub(crate) fn reason(&self) -> String {
        format!("OutOf{}", self.resource)
    }

    /// In upstream's words.
    pub(crate) fn message(&self) -> String {
        let Shortage {
            resource,
            requested,
            used,
            capacity,
        } = self;
        format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        )
    }
}

impl Refusal {
    /// The reason of a resize that is not done, in upstream's words.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refusal::Infeasible(_) => "Infeasible",
            Refusal::Deferred(_) => "Deferred",
        }
    }

    /// In upstream's words.
    pub(crate) fn message(&self) -> String {
        match self {
            Refusal::Infeasible(Shortage {
                resource,
                requested,
                capacity,
                ..
            }) => format!(
                "Node didn't have enough capacity: {resource}, requested: {requested}, capacity: {capacity}"
            ),
            Refusal::Deferred(shortage) => shortage.message(),
        }
    }

    /// Whether both say the same but for what other pods use.
    pub(crate) fn is_like(&self, other: &Refusal) -> bool {
        let asked = |refusal: &Refusal| {
            let (Refusal::Infeasible(shortage) | Refusal::Deferred(shortage)) = refusal;
            (shortage.resource.clone(), shortage.requested)
        };
        self.reason() == other.reason() && asked(self) == asked(other)
    }
}

impl Room {
    /// Of a node that has so much.
    pub(crate) fn new(whole: &BTreeMap<String, Quantity>) -> Room {
        let room = Room(Mutex::default());
        room.set_whole(whole);
        room
    }

    /// How much of a resource the node has.
    pub(crate) fn whole(&self, resource: &str) -> i128 {
        self.0.lock().whole.get(resource)
    }

    /// The node has so much now.
    pub(crate) fn set_whole(&self, whole: &BTreeMap<String, Quantity>) {
        self.0.lock().set_whole(Requests::read(Some(whole)));
    }

    /// The node has so much now where that is more than before.
    pub(crate) fn raise_whole(&self, whole: &BTreeMap<String, Quantity>) {
        let mut taken = self.0.lock();
        let mut most = taken.whole.clone();
        most.raise_to(&Requests::read(Some(whole)));
        taken.set_whole(most);
    }

    /// Counts a pod that is here, whether it fits or not.
    pub(crate) fn hold(&self, uid: &str, requests: Requests) {
        self.0.lock().put(uid, requests);
    }

    /// Whether the pod is counted.
    pub(crate) fn holds(&self, uid: &str) -> bool {
        self.0.lock().pods.contains_key(uid)
    }

    /// Lets a new pod in, or says what there is too little of.
    pub(crate) fn admit(&self, uid: &str, wanted: Requests) -> Result<(), Shortage> {
        let mut taken = self.0.lock();
        let pods = taken.pods.len() as i128;
        let most = taken.whole.get(PODS);
        if pods + 1 > most {
            return Err(Shortage {
                resource: PODS.to_owned(),
                requested: 1,
                used: pods,
                capacity: most,
            });
        }
        if let Some(shortage) = taken.shortage(&wanted, |name| taken.sum.get(name)) {
            return Err(shortage);
        }
        taken.put(uid, wanted);
        Ok(())
    }

    /// Gives a pod what it asks for instead of what it has, or says why not. Who has to wait is told when there is enough.
    pub(crate) fn ask(
        &self,
        uid: &str,
        wanted: Requests,
        inbox: &Arc<Inbox>,
    ) -> Result<(), Refusal> {
        let mut taken = self.0.lock();
        if let Some(refusal) = taken.refusal(uid, &wanted) {
            let waiting = (wanted, inbox.clone());
            taken.waiting.insert(uid.to_owned(), waiting);
            return Err(refusal);
        }
        taken.waiting.remove(uid);
        let had = taken.put(uid, wanted.clone()).unwrap_or_default();
        if had.names().any(|name| wanted.get(name) < had.get(name)) {
            taken.tell();
        }
        Ok(())
    }

    /// The pod wants no more than it has.
    pub(crate) fn content(&self, uid: &str) {
        self.0.lock().waiting.remove(uid);
    }

    /// The pod has ended.
    pub(crate) fn release(&self, uid: &str) {
        let mut taken = self.0.lock();
        taken.waiting.remove(uid);
        if taken.remove(uid).is_some() {
            taken.tell();
        }
    }

    /// Pods that are not among these have gone.
    pub(crate) fn keep(&self, uids: &HashSet<String>) {
        let held: Vec<String> = self.0.lock().pods.keys().cloned().collect();
        for uid in held.iter().filter(|uid| !uids.contains(*uid)) {
            self.release(uid);
        }
    }
}

impl Taken {
    /// Those who were refused ask again: what can be is another.
    fn set_whole(&mut self, whole: Requests) {
        if self.whole == whole {
            return;
        }
        self.whole = whole;
        for (_, inbox) in self.waiting.values() {
            inbox.room();
        }
    }

    /// Counts so much for a pod instead of what it had.
    fn put(&mut self, uid: &str, requests: Requests) -> Option<Requests> {
        let had = self.remove(uid);
        self.sum.add(&requests);
        self.pods.insert(uid.to_owned(), requests);
        had
    }

    fn remove(&mut self, uid: &str) -> Option<Requests> {
        let had = self.pods.remove(uid)?;
        self.sum.subtract(&had);
        Some(had)
    }

    /// Tells those who wait and would not be refused now.
    fn tell(&self) {
        for (uid, (wanted, inbox)) in &self.waiting {
            if self.refusal(uid, wanted).is_none() {
                inbox.room();
            }
        }
    }

    /// Why a pod that is here cannot have so much instead of what it has.
    fn refusal(&self, uid: &str, wanted: &Requests) -> Option<Refusal> {
        for name in [MEMORY, CPU] {
            let (requested, capacity) = (wanted.get(name), self.whole.get(name));
            if requested > capacity {
                return Some(Refusal::Infeasible(Shortage {
                    resource: name.to_owned(),
                    requested,
                    used: 0,
                    capacity,
                }));
            }
        }
        let own = self.pods.get(uid);
        let used = |name: &str| self.sum.get(name) - own.map_or(0, |own| own.get(name));
        self.shortage(wanted, used).map(Refusal::Deferred)
    }

    /// What there is too little of beside others that use so much. What the node does not have at all of what only some
    /// nodes have is not its to give: the cluster may have it elsewhere.
    fn shortage(&self, wanted: &Requests, used: impl Fn(&str) -> i128) -> Option<Shortage> {
        let lacks = |name: &&str| {
            let requested = wanted.get(name);
            let extended = name.contains('/') && !name.contains("kubernetes.io/");
            let is_ours = !extended || self.whole.has(name);
            is_ours && requested > 0 && requested > self.whole.get(name) - used(name)
        };
        let name = wanted.names().find(lacks)?;
        Some(Shortage {
            resource: name.to_owned(),
            requested: wanted.get(name),
            used: used(name),
            capacity: self.whole.get(name),
        })
    }
}

#[cfg(test)]
#[path = "room/tests.rs"]
mod tests;
