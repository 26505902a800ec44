//! What the loop does for a pod that fits nowhere: others that are less important may have to go.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::State;
use crate::decide::FitError;
use crate::evict::{self, Eviction, Victim};
use crate::filter::Candidate;
use crate::pod::{BoundPod, PodKey, nominated_node, priority};
use crate::preempt::{Preemption, eligible, preempt};
use crate::queue::Change;

impl State {
    /// What the pod may do. Where there are no nodes, nothing is said of it.
    pub(super) fn room_for(
        &self,
        candidate: Option<&Candidate<'_>>,
        pod: &Pod,
        error: &FitError,
    ) -> Preemption {
        if error.nodes() == 0 {
            return Preemption::Not(String::new());
        }
        if self.preempting.contains(&PodKey::of(pod)) {
            let why = "waiting for the preemption for this pod to be finished";
            return Preemption::Not(why.to_string());
        }
        self.config.metrics.asked_for_room();
        match eligible(pod, &self.snapshot, error) {
            Ok(()) => preempt(candidate, &self.snapshot, error, self.turn),
            Err(why) => Preemption::Not(why),
        }
    }

    /// Does it. Says the node that the pod is nominated for from now on, empty for none.
    pub(super) fn take_room(
        &mut self,
        key: &PodKey,
        pod: &Arc<Pod>,
        room: Preemption,
        error: &mut FitError,
    ) -> Option<String> {
        match room {
            Preemption::Not(why) => {
                error.preemption = why;
                None
            }
            Preemption::Useless(why) => {
                error.preemption = why;
                if self.snapshot.nominated.remove(key) {
                    self.queue.changed(&Change::Room);
                }
                Some(String::new())
            }
            Preemption::Room { node, victims } => {
                self.config.metrics.preempted(victims.len());
                let outranked = self.outrank(pod, &node);
                let bound = BoundPod::on(node.clone(), pod);
                self.snapshot.nominated.put(key.clone(), bound);
                let eviction = Eviction {
                    victims: self.deletions(key, pod, &node, &victims),
                    preemptor: Arc::clone(pod),
                    node: node.clone(),
                    outranked,
                };
                if !(eviction.victims.is_empty() && eviction.outranked.is_empty()) {
                    self.preempting.insert(key.clone());
                    let (client, events) = (self.client.clone(), self.events.clone());
                    self.evictions.spawn(eviction.run(client, events));
                }
                Some(node)
            }
        }
    }

    /// Less important pods that waited for the node: they look for another one.
    fn outrank(&mut self, pod: &Pod, node: &str) -> Vec<PodKey> {
        let own = priority(pod);
        let waiting = self.snapshot.nominated.on(node);
        let below = waiting.filter(|(_, waiting)| waiting.priority < own);
        let below: Vec<PodKey> = below.map(|(key, _)| key.clone()).collect();
        for key in &below {
            self.snapshot.nominated.remove(key);
            self.queue.unpark(key);
        }
        below
    }

    /// The victims that the server has to delete. Who is on the way to the node is turned back, unless the server may have
    /// bound it already, and who is going already goes.
    fn deletions(
        &mut self,
        key: &PodKey,
        pod: &Pod,
        node: &str,
        victims: &[Arc<PodKey>],
    ) -> Vec<Victim> {
        let mut to_delete = Vec::new();
        for victim in victims {
            let Some(bound) = self.snapshot.bound(victim) else {
                continue;
            };
            let is_going = bound.class.ending;
            let victim = Victim {
                key: PodKey::clone(victim),
                uid: bound.uid.clone(),
            };
            // One that is bound is in no queue, even if no watch has told so yet.
            let on_its_way = self.queue.get(&victim.key).is_some();
            let assumed = self.assumed.get(&victim.key).filter(|_| on_its_way);
            if let Some(assumed) = assumed.filter(|assumed| assumed.sending.decide()) {
                assumed.binding.abort();
                self.give_up(&victim.key);
                let note = evict::note(pod, node) + " (in kube-scheduler memory).";
                self.events.preempted(&victim, pod, note);
                // No watch will tell of it.
                self.queue.unpark(key);
            } else if !is_going {
                to_delete.push(victim);
            }
        }
        to_delete
    }

    pub(super) fn evicted(
        &mut self,
        ended: Result<(PodKey, Result<(), kube::Error>), tokio::task::JoinError>,
    ) {
        // An eviction task has nothing in it that panics.
        let Ok((key, done)) = ended else {
            return;
        };
        self.preempting.remove(&key);
        if let Err(error) = done {
            tracing::warn!(%key, %error, "cannot make room for a pod; it is tried again");
            self.queue.unpark(&key);
        }
    }

    /// Takes what a waiting pod says of the node it is nominated for. What this scheduler decided and no watch has told yet stays.
    pub(super) fn nominated(&mut self, key: &PodKey, pod: &Pod) {
        let before = self.queue.get(key).and_then(|known| nominated_node(known));
        let decided = match before {
            Some(_) => None,
            None => self.snapshot.nominated.node_of(key),
        };
        match nominated_node(pod).or(decided).map(str::to_string) {
            Some(node) => {
                let bound = BoundPod::on(node, pod);
                self.snapshot.nominated.put(key.clone(), bound);
            }
            None if self.snapshot.nominated.remove(key) => self.queue.changed(&Change::Room),
            None => {}
        }
    }

    /// The pod is gone, or has its node: nothing is kept for it.
    pub(super) fn waits_no_more(&mut self, key: &PodKey) {
        self.queue.remove(key);
        if self.snapshot.nominated.remove(key) {
            self.queue.changed(&Change::Room);
        }
    }
}
