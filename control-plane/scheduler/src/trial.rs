//! A pod against one node as it would be without some of its pods, or with some more.

use crate::filter::{Candidate, Neighbour, Refusal, refusal};
use crate::pod::{PodKey, priority};
use crate::snapshot::{NodeInfo, Snapshot};

/// What is tried in thought; the snapshot stays as it is.
#[derive(Debug, Clone)]
pub(crate) struct Trial<'a> {
    candidate: Candidate<'a>,
    /// The node as it would be.
    room: NodeInfo,
    node: &'a NodeInfo,
    snapshot: &'a Snapshot,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        candidate: &Candidate<'a>,
        node: &'a NodeInfo,
        snapshot: &'a Snapshot,
    ) -> Self {
        Self {
            candidate: candidate.clone(),
            room: node.clone(),
            node,
            snapshot,
        }
    }

    pub(crate) fn add(&mut self, pod: Neighbour<'_>) {
        self.room.hold(pod.pod);
        self.candidate.shift(pod, self.node, self.snapshot, 1);
    }

    pub(crate) fn remove(&mut self, pod: Neighbour<'_>) {
        self.room.give_back(pod.pod);
        self.candidate.shift(pod, self.node, self.snapshot, -1);
    }

    /// Why the pod could not run there. Those who wait for room there and are not less important count as if they ran; as they may
    /// not come in the end, the pod must be able to run without them, too.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let nominated = rivals(&self.candidate, self.node, self.snapshot);
        if nominated.is_empty() {
            return refusal(&self.candidate, &self.room);
        }
        let mut with = self.clone();
        for rival in nominated {
            with.add(rival);
        }
        refusal(&with.candidate, &with.room).or_else(|| refusal(&self.candidate, &self.room))
    }
}

/// Why the pod may not run on the node as it is.
pub(crate) fn refusal_now<'a>(
    candidate: &Candidate<'a>,
    node: &'a NodeInfo,
    snapshot: &'a Snapshot,
) -> Option<Refusal> {
    // The usual case copies nothing.
    if snapshot.nominated.on(&node.name).next().is_none() {
        return refusal(candidate, node);
    }
    Trial::new(candidate, node, snapshot).refusal()
}

/// Other pods that are nominated for the node and not less important.
fn rivals<'a>(
    candidate: &Candidate<'_>,
    node: &NodeInfo,
    snapshot: &'a Snapshot,
) -> Vec<Neighbour<'a>> {
    let (own, least) = (PodKey::of(candidate.pod), priority(candidate.pod));
    let nominated = snapshot.nominated.on(&node.name);
    nominated
        .filter(|(key, pod)| pod.priority >= least && **key != own)
        .map(|(key, pod)| Neighbour { key, pod })
        .collect()
}
