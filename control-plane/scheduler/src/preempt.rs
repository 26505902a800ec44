//! Whose room a pod may have that fits nowhere: upstream's default preemption.
//!
//! A plain function of the snapshot: on each node where pods that go may help, all less important ones are taken away in thought
//! and given back one by one, the important ones first; who cannot be given back is a victim. The node that loses least wins.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::decide::FitError;
use crate::filter::{Candidate, Neighbour, Refusal};
use crate::pod::{BoundPod, PodKey, priority};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::trial::Trial;

/// Of the nodes that come into question, so many are looked at: this part, but not fewer than the number if there are.
const MIN_PART: usize = 10;
const MIN_NODES: usize = 100;

/// What a pod that fits nowhere may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Preemption {
    /// It may take nothing from others, now or ever; what it is nominated for stays.
    Not(String),
    /// It would not help: it is nominated for nothing.
    Useless(String),
    /// These have to go.
    Room {
        node: String,
        victims: Vec<Arc<PodKey>>,
    },
}

/// Whether a pod may ask for room at all, or why not.
pub(crate) fn eligible(pod: &Pod, snapshot: &Snapshot, error: &FitError) -> Result<(), String> {
    let policy = pod
        .spec
        .as_ref()
        .and_then(|s| s.preemption_policy.as_deref());
    if policy == Some("Never") {
        return Err("not eligible due to preemptionPolicy=Never.".to_string());
    }
    let nominated = snapshot.nominated.node_of(&PodKey::of(pod));
    let Some(node) = nominated.and_then(|name| snapshot.node_named(name)) else {
        return Ok(());
    };
    // Where it will never fit, it does not wait.
    if !error.resolvable.contains(&node.slot) {
        return Ok(());
    }
    let mut going = snapshot.residents_below(node, priority(pod));
    match going.any(|(_, pod)| pod.preempted) {
        true => Err("not eligible due to a terminating pod on the nominated node.".to_string()),
        false => Ok(()),
    }
}

/// What to do for a pod that may ask for room. None for `candidate` if no node will do, whoever goes.
pub(crate) fn preempt(
    candidate: Option<&Candidate<'_>>,
    snapshot: &Snapshot,
    error: &FitError,
    turn: usize,
) -> Preemption {
    let nodes = error
        .resolvable
        .iter()
        .filter_map(|slot| snapshot.node_at(*slot));
    let nodes: Vec<&NodeInfo> = nodes.collect();
    let mut why = FitError::of_nodes(snapshot);
    let offers = match candidate {
        Some(candidate) => offers(candidate, snapshot, &nodes, turn, &mut why),
        None => Vec::new(),
    };
    let best = offers.into_iter().min_by_key(Offer::cost);
    let Some(best) = best else {
        // Upstream does not look at more, either.
        let looked_at = if candidate.is_some() { nodes.len() } else { 0 };
        let others = why.nodes().saturating_sub(looked_at);
        why.count("Preemption is not helpful for scheduling", others);
        return Preemption::Useless(why.to_string());
    };
    Preemption::Room {
        node: best.node.name.clone(),
        victims: best
            .victims
            .iter()
            .map(|(key, _)| Arc::clone(key))
            .collect(),
    }
}

/// A node, and who would have to go.
#[derive(Debug)]
struct Offer<'a> {
    node: &'a NodeInfo,
    /// The important ones first.
    victims: Vec<Resident<'a>>,
    broken_budgets: usize,
}

type Resident<'a> = (&'a Arc<PodKey>, &'a BoundPod);

impl Offer<'_> {
    /// Upstream's order: fewest broken budgets; the least important of the most important victims; the smallest sum of priorities;
    /// the fewest victims; and the youngest of the oldest among the most important.
    fn cost(&self) -> (usize, i32, i64, usize, Reverse<Timestamp>) {
        let priorities = || self.victims.iter().map(|(_, pod)| pod.priority);
        let highest = priorities().max().unwrap_or(i32::MIN);
        // None counts for less than nothing, or many pods of a negative priority would be better than one.
        let sum = priorities().map(|own| i64::from(own) + i64::from(i32::MAX) + 1);
        let top = self
            .victims
            .iter()
            .filter(|(_, pod)| pod.priority == highest);
        let oldest = top.map(|(_, pod)| start(pod)).min();
        (
            self.broken_budgets,
            highest,
            sum.sum(),
            self.victims.len(),
            Reverse(oldest.unwrap_or(Timestamp::MAX)),
        )
    }
}

/// One that has not begun is the youngest.
fn start(pod: &BoundPod) -> Timestamp {
    pod.started.unwrap_or(Timestamp::MAX)
}

/// The first nodes that would do, from a place that changes with each turn.
fn offers<'a>(
    candidate: &Candidate<'a>,
    snapshot: &'a Snapshot,
    nodes: &[&'a NodeInfo],
    turn: usize,
    why: &mut FitError,
) -> Vec<Offer<'a>> {
    let enough = (nodes.len() / MIN_PART).max(MIN_NODES);
    let mut offers: Vec<Offer<'a>> = Vec::new();
    for at in 0..nodes.len() {
        let node = nodes[(turn + at) % nodes.len()];
        match offer(candidate, snapshot, node) {
            Ok(offer) => offers.push(offer),
            Err(refusal) => refusal
                .reasons
                .iter()
                .for_each(|reason| why.count(reason, 1)),
        }
        if offers.len() >= enough && offers.iter().any(|offer| offer.broken_budgets == 0) {
            break;
        }
    }
    offers
}

/// Who has to go from the node so that the pod fits: as few and as unimportant as can be.
fn offer<'a>(
    candidate: &Candidate<'a>,
    snapshot: &'a Snapshot,
    node: &'a NodeInfo,
) -> Result<Offer<'a>, Refusal> {
    let below = snapshot.residents_below(node, priority(candidate.pod));
    let mut below: Vec<Resident<'a>> = below.collect();
    if below.is_empty() {
        let why = "No preemption victims found for incoming pod";
        return Err(Refusal::of_node(why.to_string()));
    }
    let mut trial = Trial::new(candidate, node, snapshot);
    for resident in &below {
        trial.remove(neighbour(resident));
    }
    if let Some(refusal) = trial.refusal() {
        return Err(refusal);
    }
    below.sort_by_key(|(_, pod)| (Reverse(pod.priority), start(pod)));
    let pods: Vec<Neighbour<'_>> = below.iter().map(neighbour).collect();
    let broken = snapshot.budgets.broken(&pods);
    let (mut victims, mut broken_budgets) = (Vec::new(), 0);
    // Those whose budget would be broken are spared first.
    for breaks in [true, false] {
        for (resident, _) in below.iter().zip(&broken).filter(|(_, is)| **is == breaks) {
            trial.add(neighbour(resident));
            if trial.refusal().is_some() {
                trial.remove(neighbour(resident));
                victims.push(*resident);
                broken_budgets += usize::from(breaks);
            }
        }
    }
    if victims.is_empty() {
        let why = format!("expected at least one victim pod on node {:?}", node.name);
        return Err(Refusal::of_node(why));
    }
    victims.sort_by_key(|(_, pod)| (Reverse(pod.priority), start(pod)));
    Ok(Offer {
        node,
        victims,
        broken_budgets,
    })
}

fn neighbour<'a>((key, pod): &Resident<'a>) -> Neighbour<'a> {
    Neighbour { key, pod }
}

#[cfg(test)]
mod tests;
