//! Evictions: deletions that ask the disruption budgets of their pod first.

use http::StatusCode;
use jiff::Timestamp;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::{Value, json};

use super::{DeleteOptions, delete_one};
use crate::api::{Answer, Call, Result};
use crate::content::{Expected, Offer, negotiate, read_object};
use crate::object::Stored;
use crate::read::{existing, find};
use crate::request::{Query, ResourceTarget};
use crate::respond::{self, parse};
use crate::strategy::{self, Deletion, Guard};
use crate::write::{Attempts, WriteOptions, replace};

/// POST of an Eviction.
pub(crate) async fn evict(mut call: Call, target: ResourceTarget) -> Answer {
    const TYPE: &str = "io.k8s.api.policy.v1.Eviction";
    let query_options = WriteOptions::parse(&call, "CreateOptions")?;
    let output = negotiate(&call, Offer::Plain)?;
    let expected = Expected {
        group: "policy",
        version: "v1",
        kind: "Eviction",
        type_name: TYPE,
        row: None,
    };
    let input = read_object(&mut call, expected).await?;
    if object::name(&input.value) != target.name {
        let why = "name in URL does not match name in Eviction object";
        return Err(Status::bad_request(why));
    }
    let mut options = DeleteOptions::parse(
        &Query::default(),
        object::get(&input.value, "deleteOptions"),
    )?;
    options.dry_run |= query_options.dry_run;
    let pod = existing(&call.api, &target).await?;
    strategy::agent_may_delete(&call.user, target.resource, &pod.object, Deletion::Eviction)?;
    options.check(target.resource, &pod.object)?;
    let guard = strategy::disrupt(&call.api, &pod, options.dry_run).await?;
    let pod = marked(&call, &target, pod, &options, &guard).await?;
    // What it asked about the version held, and the mark made a new one.
    options.resource_version = None;
    delete_one(&call.api, &call.user, target.resource, pod, &options).await?;
    respond::success(StatusCode::CREATED, &Status::created(), &output)
}

/// The pod with the reason of its end in its status.
async fn marked(
    call: &Call,
    target: &ResourceTarget,
    mut pod: Stored,
    options: &DeleteOptions,
    guard: &Guard,
) -> Result<Stored> {
    if options.dry_run {
        return Ok(pod);
    }
    let api = &call.api;
    let mut attempts = Attempts::new(api, pod.key.clone());
    loop {
        attempts.next().await?;
        let value = disrupted(parse(&pod.object.raw)?);
        if let Some(marked) = replace(api, target.resource, &pod, value).await? {
            return Ok(marked);
        }
        if let Guard::Version(budget) = guard {
            return Err(strategy::still_processed(budget));
        }
        pod = find(api, target.resource, &target.namespace, &target.name)
            .await?
            .ok_or_else(|| Status::not_found(target.resource, &target.name))?;
        strategy::agent_may_delete(&call.user, target.resource, &pod.object, Deletion::Eviction)?;
        options.check(target.resource, &pod.object)?;
    }
}

fn disrupted(mut pod: Value) -> Value {
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "lastTransitionTime": time::seconds(Timestamp::now()), "message": "Eviction API: evicting",
    });
    let mut conditions = object::items(&pod, "status.conditions").to_vec();
    let known = conditions.iter().any(|known| {
        object::text(known, "type") == "DisruptionTarget" && object::text(known, "status") == "True"
    });
    if !known {
        conditions.retain(|known| object::text(known, "type") != "DisruptionTarget");
        conditions.push(condition);
        object::set(&mut pod, "status.conditions", conditions);
    }
    pod
}
