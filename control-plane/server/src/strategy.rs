//! Where kinds differ: hooks that the generic verbs call, each doing nothing for most kinds.
//!
//! What upstream spreads over registry strategies and compiled-in admission plugins is here, one file per subject.

mod addresses;
mod api_services;
mod binding;
mod certificates;
mod classes;
mod definitions;
mod devices;
mod disruption;
mod flow_schemas;
mod ip_addresses;
mod limit_ranges;
mod namespaces;
mod node_restriction;
mod pods;
mod priority;
mod quotas;
mod resizes;
mod roles;
mod runtime_class;
mod service_account;
mod services;

use jiff::Timestamp;
use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use sampan_api::{custom, defaults, object, schema, validate, warnings};
use serde_json::Value;

pub(crate) use addresses::{Addresses, Reservation};
pub(crate) use binding::bind;
pub(crate) use disruption::{Guard, disrupt, still_processed};
pub(crate) use namespaces::accepts as namespace_accepts;
pub(crate) use node_restriction::{
    Deletion, may_create as agent_may_create, may_delete as agent_may_delete,
};
pub(crate) use quotas::Charges;

use crate::api::{Api, Result};
use crate::object::{Obj, Stored};
use crate::user::UserInfo;

/// Admission of a new object beyond what its own fields say. May look at other objects.
pub(crate) async fn admit_new(
    api: &Api,
    user: &UserInfo,
    resource: &Resource,
    value: &mut Value,
) -> Result<()> {
    definitions::may_create(resource, value)?;
    match resource.bucket {
        "pods" => admit_pod(api, resource, value).await,
        "persistentvolumeclaims" => {
            classes::claim(api, value).await?;
            in_use(value, "kubernetes.io/pvc-protection");
            Ok(())
        }
        "persistentvolumes" => {
            in_use(value, "kubernetes.io/pv-protection");
            Ok(())
        }
        "ingresses" => classes::ingress(api, value).await,
        "resourcequotas" => quotas::admit(api, value).await,
        "priorityclasses" => priority::only_default(api, resource, value).await,
        "apiservices" => {
            api_services::availability(value, None);
            Ok(())
        }
        "certificatesigningrequests" => certificates::admit_new(user, resource, value),
        "clusterroles" | "roles" | "clusterrolebindings" | "rolebindings" => {
            roles::admit(api, user, resource, value, None).await
        }
        "resourceclaims" => devices::admit(api, resource, value, "spec.devices.requests").await,
        "resourceclaimtemplates" => {
            devices::admit(api, resource, value, "spec.spec.devices.requests").await
        }
        _ => Ok(()),
    }
}

/// What admission adds to objects of the server's own.
pub(crate) fn admit_own(value: &mut Value, resource: &Resource) {
    match resource.bucket {
        "apiservices" => api_services::availability(value, None),
        "flowschemas" => flow_schemas::found(value),
        _ => {}
    }
    schema::fill_zeros(resource, value);
}

/// Admission of an update of the object, or of a part of it.
pub(crate) async fn admit_update(
    api: &Api,
    user: &UserInfo,
    resource: &Resource,
    part: &str,
    new: &mut Value,
    old: &Value,
) -> Result<()> {
    node_restriction::may_update(user, resource, part, new, old)?;
    match resource.bucket {
        "pods" if part.is_empty() => {
            defaults::pod_tolerations(new);
            Ok(())
        }
        "pods" if part == "resize" => resizes::admit(api, resource, new, old).await,
        "persistentvolumeclaims" if part.is_empty() => {
            classes::resize(api, resource, new, old).await
        }
        "priorityclasses" => priority::only_default(api, resource, new).await,
        "resourcequotas" if part.is_empty() => quotas::admit(api, new).await,
        "apiservices" if part.is_empty() => {
            api_services::availability(new, Some(old));
            Ok(())
        }
        "certificatesigningrequests" => {
            certificates::admit_update(api, user, resource, part, new, old).await
        }
        "clusterroles" | "roles" | "clusterrolebindings" | "rolebindings" => {
            roles::admit(api, user, resource, new, Some(old)).await
        }
        _ => Ok(()),
    }
}

