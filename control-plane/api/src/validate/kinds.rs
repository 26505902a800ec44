//! Which rules hold for which kind.

use serde_json::Value;

use crate::custom;
use crate::object::{is_empty, part, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::path::Path;
use super::{
    admission_policy, api_service, apps, autoscaler, certificate, claim, config, cron_job, csi,
    definition, device, disruption, endpoint_slice, endpoints, event, flow, ingress, ingress_class,
    job, lease, limit_range, namespace, network_policy, node, pod, priority, quota, rbac,
    runtime_class, service, service_cidr, storage, template, volume, webhook,
};

/// A new object.
pub(super) fn create(resource: &Resource, value: &Value, out: &mut Errors) {
    if let Some(custom) = resource.custom() {
        out.extend(custom::validate_create(&custom, value));
        return;
    }
    match (resource.group, resource.kind) {
        ("", kind) => core(kind, value, out),
        ("admissionregistration.k8s.io", kind) => registration(kind, value, out),
        ("apiextensions.k8s.io", _) => definition::create(value, out),
        ("apiregistration.k8s.io", "APIService") => api_service::all(value, out),
        ("apps", kind) => apps::create(kind, value, out),
        ("autoscaling", _) => autoscaler::create(value, out),
        ("batch", "Job") => job::create(value, out),
        ("batch", "CronJob") => cron_job::create(value, out),
        ("certificates.k8s.io", "CertificateSigningRequest") => certificate::create(value, out),
        ("coordination.k8s.io", "Lease") => lease::create(value, out),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice::create(value, out),
        ("events.k8s.io", "Event") => event::create(value, out),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow::schema(resource, value, out),
        ("flowcontrol.apiserver.k8s.io", _) => flow::level(resource, value, out),
        ("networking.k8s.io", "Ingress") => ingress::create(value, out),
        ("networking.k8s.io", "IngressClass") => ingress_class::create(value, out),
        ("networking.k8s.io", "IPAddress") => service_cidr::address(value, out),
        ("networking.k8s.io", "NetworkPolicy") => network_policy::create(value, out),
        ("networking.k8s.io", "ServiceCIDR") => service_cidr::create(value, out),
        ("node.k8s.io", "RuntimeClass") => runtime_class::create(value, out),
        ("policy", "PodDisruptionBudget") => disruption::create(value, out),
        ("rbac.authorization.k8s.io", kind) => rbac::create(kind, value, out),
        ("resource.k8s.io", kind) => device::create(kind, value, out),
        ("scheduling.k8s.io", "PriorityClass") => priority::create(value, out),
        ("storage.k8s.io", "CSIDriver") => csi::driver(value, out),
        ("storage.k8s.io", "CSINode") => csi::node(value, out),
        ("storage.k8s.io", "CSIStorageCapacity") => storage::capacity(value, out),
        ("storage.k8s.io", "StorageClass") => storage::class(value, out),
        ("storage.k8s.io", "VolumeAttachment") => storage::attachment(value, out),
        ("storage.k8s.io", "VolumeAttributesClass") => storage::attributes_class(value, out),
        _ => {}
    }
}

fn core(kind: &str, value: &Value, out: &mut Errors) {
    match kind {
        "Binding" => binding(value, out),
        "ConfigMap" => config::config_map(value, out),
        "Endpoints" => endpoints::create(value, out),
        "Event" => event::core(value, out),
        "LimitRange" => limit_range::create(value, out),
        "Namespace" => namespace::create(value, out),
        "Node" => node::create(value, out),
        "PersistentVolume" => volume::create(value, out),
        "PersistentVolumeClaim" => claim::create(value, out),
        "Pod" => pod::create(value, out),
        "PodTemplate" => template::check(part(value, "template"), &Path::new("template"), out),
        "ReplicationController" => apps::replication_controller(value, out),
        "ResourceQuota" => quota::create(value, out),
        "Secret" => config::secret(value, out),
        "Service" => service::create(value, out),
        _ => {}
    }
}

/// An object that replaces another.
pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    if let Some(custom) = resource.custom() {
        out.extend(custom::validate_update(&custom, new, old));
        return;
    }
    match (resource.group, resource.kind) {
        ("", _) => core_update(resource, new, old, out),
        ("apiextensions.k8s.io", _) => definition::update(new, old, out),
        ("apps", _) => apps::update(resource, new, old, out),
        ("autoscaling", _) => autoscaler::update(new, old, out),
        ("batch", "Job") => job::update(resource, new, old, out),
        ("batch", "CronJob") => cron_job::update(new, old, out),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificate::update(new, old, certificate::Part::Whole, out);
        }
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice::update(resource, new, old, out),
        ("events.k8s.io", "Event") => event::update(new, old, out),
        ("networking.k8s.io", "Ingress") => ingress::update(new, out),
        ("networking.k8s.io", "IngressClass") => ingress_class::update(resource, new, old, out),
        ("networking.k8s.io", "IPAddress") => service_cidr::address_update(resource, new, old, out),
        ("networking.k8s.io", "ServiceCIDR") => service_cidr::update(new, old, out),
        ("node.k8s.io", "RuntimeClass") => runtime_class::update(new, old, out),
        ("rbac.authorization.k8s.io", _) => rbac::update(resource, new, old, out),
        ("resource.k8s.io", _) => device::update(resource, new, old, out),
        ("scheduling.k8s.io", "PriorityClass") => priority::update(resource, new, old, out),
        ("storage.k8s.io", kind) => storage_update(kind, resource, new, old, out),
        // The rest follows the rules of new objects, and no others.
        _ => create(resource, new, out),
    }
}

