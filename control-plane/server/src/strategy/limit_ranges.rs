//! LimitRanger: the limit ranges of a namespace fill in what its pods leave out, and refuse what asks for too much.

use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{defaults, limits, object};
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::all;
use crate::respond::parse;

async fn ranges(api: &Api, value: &Value) -> Result<Vec<Value>> {
    let found = all(api, "", "limitranges", object::namespace(value)).await?;
    found.iter().map(|entry| parse(&entry.object.raw)).collect()
}

/// Completes a new pod.
pub(super) async fn complete(api: &Api, pod: &mut Value) -> Result<()> {
    let ranges = ranges(api, pod).await?;
    if ranges.is_empty() {
        return Ok(());
    }
    for range in &ranges {
        limits::fill_in(range, pod);
    }
    let class = defaults::qos_class(pod);
    object::set(pod, "status.qosClass", class);
    Ok(())
}

/// Checks a pod or a claim.
pub(super) async fn check(api: &Api, resource: &Resource, value: &Value) -> Result<()> {
    for range in ranges(api, value).await? {
        let errors = limits::check(&range, resource.kind, value);
        let why = match &errors[..] {
            [] => continue,
            [only] => only.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        return Err(Status::forbidden(resource, object::name(value), &why));
    }
    Ok(())
}
