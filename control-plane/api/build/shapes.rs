//! The JSON Schemas of k8s-openapi: one definition a type, for everything the kinds lead to.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration::v1 as admissionregistration, apps::v1 as apps,
    authentication::v1 as authentication, authorization::v1 as authorization,
    autoscaling::v1 as autoscaling, autoscaling::v2 as autoscaling_v2, batch::v1 as batch,
    certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::SchemaGenerator;
use serde_json::Value;

/// Schemas by definition name: `io.k8s.api.core.v1.Pod`.
pub(crate) type Definitions = BTreeMap<String, Value>;

/// What every reference to a definition starts with.
pub(crate) const REFERENCE: &str = "#/$defs/";

macro_rules! roots {
    ($generator:ident, $($module:ident :: { $($kind:ident),* $(,)? }),* $(,)?) => {
        $($( let _ = $generator.subschema_for::<$module::$kind>(); )*)*
    };
}

/// Every built-in kind that is on by default in 1.36, and all types they are made of.
pub(crate) fn definitions() -> Definitions {
    let mut generator = SchemaGenerator::default();
    roots!(generator,
        core::{
            Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node,
            PersistentVolume, PersistentVolumeClaim, Pod, PodTemplate, ReplicationController,
            ResourceQuota, Secret, Service, ServiceAccount,
        },
        admissionregistration::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
            ValidatingWebhookConfiguration,
        },
        apiextensions::{ CustomResourceDefinition },
        apiregistration::{ APIService },
        apps::{ ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet },
        authentication::{ SelfSubjectReview, TokenRequest, TokenReview },
        authorization::{
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview,
            SubjectAccessReview,
        },
        autoscaling::{ HorizontalPodAutoscaler, Scale },
        autoscaling_v2::{ HorizontalPodAutoscaler },
        batch::{ CronJob, Job },
        certificates::{ CertificateSigningRequest },
        coordination::{ Lease },
        discovery::{ EndpointSlice },
        events::{ Event },
        flowcontrol::{ FlowSchema, PriorityLevelConfiguration },
        networking::{ IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR },
        node::{ RuntimeClass },
        policy::{ Eviction, PodDisruptionBudget },
        rbac::{ ClusterRole, ClusterRoleBinding, Role, RoleBinding },
        resource::{ DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice },
        scheduling::{ PriorityClass },
        storage::{
            CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment,
            VolumeAttributesClass,
        },
        meta::{ DeleteOptions, ListMeta, Status },
    );
    generator.take_definitions(true).into_iter().collect()
}
