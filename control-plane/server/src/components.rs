//! Component statuses: made up on the spot out of what is known.
//!
//! The store answers for itself. Scheduler and controllers that elect a leader tell by their lease whether they live;
//! those inside this program have none, and are as well as the server is, so that they are not listed.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use sampan_api::resource::find as find_resource;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::{Value, json};

use crate::api::{Answer, Api, Call, Result};
use crate::content::{Offer, negotiate};
use crate::discovery::store_failure;
use crate::object::unstored;
use crate::read::{Selection, find};
use crate::request::ResourceTarget;
use crate::respond::{self, Items, ListMeta};

/// Component, and the lease of its leader.
const ELECTED: [(&str, &str); 2] = [
    ("controller-manager", "kube-controller-manager"),
    ("scheduler", "kube-scheduler"),
];

/// GET of one or all.
pub(crate) async fn answer(call: Call, target: ResourceTarget) -> Answer {
    let resource = target.resource;
    let output = negotiate(
        &call,
        match target.name.as_str() {
            "" => Offer::List,
            _ => Offer::Object,
        },
    )?;
    let mut items = Items::new();
    for status in statuses(&call.api).await? {
        items.push(unstored(resource, &status)?);
    }
    if target.name.is_empty() {
        let selection = Selection::parse(&call.query, &target)?;
        items.retain(|item| selection.matches(&item.object));
        return respond::list(resource, &ListMeta::default(), items, &output).await;
    }
    match items
        .iter()
        .find(|item| *item.object.name() == *target.name)
    {
        Some(item) => respond::object(StatusCode::OK, resource, &item.object, &output),
        None => Err(Status::not_found(resource, &target.name)),
    }
}

async fn statuses(api: &Api) -> Result<Vec<Value>> {
    let store =
        store_failure(&*api.store).map_or(Ok("ok".to_owned()), |error| Err(error.to_string()));
    let mut all = vec![status("etcd-0", store)];
    let leases =
        find_resource("coordination.k8s.io", "v1", "leases").ok_or_else(Status::path_not_found)?;
    for (component, lease) in ELECTED {
        if let Some(lease) = find(api, leases, "kube-system", lease).await? {
            let lease = respond::parse(&lease.object.raw)?;
            all.push(status(component, alive(&lease, Timestamp::now())));
        }
    }
    all.sort_by(|a, b| object::name(a).cmp(object::name(b)));
    Ok(all)
}

fn alive(lease: &Value, now: Timestamp) -> std::result::Result<String, String> {
    let renewed = object::text(lease, "spec.renewTime");
    let lasts = object::int(lease, "spec.leaseDurationSeconds").unwrap_or(0);
    let until = time::parse(renewed).and_then(|at| {
        let lasts = SignedDuration::from_secs(lasts);
        at.checked_add(lasts).ok()
    });
    if until.is_some_and(|until| until >= now) {
        Ok("ok".to_owned())
    } else {
        Err(format!("its lease was renewed last at {renewed}"))
    }
}

fn status(name: &str, health: std::result::Result<String, String>) -> Value {
    let condition = match health {
        Ok(message) => json!({"type": "Healthy", "status": "True", "message": message}),
        Err(error) => json!({"type": "Healthy", "status": "False", "error": error}),
    };
    json!({
        "kind": "ComponentStatus", "apiVersion": "v1",
        "metadata": {"name": name, "resourceVersion": ""}, "conditions": [condition],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_ran_out_is_told() {
        let lease = json!({"spec": {"renewTime": "2020-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15}});
        let at = |text: &str| time::parse(text).expect("a time");
        assert!(alive(&lease, at("2020-01-01T00:00:10Z")).is_ok());
        assert!(alive(&lease, at("2020-01-01T00:00:16Z")).is_err());
        assert!(alive(&json!({}), at("2020-01-01T00:00:16Z")).is_err());
    }
}
