//! Rows of what decides about requests.

use super::{BASE, PART, Resource, Subresource, part};

pub(super) const MUTATINGADMISSIONPOLICIES: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "MutatingAdmissionPolicy",
    plural: "mutatingadmissionpolicies",
    singular: "mutatingadmissionpolicy",
    categories: &["api-extensions"],
    namespaced: false,
    bucket: "mutatingadmissionpolicies",
    type_name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const MUTATINGADMISSIONPOLICYBINDINGS: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "MutatingAdmissionPolicyBinding",
    plural: "mutatingadmissionpolicybindings",
    singular: "mutatingadmissionpolicybinding",
    categories: &["api-extensions"],
    namespaced: false,
    bucket: "mutatingadmissionpolicybindings",
    type_name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const MUTATINGWEBHOOKCONFIGURATIONS: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    singular: "mutatingwebhookconfiguration",
    categories: &["api-extensions"],
    namespaced: false,
    bucket: "mutatingwebhookconfigurations",
    type_name: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const VALIDATINGADMISSIONPOLICIES: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
    singular: "validatingadmissionpolicy",
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Subresource {
        group: "admissionregistration.k8s.io",
        version: "v1",
        ..part("status", "ValidatingAdmissionPolicy", PART)
    }],
    bucket: "validatingadmissionpolicies",
    type_name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const VALIDATINGADMISSIONPOLICYBINDINGS: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
    singular: "validatingadmissionpolicybinding",
    categories: &["api-extensions"],
    namespaced: false,
    bucket: "validatingadmissionpolicybindings",
    type_name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const VALIDATINGWEBHOOKCONFIGURATIONS: Resource = Resource {
    group: "admissionregistration.k8s.io",
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    singular: "validatingwebhookconfiguration",
    categories: &["api-extensions"],
    namespaced: false,
    bucket: "validatingwebhookconfigurations",
    type_name: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const CUSTOMRESOURCEDEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Subresource {
        group: "apiextensions.k8s.io",
        version: "v1",
        ..part("status", "CustomResourceDefinition", PART)
    }],
    bucket: "customresourcedefinitions",
    type_name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    unconditional_update: false,
    generation: true,
    ..BASE
};

pub(super) const FLOWSCHEMAS: Resource = Resource {
    group: "flowcontrol.apiserver.k8s.io",
    kind: "FlowSchema",
    plural: "flowschemas",
    singular: "flowschema",
    namespaced: false,
    subresources: &[Subresource {
        group: "flowcontrol.apiserver.k8s.io",
        version: "v1",
        ..part("status", "FlowSchema", PART)
    }],
    bucket: "flowschemas",
    type_name: "io.k8s.api.flowcontrol.v1.FlowSchema",
    generation: true,
    ..BASE
};

pub(super) const PRIORITYLEVELCONFIGURATIONS: Resource = Resource {
    group: "flowcontrol.apiserver.k8s.io",
    kind: "PriorityLevelConfiguration",
    plural: "prioritylevelconfigurations",
    singular: "prioritylevelconfiguration",
    namespaced: false,
    subresources: &[Subresource {
        group: "flowcontrol.apiserver.k8s.io",
        version: "v1",
        ..part("status", "PriorityLevelConfiguration", PART)
    }],
    bucket: "prioritylevelconfigurations",
    type_name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    generation: true,
    ..BASE
};