/// Admission that changes nothing, of an object that is valid; an update has an old version of it.
pub(crate) async fn confirm(
    api: &Api,
    resource: &Resource,
    part: &str,
    value: &Value,
    old: Option<&Value>,
) -> Result<()> {
    // Whoever lets go of what is being deleted is not held back.
    if !object::text(value, "metadata.deletionTimestamp").is_empty() {
        return Ok(());
    }
    match (resource.bucket, part) {
        ("pods", "") if old.is_none() => limit_ranges::check(api, resource, value).await,
        ("pods", "resize") | ("persistentvolumeclaims", "") => {
            limit_ranges::check(api, resource, value).await
        }
        _ => Ok(()),
    }
}

/// Upstream's StorageObjectInUseProtection: the object is kept until a controller has seen that nobody uses it.
fn in_use(value: &mut Value, finalizer: &str) {
    let mut finalizers = object::items(value, "metadata.finalizers").to_vec();
    if !finalizers.iter().any(|known| known == finalizer) {
        finalizers.push(finalizer.into());
        object::set(value, "metadata.finalizers", finalizers);
    }
}

async fn admit_pod(api: &Api, resource: &Resource, value: &mut Value) -> Result<()> {
    limit_ranges::complete(api, value).await?;
    service_account::admit(api, resource, value).await?;
    priority::admit(api, resource, value).await?;
    defaults::admission_pod(value);
    runtime_class::admit(api, resource, value).await?;
    pods::admit_topology(api, value).await
}

/// What the object asks for and does not get, and what is odd about it, told to whoever creates it.
pub(crate) fn warnings(resource: &Resource, value: &Value) -> Vec<String> {
    let mut told = warnings::of_new(resource.bucket, value);
    told.extend(match resource.bucket {
        "pods" => pods::warnings(value),
        "services" => services::warnings(value),
        "customresourcedefinitions" => custom::definition_warnings(value),
        _ if resource.is_custom() => custom::finalizer_warnings(value, None),
        _ => Vec::new(),
    });
    told
}

/// What is odd about the new version of an object, told to whoever changes it.
pub(crate) fn update_warnings(
    resource: &Resource,
    part: &str,
    new: &Value,
    old: &Value,
) -> Vec<String> {
    if !matches!(part, "" | "scale") {
        return Vec::new();
    }
    match resource.bucket {
        "services" => services::warnings(new),
        _ if resource.is_custom() => custom::finalizer_warnings(new, Some(old)),
        bucket => warnings::of_update(bucket, new, old),
    }
}

/// Fills in the defaults of what a client sent, unless there are so many items to fill in that memory would not do.
pub(crate) fn fill_in(resource: &Resource, value: &mut Value) -> Result<()> {
    if let Some(error) = validate::too_many_items(resource, value) {
        return Err(Status::invalid(resource, object::name(value), vec![error]));
    }
    defaults::apply(resource, value);
    Ok(())
}

/// Fills in what follows from other fields, in new and updated objects, and what Go would write of fields that are not
/// there.
pub(crate) fn complete(resource: &Resource, value: &mut Value, old: Option<&Value>) {
    if resource.bucket == "services" {
        services::complete(value, old);
    }
    schema::fill_zeros(resource, value);
}

/// Takes over from `old` what a write to the object, or to a part of it, may not change.
pub(crate) fn prepare_update(resource: &Resource, part: &str, new: &mut Value, old: &Value) {
    match part {
        "" | "scale" => defaults::prepare_update(resource, new, old),
        "status" => defaults::prepare_status_update(resource, new, old),
        "finalize" => prepare_finalize(new, old),
        _ => defaults::prepare_part(resource, part, new, old, Timestamp::now()),
    }
}

/// What is wrong with an update of the object, or of a part of it.
pub(crate) fn check_update(
    resource: &Resource,
    part: &str,
    new: &Value,
    old: &Value,
) -> Vec<FieldError> {
    match part {
        "" | "scale" | "finalize" => validate::update(resource, new, old),
        "status" => validate::status_update(resource, new, old),
        _ => validate::part_update(resource, part, new, old),
    }
}

/// `finalize` changes a namespace's `spec.finalizers` and nothing else.
fn prepare_finalize(new: &mut Value, old: &Value) {
    let finalizers = object::remove(new, "spec.finalizers");
    new.clone_from(old);
    match finalizers {
        Some(finalizers) => object::set(new, "spec.finalizers", finalizers),
        None => {
            object::remove(new, "spec.finalizers");
        }
    }
}

