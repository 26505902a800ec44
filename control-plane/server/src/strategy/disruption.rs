//! Disruption budgets: an eviction takes one of the disruptions its pod's budget allows, or is told to come back later.

use jiff::Timestamp;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::selector::LabelSelector;
use sampan_api::status::{Cause, Status};
use sampan_api::{object, time};
use serde_json::{Map, Value, json};

use crate::api::{Api, Result};
use crate::object::Stored;
use crate::read::{all, find};
use crate::respond::parse;
use crate::write::{Attempts, replace};

const GROUP: &str = "policy";
/// Evictions that no controller has seen the end of.
const MAX_DISRUPTED: usize = 2000;
const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// What the eviction of a pod that may go rests on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    Nothing,
    /// The pod as it was looked at; the budget would say something else of another version.
    Version(String),
}

/// Takes a disruption from the budget of a pod, if it has one and needs one.
pub(crate) async fn disrupt(api: &Api, pod: &Stored, dry_run: bool) -> Result<Guard> {
    let value = parse(&pod.object.raw)?;
    let phase = object::text(&value, "status.phase");
    let leaving = object::deletion_timestamp(&value).is_some();
    if leaving || matches!(phase, "Succeeded" | "Failed" | "Pending") {
        return Ok(Guard::Nothing);
    }
    let row =
        find_resource(GROUP, "v1", "poddisruptionbudgets").ok_or_else(Status::path_not_found)?;
    let mut budgets = Vec::new();
    for entry in all(api, GROUP, "poddisruptionbudgets", pod.object.namespace()).await? {
        let budget = parse(&entry.object.raw)?;
        if selects(&budget, &value) {
            budgets.push((entry, budget));
        }
    }
    let Some((entry, budget)) = budgets.pop() else {
        return Ok(Guard::Nothing);
    };
    if !budgets.is_empty() {
        return Err(Status {
            code: 500,
            reason: "",
            message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.".to_owned(),
            details: None,
            continue_token: None,
        });
    }
    if !is_ready(&value) && counts_for_nothing(&budget) {
        return Ok(Guard::Version(object::name(&budget).to_owned()));
    }
    take(api, row, entry, budget, pod.object.name(), dry_run).await?;
    Ok(Guard::Nothing)
}

fn selects(budget: &Value, pod: &Value) -> bool {
    let null = Value::Null;
    let selector = object::get(budget, "spec.selector").unwrap_or(&null);
    LabelSelector::from_match(selector)
        .is_ok_and(|selector| selector.matches_labels(object::labels(pod)))
}

fn is_ready(pod: &Value) -> bool {
    object::items(pod, "status.conditions")
        .iter()
        .any(|condition| {
            object::text(condition, "type") == "Ready"
                && object::text(condition, "status") == "True"
        })
}

/// Whether a pod that is not ready may go without being counted: always, or while enough others are.
fn counts_for_nothing(budget: &Value) -> bool {
    let number = |field: &str| object::int(budget, &format!("status.{field}")).unwrap_or(0);
    let wanted = number("desiredHealthy");
    object::text(budget, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow"
        || wanted > 0 && number("currentHealthy") >= wanted
}

async fn take(
    api: &Api,
    row: &'static Resource,
    mut entry: Stored,
    mut budget: Value,
    pod: &str,
    dry_run: bool,
) -> Result<()> {
    let mut attempts = Attempts::new(api, entry.key.clone());
    loop {
        attempts.next().await?;
        let taken = taken(row, budget, pod)?;
        if dry_run || replace(api, row, &entry, taken).await?.is_some() {
            return Ok(());
        }
        let name = entry.object.name().to_owned();
        entry = find(api, row, entry.object.namespace(), &name)
            .await?
            .ok_or_else(|| Status::not_found(row, &name))?;
        budget = parse(&entry.object.raw)?;
    }
}

/// The budget with one disruption less, and the pod written down as on its way out.
fn taken(row: &Resource, mut budget: Value, pod: &str) -> Result<Value> {
    let name = object::name(&budget).to_owned();
    let number = |field: &str| object::int(&budget, &format!("status.{field}")).unwrap_or(0);
    let generation = object::generation(&budget);
    if number("observedGeneration") < generation {
        return Err(still_processed(&name));
    }
    let allowed = number("disruptionsAllowed");
    let disrupted = object::entries(&budget, "status.disruptedPods").count();
    if allowed < 0 {
        let why = "pdb disruptions allowed is negative";
        return Err(Status::forbidden(row, &name, why));
    }
    if disrupted > MAX_DISRUPTED {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(Status::forbidden(row, &name, why));
    }
    if allowed == 0 {
        let (wanted, healthy) = (number("desiredHealthy"), number("currentHealthy"));
        let why = format!(
            "The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        );
        return Err(later(&why, 0));
    }
    object::set(&mut budget, "status.disruptionsAllowed", allowed - 1);
    if allowed == 1 {
        none_left(&mut budget, generation);
    }
    let mut pods: Map<String, Value> = object::entries(&budget, "status.disruptedPods")
        .map(|(name, at)| (name.to_owned(), at.clone()))
        .collect();
    pods.insert(pod.to_owned(), time::seconds(Timestamp::now()).into());
    object::set(&mut budget, "status.disruptedPods", pods);
    Ok(budget)
}

fn none_left(budget: &mut Value, generation: i64) {
    let mut conditions = object::items(budget, "status.conditions").to_vec();
    conditions.retain(|condition| object::text(condition, "type") != "DisruptionAllowed");
    conditions.push(json!({
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
        "lastTransitionTime": time::seconds(Timestamp::now()), "observedGeneration": generation,
    }));
    object::set(budget, "status.conditions", conditions);
}

/// 429: the budget's numbers are not those of what it says now.
pub(crate) fn still_processed(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    later(&why, 10)
}

fn later(why: &str, seconds: u32) -> Status {
    let mut status = Status::too_many_requests(VIOLATES, seconds);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "DisruptionBudget".to_owned(),
            message: why.to_owned(),
            ..Cause::default()
        });
    }
    status
}
