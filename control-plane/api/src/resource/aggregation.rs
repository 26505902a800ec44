//! The row of who serves which group and version.

use super::{BASE, PART, Resource, Subresource, part};

pub(super) const APISERVICES: Resource = Resource {
    group: "apiregistration.k8s.io",
    kind: "APIService",
    plural: "apiservices",
    singular: "apiservice",
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Subresource {
        group: "apiregistration.k8s.io",
        ..part("status", "APIService", PART)
    }],
    bucket: "apiservices",
    type_name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    unconditional_update: false,
    ..BASE
};
