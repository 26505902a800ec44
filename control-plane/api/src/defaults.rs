//! Defaults: what a real API server writes into an object beyond what the client said.
//!
//! Three moments, three functions. [`apply`] runs on every object that is decoded, before anything
//! else looks at it. [`prepare_create`], [`prepare_update`] and [`prepare_status_update`] enforce
//! who owns which part of an object (the spec's writers never touch the status, and the reverse);
//! [`prepare_part`] does so for the other subresources.
//! [`admission_pod`] adds what upstream's default admission plugins add to a new pod.
//!
//! Not here: names, uids, timestamps and allocated addresses, which are the server's, and quotas.

mod access;
mod admission;
mod amounts;
mod apps;
mod autoscaler;
mod batch;
mod container;
mod definition;
mod device;
mod flow;
mod image;
mod limits;
mod network;
mod parts;
mod pod;
mod prepare;
mod qos;
mod registration;
mod service;
mod storage;
mod template;
mod volume;

use base64::Engine as _;
use serde_json::Value;

use crate::object::{self, get, items_mut, set, text};
use crate::resource::Resource;

pub(crate) use admission::toleration_identity;
pub use admission::{admission_pod, class_scheduling, tolerations as pod_tolerations};
pub use parts::{prepare_part, stamp_conditions};
pub use prepare::{
    bumps_generation, checks_health, prepare_create, prepare_status_update, prepare_update,
};
pub use qos::qos_class;
pub use service::{address_list as service_address_list, addresses as service_addresses};

/// The label by which a namespace can be selected by name.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Fills in the defaults of the kind. Doing it twice changes nothing more.
pub fn apply(resource: &Resource, value: &mut Value) {
    if let Some(custom) = resource.custom() {
        return custom.fill(value);
    }
    match (resource.group, resource.kind) {
        ("", "Pod") => pod::apply(value),
        ("", "Service") => service::apply(value),
        ("", "Secret") => secret(value),
        ("", "Namespace") => namespace(value),
        ("", "Node") => node(value),
        ("", "PodTemplate") => template::required(value, "template"),
        ("", "ReplicationController") => apps::replication_controller(value),
        ("", "PersistentVolume") => storage::volume(value),
        ("", "PersistentVolumeClaim") => storage::claim(value),
        ("", "Endpoints") => network::endpoints(value),
        ("", "LimitRange") => limits::apply(value),
        ("", "ResourceQuota") => amounts::round(value, ["spec.hard", "status.hard", "status.used"]),
        ("apps", "Deployment") => apps::deployment(value),
        ("apps", "ReplicaSet") => apps::replica_set(value),
        ("apps", "DaemonSet") => apps::daemon_set(value),
        ("apps", "StatefulSet") => apps::stateful_set(value),
        ("batch", "Job") => batch::job(value),
        ("batch", "CronJob") => batch::cron_job(value),
        ("autoscaling", _) => autoscaler::apply(resource.version, value),
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(value),
        ("networking.k8s.io", "IngressClass") => network::ingress_class(value),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(value),
        ("storage.k8s.io", "StorageClass") => storage::class(value),
        ("storage.k8s.io", "CSIDriver") => storage::csi_driver(value),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(value);
        }
        ("admissionregistration.k8s.io", kind) => registration(kind, value),
        ("apiregistration.k8s.io", "APIService") => registration::api_service(value),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow::schema(value),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => flow::level(value),
        ("scheduling.k8s.io", "PriorityClass") => flow::pod_class(value),
        ("resource.k8s.io", "ResourceClaim") => device::claim(value),
        ("resource.k8s.io", "ResourceClaimTemplate") => device::claim_template(value),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::apply(value),
        _ => {}
    }
}

fn registration(kind: &str, value: &mut Value) {
    match kind {
        "MutatingWebhookConfiguration" => registration::mutating_webhooks(value),
        "ValidatingWebhookConfiguration" => registration::webhooks(value),
        "MutatingAdmissionPolicy" | "ValidatingAdmissionPolicy" => registration::policy(value),
        _ => registration::binding(value),
    }
}

/// `stringData` is a convenience for writers: it ends up in `data`, and wins over it.
fn secret(value: &mut Value) {
    default_text(value, "type", "Opaque");
    let Some(Value::Object(plain)) = object::remove(value, "stringData") else {
        return;
    };
    for (key, text) in plain {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or(""));
        if get(value, "data").is_none() {
            set(value, "data", serde_json::Map::new());
        }
        if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
            data.insert(key, encoded.into());
        }
    }
}

fn namespace(value: &mut Value) {
    let name = object::name(value).to_owned();
    if name.is_empty() {
        return;
    }
    object::set_entry(value, "metadata.labels", NAMESPACE_NAME_LABEL, name);
}

fn node(value: &mut Value) {
    amounts::round(value, ["status.capacity", "status.allocatable"]);
    if let Some(capacity) = get(value, "status.capacity").cloned() {
        object::set_default(value, "status.allocatable", capacity);
    }
    // The singular field is the first of the plural one, whichever the client set.
    let single = text(value, "spec.podCIDR").to_owned();
    let first = object::items(value, "spec.podCIDRs")
        .first()
        .and_then(Value::as_str);
    match (single.is_empty(), first.map(str::to_owned)) {
        (true, Some(first)) => set(value, "spec.podCIDR", first),
        // Where they differ, the older field counts.
        (false, first) if first.as_ref() != Some(&single) => {
            set(value, "spec.podCIDRs", vec![single]);
        }
        _ => {}
    }
}

/// Sets a string that is absent or empty: in Go's types the two are the same.
fn default_text(value: &mut Value, path: &str, default: &str) {
    if text(value, path).is_empty() {
        set(value, path, default);
    }
}

/// Sets a number that is absent or zero, for fields that are not pointers in Go's types.
fn default_number(value: &mut Value, path: &str, default: i64) {
    if object::int(value, path).unwrap_or(0) == 0 {
        set(value, path, default);
    }
}

/// Runs `fill` on each object of the list at `path`.
fn each(value: &mut Value, path: &str, fill: impl Fn(&mut Value)) {
    items_mut(value, path)
        .iter_mut()
        .filter(|item| item.is_object())
        .for_each(fill);
}

/// Runs `fill` on the object at `path`, when there is one.
fn within(value: &mut Value, path: &str, fill: impl Fn(&mut Value)) {
    if let Some(inner) = object::get_mut(value, path).filter(|inner| inner.is_object()) {
        fill(inner);
    }
}

#[cfg(test)]
mod tests;
