//! For whom an agent may have tokens made: those to whom its pod shows one, as upstream's ServiceAccountNodeAudienceRestriction.

use sampan_api::object;
use sampan_api::resource::find as find_resource;
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::authz::{Attributes, Object, What, decide};
use crate::object::Stored;
use crate::read::find;
use crate::request::ResourceTarget;
use crate::user::UserInfo;

/// The right to have tokens made for an audience that no pod names.
const VERB: &str = "request-serviceaccounts-token-audience";

/// Why an agent gets no token for the audiences it asked for; it asked for none where they are those of the server.
pub(super) async fn refusal(
    api: &Api,
    user: &UserInfo,
    target: &ResourceTarget,
    pod: &Stored,
    asked: &[Value],
) -> Result<Option<String>> {
    let audience = match asked {
        [] => "",
        [one] => one.as_str().unwrap_or_default(),
        _ => return Ok(Some("node may only request 0 or 1 audiences".to_owned())),
    };
    let pod: Value = serde_json::from_slice(&pod.object.raw).unwrap_or_default();
    if is_named(api, &pod, audience).await? {
        return Ok(None);
    }
    let what = What::Resource(Object {
        resource: audience,
        namespace: &target.namespace,
        name: &target.name,
        ..Object::default()
    });
    let attributes = Attributes { verb: VERB, what };
    if decide(api, user, &attributes).await?.allowed {
        return Ok(None);
    }
    Ok(Some(format!(
        "audience {audience:?} not found in pod spec volume, {} is not authorized to request tokens for this audience",
        user.name
    )))
}

/// Whether a volume of the pod shows a token for the audience, or the driver of one wants it.
async fn is_named(api: &Api, pod: &Value, audience: &str) -> Result<bool> {
    let volumes = object::items(pod, "spec.volumes");
    let sources = volumes
        .iter()
        .flat_map(|volume| object::items(volume, "projected.sources"));
    let mut tokens = sources.filter_map(|source| object::get(source, "serviceAccountToken"));
    if tokens.any(|token| object::text(token, "audience") == audience) {
        return Ok(true);
    }
    for volume in volumes {
        let Some(driver) = driver(api, pod, volume).await? else {
            continue;
        };
        let driver = read(api, "storage.k8s.io", "csidrivers", "", &driver).await?;
        let mut tokens = object::items(&driver, "spec.tokenRequests").iter();
        if tokens.any(|token| object::text(token, "audience") == audience) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The CSI driver that mounts the volume.
async fn driver(api: &Api, pod: &Value, volume: &Value) -> Result<Option<String>> {
    let own = object::text(volume, "csi.driver");
    if !own.is_empty() {
        return Ok(Some(own.to_owned()));
    }
    let claim = if object::get(volume, "ephemeral").is_some() {
        format!("{}-{}", object::name(pod), object::text(volume, "name"))
    } else {
        object::text(volume, "persistentVolumeClaim.claimName").to_owned()
    };
    if claim.is_empty() {
        return Ok(None);
    }
    let claim = read(
        api,
        "",
        "persistentvolumeclaims",
        object::namespace(pod),
        &claim,
    )
    .await?;
    let name = object::text(&claim, "spec.volumeName");
    if name.is_empty() {
        return Ok(None);
    }
    let volume = read(api, "", "persistentvolumes", "", name).await?;
    let driver = object::text(&volume, "spec.csi.driver");
    Ok((!driver.is_empty()).then(|| driver.to_owned()))
}

/// The object, or null if it is not there.
async fn read(api: &Api, group: &str, plural: &str, namespace: &str, name: &str) -> Result<Value> {
    let row = find_resource(group, "v1", plural).ok_or_else(Status::path_not_found)?;
    let found = find(api, row, namespace, name).await?;
    Ok(found.map_or(Value::Null, |found| {
        serde_json::from_slice(&found.object.raw).unwrap_or_default()
    }))
}
