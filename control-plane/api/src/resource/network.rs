//! Rows of how pods are reached.

use super::{BASE, PART, Resource, Subresource, part};

pub(super) const INGRESSCLASSES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    namespaced: false,
    bucket: "ingressclasses",
    type_name: "io.k8s.api.networking.v1.IngressClass",
    generation: true,
    ..BASE
};

pub(super) const INGRESSES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    subresources: &[Subresource {
        group: "networking.k8s.io",
        version: "v1",
        ..part("status", "Ingress", PART)
    }],
    bucket: "ingresses",
    type_name: "io.k8s.api.networking.v1.Ingress",
    generation: true,
    ..BASE
};

pub(super) const IPADDRESSES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "IPAddress",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    namespaced: false,
    bucket: "ipaddresses",
    type_name: "io.k8s.api.networking.v1.IPAddress",
    ..BASE
};

pub(super) const NETWORKPOLICIES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    bucket: "networkpolicies",
    type_name: "io.k8s.api.networking.v1.NetworkPolicy",
    generation: true,
    ..BASE
};

pub(super) const SERVICECIDRS: Resource = Resource {
    group: "networking.k8s.io",
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    namespaced: false,
    subresources: &[Subresource {
        group: "networking.k8s.io",
        version: "v1",
        ..part("status", "ServiceCIDR", PART)
    }],
    bucket: "servicecidrs",
    type_name: "io.k8s.api.networking.v1.ServiceCIDR",
    ..BASE
};

pub(super) const ENDPOINTSLICES: Resource = Resource {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    bucket: "endpointslices",
    type_name: "io.k8s.api.discovery.v1.EndpointSlice",
    generation: true,
    ..BASE
};