/// Claims what the object asks for or needs: addresses and ports, and room in the quotas. Given back unless kept, the
/// room excepted: that is counted anew when there is none.
pub(crate) async fn reserve<'a>(
    api: &'a Api,
    resource: &'static Resource,
    part: &str,
    value: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
) -> Result<Reservation<'a>> {
    let mut reservation = match resource.bucket {
        "services" => services::reserve(&api.addresses, resource, value, old)?,
        _ => Reservation::nothing(),
    };
    let write = quotas::Write {
        resource,
        part,
        new: value,
        old,
        dry_run,
    };
    reservation.charge = quotas::charge(api, &write).await?;
    Ok(reservation)
}

/// What follows from a write once it is stored: what the old version held and the new one does not is
/// given back.
pub(crate) async fn changed(api: &Api, old: Option<&Obj>, new: Option<&Obj>) {
    let Some(resource) = old.or(new).map(|object| object.resource) else {
        return;
    };
    api.charges.changed(old, new);
    match resource.bucket {
        "services" => {
            if let Some(old) = old {
                services::release(&api.addresses, old, new);
            }
            // In a box, because they end in writes, too.
            Box::pin(ip_addresses::follow(api, old, new)).await;
        }
        "ipaddresses" => Box::pin(ip_addresses::written(api, old, new)).await,
        _ => {}
    }
}

/// Some objects are there for good.
pub(crate) fn may_delete(resource: &Resource, object: &Obj) -> Result<()> {
    let (immortal, why) = match resource.bucket {
        "namespaces" => (
            &namespaces::IMMORTAL[..],
            "this namespace may not be deleted",
        ),
        "priorityclasses" => (
            &priority::SYSTEM[..],
            "this is a system priority class and cannot be deleted",
        ),
        _ => return Ok(()),
    };
    if immortal.contains(&object.name()) {
        return Err(Status::forbidden(resource, object.name(), why));
    }
    Ok(())
}

/// The grace period a deletion of this object gets; `None` for kinds that have none.
pub(crate) fn grace(resource: &Resource, value: &Value, asked: Option<i64>) -> Option<i64> {
    (resource.bucket == "pods").then(|| pods::grace(value, asked))
}

/// Whether deleting it takes more than removing it.
pub(crate) fn holds_content(resource: &Resource, value: &Value) -> bool {
    resource.bucket == "namespaces" && !object::is_empty(value, "spec.finalizers")
}

/// Whether what it owns outlives it when a client does not say: older clients count on that for these two.
pub(crate) fn orphans(resource: &Resource) -> bool {
    matches!(resource.bucket, "jobs" | "replicationcontrollers")
}

/// What being marked for deletion changes beside the mark.
pub(crate) fn marked(resource: &Resource, value: &mut Value) {
    match resource.bucket {
        "namespaces" => object::set(value, "status.phase", "Terminating"),
        "customresourcedefinitions" => definitions::marked(value),
        _ => {}
    }
}

/// The finalizer an object gets when its deletion is asked for.
pub(crate) fn finalizer(resource: &Resource, value: &Value) -> Option<&'static str> {
    let begins = object::deletion_timestamp(value).is_none();
    (resource.bucket == "customresourcedefinitions" && begins)
        .then_some(custom::conditions::CLEANUP_FINALIZER)
}

/// Whether an update takes away the last thing a deletion waited for.
pub(crate) fn removed_by_update(resource: &Resource, new: &Value, old: &Value) -> bool {
    let running =
        object::int(old, "metadata.deletionGracePeriodSeconds").is_some_and(|left| left > 0);
    object::deletion_timestamp(old).is_some()
        && !running
        && object::is_empty(new, "metadata.finalizers")
        && !holds_content(resource, new)
}

/// Removes what an interrupted write left behind, before addresses count as taken.
pub(crate) async fn sweep(
    api: &Api,
    services: &[Stored],
    addresses: Vec<Stored>,
) -> Result<Vec<Stored>> {
    ip_addresses::sweep(api, services, addresses).await
}

/// Objects already there when the server starts: their addresses are taken.
pub(crate) fn restore(api: &Api, services: &[Stored], addresses: &[Stored]) {
    for entry in services {
        services::restore(&api.addresses, &entry.object);
    }
    let named = addresses
        .iter()
        .filter_map(|entry| entry.object.name().parse().ok());
    api.addresses.restore(named, []);
}

/// Makes what is missing beside objects there are.
pub(crate) async fn repair(api: &Api) -> Result<()> {
    ip_addresses::repair(api).await
}