fn core_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    match resource.kind {
        "ConfigMap" => config::config_map_update(new, old, out),
        "Endpoints" => endpoints::update(resource, new, old, out),
        "Node" => node::update(new, old, out),
        "PersistentVolume" => volume::update(new, old, out),
        "PersistentVolumeClaim" => claim::update(new, old, out),
        "Pod" => pod::update(new, old, out),
        "ResourceQuota" => quota::update(new, old, out),
        "Secret" => config::secret_update(new, old, out),
        "Service" => service::update(new, old, out),
        kind => core(kind, new, out),
    }
}

fn storage_update(kind: &str, resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    match kind {
        "CSIDriver" => csi::driver_update(resource, new, old, out),
        "CSINode" => csi::node_update(new, old, out),
        "CSIStorageCapacity" => storage::capacity_update(resource, new, old, out),
        "StorageClass" => storage::class_update(resource, new, old, out),
        "VolumeAttachment" => storage::attachment_update(resource, new, old, out),
        _ => storage::attributes_class_update(resource, new, old, out),
    }
}

/// A new status.
pub(super) fn status_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    if let Some(custom) = resource.custom() {
        out.extend(custom::status_update(&custom, new, old));
        return;
    }
    match (resource.group, resource.kind) {
        ("", "Namespace") => namespace::status_update(new, out),
        ("", "Node") => node::update(new, old, out),
        ("", "PersistentVolumeClaim") => claim::status_update(new, out),
        ("", "Pod") => pod::status_update(new, old, out),
        ("", "ReplicationController") | ("apps", _) => {
            apps::status_update(resource.kind, new, old, out);
        }
        ("", "ResourceQuota") => quota::status_update(new, out),
        ("", "Service") => service::status_update(new, out),
        ("admissionregistration.k8s.io", _) => admission_policy::status_update(new, out),
        ("apiextensions.k8s.io", _) => definition::status_update(new, out),
        ("apiregistration.k8s.io", "APIService") => api_service::status(new, out),
        ("autoscaling", _) => autoscaler::status_update(new, out),
        ("batch", "Job") => job::status_update(new, old, out),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificate::update(new, old, certificate::Part::Status, out);
        }
        ("flowcontrol.apiserver.k8s.io", _) => flow::conditions(new, out),
        ("networking.k8s.io", "Ingress") => ingress::status_update(new, out),
        ("policy", "PodDisruptionBudget") => disruption::status_update(new, out),
        ("resource.k8s.io", _) => device::status_update(resource, new, old, out),
        ("storage.k8s.io", "VolumeAttachment") => storage::attachment_status(new, out),
        _ => {}
    }
}

/// A new part that is neither the object itself nor its status.
pub(super) fn part_update(
    resource: &Resource,
    part: &str,
    new: &Value,
    old: &Value,
    out: &mut Errors,
) {
    match (resource.bucket, part) {
        ("pods", "ephemeralcontainers") => pod::ephemeral(new, old, out),
        ("pods", "resize") => pod::resize(new, old, out),
        ("certificatesigningrequests", "approval") => {
            certificate::update(new, old, certificate::Part::Approval, out);
        }
        _ => update(resource, new, old, out),
    }
}

fn registration(kind: &str, value: &Value, out: &mut Errors) {
    match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            webhook::create(value, out);
        }
        kind => admission_policy::create(kind, value, out),
    }
}

/// A binding names a node.
fn binding(value: &Value, out: &mut Errors) {
    let kind = text(value, "target.kind");
    if !kind.is_empty() && kind != "Node" {
        let known = ["Node", "<empty>"];
        out.push(|| FieldError::not_supported("target.kind", kind, &known));
    }
    if is_empty(value, "target.name") {
        out.push(|| FieldError::required("target.name", ""));
    }
}
